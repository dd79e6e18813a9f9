"""The two-scale U-Net, eq. (5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from da4dvar.variational.boundary import TRANSPOSED, Convolution

POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class Branch(nn.Module):
    """One scale of the U-Net: Φᵢ(x) = P [A r, (B r) ∘ (C r)] with r = ReLU(K * x).

    The product of two linear maps lets a branch hold the bilinear terms of a flow.
    """

    def __init__(self, channels: int, width: int, kernel: int, boundary: Sequence[str]) -> None:
        super().__init__()
        self.lift = Convolution(channels, width, kernel, boundary)
        self.maps = Convolution(width, 3 * width, 1, boundary)
        self.project = Convolution(2 * width, channels, 1, boundary)

    def forward(self, x: Tensor) -> Tensor:
        linear, left, right = self.maps(torch.relu(self.lift(x))).chunk(3, dim=1)
        return self.project(torch.cat([linear, left * right], dim=1))


class UNet(nn.Module):
    """Φ(x) = Up(Φ₁(Dw(x))) + Φ₂(x). Paper, eq. (5).

    Dw is an average over blocks, Up a transposed convolution, and Φ₁ and Φ₂ are branches of one
    convolution, ReLU and a bilinear layer. An axis whose length is not a multiple of the block is
    averaged over what is left at its end.

    Parameters
    ----------
    channels : int
        Channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        One rule for each of the 1, 2 or 3 space axes.
    width : int
        Channels inside a branch.
    kernel : int
        Odd length of the first convolution of a branch.
    downsampling : int or sequence of int
        Cells averaged by Dw along each axis.

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
    ) -> None:
        super().__init__()
        axes = len(boundary)
        blocks = [downsampling] * axes if isinstance(downsampling, int) else list(downsampling)
        if len(blocks) != axes:
            raise ValueError(f"downsampling has {len(blocks)} numbers for {axes} axes")
        self.channels, self.boundary = channels, tuple(boundary)
        self.width, self.kernel, self.downsampling = width, kernel, blocks
        self.coarse = Branch(channels, width, kernel, boundary)
        self.fine = Branch(channels, width, kernel, boundary)
        self.up = TRANSPOSED[axes](channels, channels, kernel_size=blocks, stride=blocks)

    def forward(self, x: Tensor) -> Tensor:
        # In three dimensions the library refuses a block that is longer than the axis.
        blocks = [min(block, size) for block, size in zip(self.downsampling, x.shape[2:], strict=True)]
        down = POOLS[len(blocks)](x, blocks, ceil_mode=True, count_include_pad=False)
        up = self.up(self.coarse(down))
        for axis, size in enumerate(x.shape[2:], start=2):
            up = up.narrow(axis, 0, size)
        return up + self.fine(x)
