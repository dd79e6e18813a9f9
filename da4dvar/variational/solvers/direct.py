"""Regression from the same input as a solver's, without a cost: what the gradient is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from da4dvar.variational.convolution import TRANSPOSED, Convolution
from da4dvar.variational.cost import Cost
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.base import Solution, Solver, Watch, solution

# Each is a network of its own.
MOST = 1000


class Step(UNet):
    """Ψₖ: a U-Net that reads further channels behind those of the state, and makes those of the state alone.

    Parameters
    ----------
    channels, further : int
        Channels of the state, and those that are read behind them.
    boundary, width, kernel, downsampling, fold
        See :class:`da4dvar.variational.priors.unet.UNet`.
    """

    def __init__(
        self,
        channels: int,
        further: int,
        boundary: Sequence[str],
        width: int,
        kernel: int,
        downsampling: int | Sequence[int],
        fold: int | Sequence[int],
    ) -> None:
        super().__init__(channels + further, boundary, width, kernel, downsampling, fold)
        cells, blocks = math.prod(self.fold), self.downsampling
        read, made = self.channels * cells, channels * cells
        self.fine.project = Convolution(2 * width, made, 1, boundary)
        self.up = TRANSPOSED[len(boundary)](read, made, kernel_size=blocks, stride=blocks)


class Direct(Solver):
    """x(k+1) = x(k) + Ψₖ(x(k), y, Ω): U-Nets in a row, each with weights of its own.

    U is looked at only to report it; one iteration is a plain U-Net.

    Parameters
    ----------
    channels : int
        Channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        One rule for each space axis.
    width, kernel : int
        Of every Ψₖ; see :class:`da4dvar.variational.priors.unet.UNet`.
    downsampling, fold : int or sequence of int
        The same.
    iterations : int
        How many Ψₖ there are.
    state_scale : float
        The usual size of the state, by which what goes in and out is divided and multiplied.
    covariates : int
        Channels of the cost's covariates, which every Ψₖ is fed as well.

    Raises
    ------
    ValueError
        If a number makes no sense.

    Notes
    -----
    Observations have the shape of the state here: H is the identity.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> y = torch.ones(2, 1, 8)
    >>> cost = VariationalCost(nn.Identity()).given(y, y > 0)
    >>> found = Direct(1, ["zero"], width=4, iterations=3)(cost, torch.zeros_like(y))
    >>> found.x.shape, found.iterations
    (torch.Size([2, 1, 8]), 3)
    """

    takes_y_as_state = True

    def __init__(
        self,
        channels: int,
        boundary: Sequence[str],
        width: int = 32,
        kernel: int = 3,
        downsampling: int | Sequence[int] = 2,
        fold: int | Sequence[int] = 1,
        iterations: int = 1,
        state_scale: float = 1.0,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        if not 1 <= iterations <= MOST or not state_scale > 0:
            raise ValueError(
                f"iterations is {iterations} and state_scale {state_scale}, expected from 1 to {MOST}, "
                "and above 0"
            )
        self.channels, self.boundary = channels, tuple(boundary)
        self.width, self.kernel, self.downsampling, self.fold = width, kernel, downsampling, fold
        self.iterations, self.state_scale, self.covariates = iterations, state_scale, covariates
        self.networks = nn.ModuleList(
            Step(channels, 2 * channels + covariates, boundary, width, kernel, downsampling, fold)
            for _ in range(iterations)
        )

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        x, path = x0, [cost.terms(x0)]
        given = [cost.y / self.state_scale, cost.mask.to(x0.dtype)]
        if self.covariates and cost.covariates is not None:
            given.append(cost.covariates)
        if watch is not None:
            watch(x)
        for network in self.networks:
            seen = torch.cat([x / self.state_scale, *given], dim=1)
            x = x + self.state_scale * network(seen)
            path.append(cost.terms(x))
            if watch is not None:
                watch(x)
        return solution(x, path)
