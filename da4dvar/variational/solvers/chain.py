"""One solver after another."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.solvers.base import Solution, Solver


class Chain(Solver):
    """Start the second solver from the solution of the first, on another cost if one is given.

    A learned solver followed by Levenberg-Marquardt on the true dynamics is
    ``Chain(ConvLSTM(...), LevenbergMarquardt(), VariationalCost(Flow(...), prior_weight=1e5))``.

    Parameters
    ----------
    first, second : Solver
    cost : VariationalCost, optional
        What the second minimises; the same as the first if not given.

    Notes
    -----
    The terms along the iterations are those of the cost that each solver minimised.
    """

    def __init__(self, first: Solver, second: Solver, cost: VariationalCost | None = None) -> None:
        super().__init__()
        self.first, self.second, self.cost = first, second, cost
        self.iterations = first.iterations + second.iterations

    def forward(self, cost: Cost, x0: Tensor) -> Solution:
        begun = self.first(cost, x0)
        other = cost if self.cost is None else self.cost.given(cost.y, cost.mask)
        ended = self.second(other, begun.x)
        return Solution(
            ended.x,
            torch.cat([begun.observation, ended.observation[1:]]),
            torch.cat([begun.prior, ended.prior[1:]]),
            begun.iterations + ended.iterations,
            ended.converged,
        )
