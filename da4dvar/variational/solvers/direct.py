"""Regression without a cost from the inputs of a solver, to measure the value of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from da4dvar.variational.convolution import TRANSPOSED, Convolution
from da4dvar.variational.cost import Cost
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.base import Solution, Solver, Watch, solution

# Maximum number of iterations, each of which has its own network.
MOST = 1000


class Step(UNet):
    """Ψₖ: a U-Net that reads the state and further channels, and returns the channels of the state only.

    Parameters
    ----------
    channels, further : int
        Number of channels of the state, and of the further input channels after them.
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
    """x(k+1) = x(k) + Ψₖ(x(k), y, Ω): a sequence of U-Nets, each with its own weights.

    U is evaluated only for the report. With one iteration the solver is a plain U-Net.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    width, kernel : int
        Width and kernel of every Ψₖ; see :class:`da4dvar.variational.priors.unet.UNet`.
    downsampling, fold : int or sequence of int
        Downsampling and folding of every Ψₖ; see :class:`da4dvar.variational.priors.unet.UNet`.
    iterations : int
        Number of networks Ψₖ, at most 1000.
    state_scale : float
        Typical magnitude of the state, by which the inputs are divided and the outputs multiplied.
    covariates : int
        Number of channels of the covariates of the cost, which every Ψₖ reads as well.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    H must be the identity: the observations have the shape of the state.

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
                f"iterations is {iterations} and state_scale {state_scale}, "
                f"expected 1 to {MOST} iterations and a scale above 0"
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
