"""The two-scale U-Net, eq. (5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from da4dvar.errors import check_least
from da4dvar.variational.convolution import TRANSPOSED, Convolution, cropped, per_axis, whole_blocks

POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class Branch(nn.Module):
    """One scale of the U-Net: Φᵢ(x) = P [A r, (B r) ∘ (C r)] with r = ReLU(K * x).

    With the product of two linear maps a branch can represent the bilinear terms of a flow. Covariates are
    additional input channels of K.

    Parameters
    ----------
    channels, width : int
        Number of channels of the state and of r.
    kernel : int
        Length of K along each axis; odd.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    covariates : int
        Number of channels of the covariates.
    """

    def __init__(
        self, channels: int, width: int, kernel: int, boundary: Sequence[str], covariates: int = 0
    ) -> None:
        super().__init__()
        self.lift = Convolution(channels + covariates, width, kernel, boundary)
        self.maps = Convolution(width, 3 * width, 1, boundary)
        self.project = Convolution(2 * width, channels, 1, boundary)

    def forward(self, x: Tensor) -> Tensor:
        """Φᵢ, ``(batch, channel, *space)``, from states and covariates concatenated along the channels."""
        linear, left, right = self.maps(torch.relu(self.lift(x))).chunk(3, dim=1)
        projected: Tensor = self.project(torch.cat([linear, left * right], dim=1))
        return projected


class UNet(nn.Module):
    """Φ(x) = Up(Φ₁(Dw(x))) + Φ₂(x). Paper, eq. (5).

    Dw is an average over blocks of cells, Up a transposed convolution, and Φ₁ and Φ₂ are branches of a
    convolution, ReLU and a bilinear layer. If the length of an axis is not a multiple of the block, the last
    block is smaller.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each of the 1, 2 or 3 space axes.
    width : int
        Number of channels inside a branch.
    kernel : int
        Length of the first convolution of a branch along each axis; odd.
    downsampling : int or sequence of int
        Number of cells that Dw averages along each axis.
    fold : int or sequence of int
        Number of cells along each axis of the blocks that are folded into channels before the network and
        unfolded after it: the same receptive field with smaller kernels, at a fraction of the cost.
    covariates : int
        Number of channels of c, for Φ(x, c); both branches read them together with x.

    Raises
    ------
    ValueError
        If the kernel is even, a boundary rule is unknown, or a number of cells is not positive.

    Examples
    --------
    >>> prior = UNet(channels=15, boundary=("zero", "zero"), width=8)
    >>> prior(torch.zeros(2, 15, 31, 32)).shape
    torch.Size([2, 15, 31, 32])
    """

    def __init__(
        self,
        channels: int,
        boundary: Sequence[str],
        width: int = 32,
        kernel: int = 3,
        downsampling: int | Sequence[int] = 2,
        fold: int | Sequence[int] = 1,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        check_least(1, width=width)
        axes = len(boundary)
        blocks = per_axis(downsampling, axes, "downsampling")
        self.channels, self.boundary = channels, tuple(boundary)
        self.width, self.kernel, self.downsampling = width, kernel, blocks
        self.fold, self.covariates = per_axis(fold, axes, "fold"), covariates
        cells = math.prod(self.fold)
        folded = channels * cells
        self.coarse = Branch(folded, width, kernel, boundary, covariates * cells)
        self.fine = Branch(folded, width, kernel, boundary, covariates * cells)
        self.up = TRANSPOSED[axes](folded, folded, kernel_size=blocks, stride=blocks)

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Φ(x), or Φ(x, c).

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c, if the prior was made with covariates.

        Returns
        -------
        Tensor, shape of `x`
        """
        if covariates is not None:
            x = torch.cat([x, covariates], dim=1)
        if max(self.fold) == 1:
            return self._scales(x)
        folded = fold(whole_blocks(x, self.fold), self.fold)
        return cropped(unfold(self._scales(folded), self.fold), x.shape[2:])

    def _scales(self, x: Tensor) -> Tensor:
        # avg_pool3d rejects a block that is longer than the axis.
        blocks = [min(block, size) for block, size in zip(self.downsampling, x.shape[2:], strict=True)]
        down = POOLS[len(blocks)](x, blocks, ceil_mode=True, count_include_pad=False)
        fine: Tensor = self.fine(x)
        return cropped(self.up(self.coarse(down)), x.shape[2:]) + fine


def fold(x: Tensor, blocks: Sequence[int]) -> Tensor:
    """Move the cells of each block of ``(batch, channel, *space)`` into separate channels.

    Examples
    --------
    >>> fold(torch.arange(6.0).reshape(1, 1, 6), [2])
    tensor([[[0., 2., 4.],
             [1., 3., 5.]]])
    """
    axes = len(blocks)
    sizes = [part for n, b in zip(x.shape[2:], blocks, strict=True) for part in (n // b, b)]
    split = x.reshape(*x.shape[:2], *sizes)
    inner, outer = [3 + 2 * a for a in range(axes)], [2 + 2 * a for a in range(axes)]
    return split.permute(0, 1, *inner, *outer).flatten(1, 1 + axes)


def unfold(x: Tensor, blocks: Sequence[int]) -> Tensor:
    """The inverse of :func:`fold`."""
    axes = len(blocks)
    split = x.reshape(x.shape[0], -1, *blocks, *x.shape[2:])
    pairs = [axis for a in range(axes) for axis in (2 + axes + a, 2 + a)]
    sizes = [n * b for n, b in zip(x.shape[2:], blocks, strict=True)]
    return split.permute(0, 1, *pairs).reshape(*split.shape[:2], *sizes)
