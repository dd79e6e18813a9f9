"""Correction of a first guess in units of its standard error, by a U-Net."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from da4dvar.errors import check_least
from da4dvar.variational.convolution import Convolution, cropped, per_axis, whole_blocks
from da4dvar.variational.cost import Cost
from da4dvar.variational.priors.unet import POOLS, fold, unfold
from da4dvar.variational.solvers.base import Solution, Solver, Watch, solution

# Smallest standard error, in normalised units, by which innovations are divided.
SMALLEST_ERROR = 0.05
GROUPS = 8


class GroupNorm(nn.GroupNorm):
    """Group normalisation that accepts a single cell, to which small windows are reduced."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(batch, channel, *space)``."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Block(nn.Sequential):
    """Two convolutions of three cells, each with group normalisation and SiLU.

    Parameters
    ----------
    inputs, width : int
        Number of channels of the input and of the output.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    """

    def __init__(self, inputs: int, width: int, boundary: Sequence[str]) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, width):
            layers += [Convolution(channels, width, 3, boundary), GroupNorm(GROUPS, width), nn.SiLU()]
        super().__init__(*layers)


class Correction(Solver):
    """x̂ = x(0) + σ N(x(0), d, Ω, σ) with innovations d = (y − x(0)) / σ on Ω: a correction of a first guess.

    σ is the standard error of the first guess x(0), which the cost holds as its covariates. N is a U-Net
    (Ronneberger et al., 2015) of three levels, whose output is zero before training, so that x̂ = x(0). It is
    odd, N = (N₊ − N₋) / 2 with N₋ for −x(0) and −d: if all anomalies change their sign, so does x̂. U is
    evaluated only for the report.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    width, coarse_width : int
        Number of channels of N at the first level, and at the second and third; multiples of 8.
    fold : int or sequence of int
        Number of cells along each axis of the blocks that are folded into channels.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    H must be the identity. A model with this solver has a first guess with standard errors, and no
    covariates.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> y, sigma = torch.ones(2, 3, 9, 8), 0.1 * torch.ones(2, 3, 9, 8)
    >>> cost = VariationalCost(nn.Identity()).given(y, y > 0, sigma)
    >>> found = Correction(3, ["zero", "zero"], width=8, coarse_width=8)(cost, 0.9 * y)
    >>> found.x.shape, bool((found.x == 0.9 * y).all())
    (torch.Size([2, 3, 9, 8]), True)
    """

    takes_y_as_state = True
    takes_guess_error = True
    iterations = 1

    def __init__(
        self,
        channels: int,
        boundary: Sequence[str],
        width: int = 64,
        coarse_width: int = 80,
        fold: int | Sequence[int] = 2,
    ) -> None:
        super().__init__()
        check_least(1, width=width, coarse_width=coarse_width)
        if width % GROUPS or coarse_width % GROUPS:
            raise ValueError(f"widths are {width} and {coarse_width}, expected multiples of {GROUPS}")
        self.channels, self.boundary = channels, tuple(boundary)
        self.width, self.coarse_width = width, coarse_width
        self.fold = per_axis(fold, len(boundary), "fold")
        cells = math.prod(self.fold)
        self.fine = Block(4 * channels * cells, width, boundary)
        self.middle = Block(width, coarse_width, boundary)
        self.coarse = Block(coarse_width, coarse_width, boundary)
        self.middle_up = Block(2 * coarse_width, coarse_width, boundary)
        self.fine_up = Block(width + coarse_width, width, boundary)
        self.out = Convolution(width, channels * cells, 1, boundary)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        sigma = cost.covariates
        if sigma is None or sigma.shape != x0.shape:
            got = None if sigma is None else tuple(sigma.shape)
            raise ValueError(f"standard errors have shape {got}, expected {tuple(x0.shape)}")
        both = self.step(cost.y, cost.mask, x0, sigma), self.step(-cost.y, cost.mask, -x0, sigma)
        x = x0 + sigma * (both[0] - both[1]) / 2
        if watch is not None:
            watch(x0)
            watch(x)
        return solution(x, [cost.terms(x0), cost.terms(x)])

    def step(self, y: Tensor, mask: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Return N₊, the correction in units of σ.

        Parameters
        ----------
        y : Tensor, shape ``(batch, channel, *space)``
            Observations, zero outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω: true where there is an observation.
        x, sigma : Tensor, shape of `y`
            First guess and its standard error.

        Returns
        -------
        Tensor, shape of `y`
        """
        innovation = mask * (y - x) / sigma.clamp(min=SMALLEST_ERROR)
        inputs = torch.cat([x, innovation, mask.to(x.dtype), sigma], 1)
        # Both coarser levels need an even number of blocks.
        blocks = fold(whole_blocks(inputs, [4 * cells for cells in self.fold]), self.fold)
        pool = POOLS[len(self.fold)]
        fine = self.fine(blocks)
        middle = self.middle(pool(fine, 2))
        coarse = self.coarse(pool(middle, 2))
        middle = self.middle_up(torch.cat([middle, F.interpolate(coarse, scale_factor=2)], 1))
        fine = self.fine_up(torch.cat([fine, F.interpolate(middle, scale_factor=2)], 1))
        return cropped(unfold(self.out(fine).to(x.dtype), self.fold), x.shape[2:])
