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
        U: the prior, the observation operator and the weights.
    solver : Solver
        Γ, which minimises it.

    Examples
    --------
    >>> import torch
    >>> from da4dvar.variational.solvers.gradient_descent import GradientDescent
    >>> model = VariationalModel(VariationalCost(torch.zeros_like), GradientDescent(step=0.1, iterations=50))
    >>> y = torch.tensor([[[2.0, torch.nan]]])
    >>> with torch.no_grad():
    ...     model(y, y.isfinite(), torch.ones(1, 1, 2)).x.round(decimals=2)  # half of y, and the prior's zero
    tensor([[[1., 0.]]])
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
        """The estimate from an observation `y` on `mask`, started at `x0`.

        Parameters
        ----------
        y : Tensor, shape ``(batch, channel, *space)``
            NaN or anything else outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω.
        x0 : Tensor, shape ``(batch, channel, *space)``
            x(0).
        watch : callable, optional
            Told every iterate, x(0) first.
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c.
        recompute : bool
            Make the graph of an iteration again where it is needed, by a solver that can.

        Returns
        -------
        Solution
        """
        cost = self.cost.given(y, mask, covariates)
        told = {"recompute": True} if recompute else {}
        found: Solution = self.solver(cost, x0, watch, **told)
        return found
