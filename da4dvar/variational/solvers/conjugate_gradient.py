"""Non-linear conjugate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.errors import check_least
from da4dvar.variational.cost import Cost
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution


class ConjugateGradient(Solver):
    """d(k) = −g(k) + β d(k−1), x(k+1) = x(k) + s d(k), with the β of Polak and Ribière, β ≥ 0.

    The step s minimises the parabola given by U and its slope at x(k) and by the slope at a nearby point
    along d(k), which is exact for a quadratic U. It is halved until U decreases sufficiently (Armijo's rule).
    Nocedal and Wright (2006), algorithm 5.4 and eq. (5.45).

    Parameters
    ----------
    iterations : int
        Maximum number of updates.
    tolerance : float
        A sample has converged once its gradient norm is at most this fraction of the initial one.
    halvings : int
        Maximum number of halvings of a step; a sample whose U still does not decrease is left unchanged.

    Raises
    ------
    ValueError
        If `iterations` is below 1 or `halvings` below 0.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> y = torch.tensor([[[2.0, 4.0]]])
    >>> cost = VariationalCost(torch.zeros_like, prior_weight=3.0).given(y, y > 0)
    >>> with torch.no_grad():
    ...     found = ConjugateGradient()(cost, torch.zeros(1, 1, 2))
    >>> found.x.round(decimals=3), found.iterations < 5
    (tensor([[[0.5000, 1.0000]]]), True)
    """

    def __init__(self, iterations: int = 100, tolerance: float = 1e-6, halvings: int = 10) -> None:
        super().__init__()
        check_least(1, iterations=iterations)
        check_least(0, halvings=halvings)
        self.iterations, self.tolerance, self.halvings = iterations, tolerance, halvings

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        x = x0
        gradient, terms = cost.gradient(x)
        path, direction = [terms], -gradient
        if watch is not None:
            watch(x)
        first = _norm(gradient)
        converged = first == 0
        for _ in range(self.iterations):
            slope = _dot(gradient, direction)
            # A direction that is not a descent direction is replaced by steepest descent.
            direction = torch.where(per_sample(slope < 0, x), direction, -gradient)
            slope = _dot(gradient, direction)
            x = x + self._step(cost, x, gradient, direction, slope, path[-1].total, converged)
            previous = gradient
            gradient, terms = cost.gradient(x)
            path.append(terms)
            if watch is not None:
                watch(x)
            beta = _dot(gradient, gradient - previous) / _dot(previous, previous).clamp_min(_TINY)
            direction = -gradient + per_sample(beta.clamp_min(0), x) * direction
            converged = converged | (_norm(gradient) <= self.tolerance * first)
            if bool(converged.all()):
                break
        return solution(x, path, converged)

    def _step(
        self,
        cost: Cost,
        x: Tensor,
        gradient: Tensor,
        direction: Tensor,
        slope: Tensor,
        value: Tensor,
        converged: Tensor,
    ) -> Tensor:
        """s d for each sample; zero for a sample that has converged or whose U does not decrease."""
        probe = 1e-3 * (1 + _norm(x)) / _norm(direction).clamp_min(_TINY)
        ahead, _ = cost.gradient(x + per_sample(probe, x) * direction)
        curvature = (_dot(ahead, direction) - slope) / probe
        length = torch.where(curvature > 0, -slope / curvature.clamp_min(_TINY), probe)
        accepted = converged.clone()
        taken = torch.zeros_like(length)
        for _ in range(self.halvings + 1):
            reached = cost(x + per_sample(length, x) * direction)
            lower = ~accepted & (reached <= value + 1e-4 * length * slope)
            taken = torch.where(lower, length, taken)
            accepted = accepted | lower
            if bool(accepted.all()):
                break
            length = length / 2
        return per_sample(taken, x) * direction


_TINY = 1e-30


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _norm(a: Tensor) -> Tensor:
    norm: Tensor = a.flatten(1).norm(dim=1)
    return norm
