"""The end-to-end model: a variational cost and the solver that minimises it."""

from __future__ import annotations

from torch import Tensor, nn

from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.solvers.base import Solution, Solver, Watch


class VariationalModel(nn.Module):
    """x̂ = Ψ(x(0), y, Ω): the solver Γ run on U(·, y, Ω). Paper, sections 3.2 and 3.3.

    Parameters
    ----------
    cost : VariationalCost
    solver : Solver
    """

    def __init__(self, cost: VariationalCost, solver: Solver) -> None:
        super().__init__()
        self.cost, self.solver = cost, solver

    def forward(
        self,
        y: Tensor,
        mask: Tensor,
        x0: Tensor,
        watch: Watch | None = None,
        covariates: Tensor | None = None,
        recompute: bool = False,
    ) -> Solution:
        """The estimate from an observation `y` on `mask`, started at `x0`; all of one shape.

        `watch` is told every iterate; `covariates`, shape ``(batch, covariate, *space)``, are given.
        With `recompute` the graph of an iteration is made again where it is needed, by a solver that can.
        """
        cost = self.cost.given(y, mask, covariates)
        return self.solver(cost, x0, watch, recompute=True) if recompute else self.solver(cost, x0, watch)
