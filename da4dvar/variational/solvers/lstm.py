"""The learned solver: a convolutional LSTM whose input is the gradient of U, eq. (8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from da4dvar.errors import check_least
from da4dvar.variational.convolution import (
    CONVOLUTIONS,
    TRANSPOSED,
    Convolution,
    cropped,
    per_axis,
    whole_blocks,
)
from da4dvar.variational.cost import Cost, Terms
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution
from da4dvar.variational.solvers.recompute import Step, recomputed

# Added to the mean square of the first gradient, which is near zero if nothing was observed.
SMALLEST_SQUARE = 1e-6


class ConvLSTMCell(nn.Module):
    """One step of a convolutional LSTM (Shi et al., 2015, eq. (3), without peepholes).

    Parameters
    ----------
    inputs, width : int
        Number of channels of the input, and of h and c.
    kernel : int
        Length of the kernel of the gates along each axis; odd.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    """

    def __init__(self, inputs: int, width: int, kernel: int, boundary: Sequence[str]) -> None:
        super().__init__()
        self.gates = Convolution(inputs + width, 4 * width, kernel, boundary)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next h and c, ``(batch, width, *space)``, given x, ``(batch, input, *space)``."""
        enter, forget, leave, value = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(value)
        return torch.sigmoid(leave) * torch.tanh(c), c


class ConvLSTM(Solver):
    """g(k+1) = LSTM[α ∇U(x(k)), h(k), c(k)], x(k+1) = x(k) − H(g(k+1)). Paper, eq. (8).

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.
    width : int
        Number of channels of h and c.
    kernel : int
        Length of the kernel of the gates along each axis; odd.
    iterations : int
        Number of updates.
    scale : {"rms", "learned"}
        α: the inverse root mean square of the first gradient of each sample, or one learned number.
    output : {"linear", "convolutional"}
        Kernel of H: a single cell, or the size of the kernel of the gates.
    state_scale : float, optional
        Typical magnitude of the state. If given, the LSTM also reads x(k) divided by it.
    feed : {"gradient", "terms"}
        Input of the LSTM: α ∇U, or α times the gradient of each term of U, as separate channels.
    downsampling : int or sequence of int
        Number of cells along each axis of the blocks on which the LSTM runs; strided convolutions convert
        to and from blocks. Blocks reduce the cost and enlarge the receptive field.
    covariates : int
        Number of channels of the covariates of the cost, which the LSTM reads without scaling.

    Raises
    ------
    ValueError
        If an option is unknown, or a number is out of range.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> cost = VariationalCost(torch.nn.Identity()).given(torch.zeros(2, 1, 8), torch.ones(2, 1, 8) > 0)
    >>> solution = ConvLSTM(1, ("zero",), width=4, iterations=3)(cost, torch.ones(2, 1, 8))
    >>> solution.x.shape, solution.cost.shape
    (torch.Size([2, 1, 8]), torch.Size([4, 2]))
    """

    recomputes = True

    def __init__(
        self,
        channels: int,
        boundary: Sequence[str],
        width: int = 32,
        kernel: int = 3,
        iterations: int = 15,
        scale: str = "rms",
        output: str = "linear",
        state_scale: float | None = None,
        feed: str = "gradient",
        downsampling: int | Sequence[int] = 1,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        check_least(1, width=width, iterations=iterations)
        if scale not in ("rms", "learned"):
            raise ValueError(f"scale is {scale!r}, expected 'rms' or 'learned'")
        if output not in ("linear", "convolutional"):
            raise ValueError(f"output is {output!r}, expected 'linear' or 'convolutional'")
        if feed not in ("gradient", "terms"):
            raise ValueError(f"feed is {feed!r}, expected 'gradient' or 'terms'")
        self.channels, self.boundary, self.width = channels, tuple(boundary), width
        self.kernel, self.iterations, self.scale = kernel, iterations, scale
        self.output, self.state_scale, self.feed = output, state_scale, feed
        self.covariates = covariates
        axes = len(boundary)
        self.downsampling = per_axis(downsampling, axes, "downsampling")
        inputs = channels * ((feed == "terms") + 1 + (state_scale is not None)) + covariates
        blocks = tuple(self.downsampling)
        outputs = channels
        if max(blocks) == 1:
            self.down: nn.Module = nn.Identity()
            self.up: nn.Module = nn.Identity()
        else:
            self.down = CONVOLUTIONS[axes](inputs, width, blocks, stride=blocks)
            self.up = TRANSPOSED[axes](width, channels, blocks, stride=blocks, bias=False)
            inputs = outputs = width
        self.cell = ConvLSTMCell(inputs, width, kernel, boundary)
        self.update = Convolution(width, outputs, 1 if output == "linear" else kernel, boundary, bias=False)
        self.log_alpha = nn.Parameter(torch.zeros(()), requires_grad=scale == "learned")

    def forward(
        self, cost: Cost, x0: Tensor, watch: Watch | None = None, recompute: bool = False
    ) -> Solution:
        """Minimise U from x(0) with a fixed number of learned updates.

        Parameters
        ----------
        cost : Cost
            U, for the given observations.
        x0 : Tensor, shape ``(batch, channel, *space)``
            x(0), the initial state.
        watch : callable, optional
            Called with each iterate, starting with x(0).
        recompute : bool
            Whether to recompute the graph of an iteration in the backward pass rather than store it.

        Returns
        -------
        Solution
        """
        x, path = x0, []
        blocks = [-(-n // b) for n, b in zip(x0.shape[2:], self.downsampling, strict=True)]
        h = c = x0.new_zeros(x0.shape[0], self.width, *blocks)
        alpha = None
        iteration: Step = partial(self._iteration, cost)
        if recompute:
            learned = [*cost.model.parameters(), *self.parameters()]
            iteration = partial(recomputed, iteration, learned)
        for _ in range(self.iterations):
            if watch is not None:
                watch(x)
            x, h, c, alpha, *terms = iteration(x, h, c, alpha)
            path.append(Terms(*terms))
        path.append(cost.terms(x))
        if watch is not None:
            watch(x)
        return solution(x, path)

    def _iteration(
        self, cost: Cost, x: Tensor, h: Tensor, c: Tensor, alpha: Tensor | None
    ) -> tuple[Tensor, ...]:
        """x(k+1), h(k+1), c(k+1), α (set by the first iteration), and both terms of U at x(k)."""
        gradients, terms = self._gradients(cost, x)
        if alpha is None:
            alpha = self._normaliser(sum(gradients[1:], gradients[0]))
        fed = [alpha * g for g in gradients]
        if self.state_scale is not None:
            fed.append(x / self.state_scale)
        if self.covariates and cost.covariates is not None:
            fed.append(cost.covariates)
        seen = torch.cat(fed, dim=1)
        h, c = self.cell(self.down(whole_blocks(seen, self.downsampling)), h, c)
        return x - cropped(self.up(self.update(h)), x.shape[2:]), h, c, alpha, *terms

    def _gradients(self, cost: Cost, x: Tensor) -> tuple[tuple[Tensor, ...], Terms]:
        if self.feed == "terms":
            return cost.gradients(x)
        gradient, terms = cost.gradient(x)
        return (gradient,), terms

    def _normaliser(self, gradient: Tensor) -> Tensor:
        if self.scale == "learned":
            return self.log_alpha.exp()
        square = gradient.detach().square().flatten(1).mean(1)
        return per_sample((square + SMALLEST_SQUARE).rsqrt(), gradient)
