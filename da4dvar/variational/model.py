"""The end-to-end model: a variational cost and the solver that minimises it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from da4dvar.variational.background import Background
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.solvers.base import Solution, Solver, Watch


class VariationalModel(nn.Module):
    """x̂ = Ψ(x(0), y, Ω): the solver Γ applied to U(·, y, Ω). Paper, sections 3.2 and 3.3.

    Parameters
    ----------
    cost : VariationalCost
        U, with the prior, the observation operator and the weights.
    solver : Solver
        Γ, which minimises U.

    Examples
    --------
    >>> import torch
    >>> from da4dvar.variational.solvers.gradient_descent import GradientDescent
    >>> model = VariationalModel(VariationalCost(torch.zeros_like), GradientDescent(step=0.1, iterations=50))
    >>> y = torch.tensor([[[2.0, torch.nan]]])
    >>> with torch.no_grad():
    ...     model(y, y.isfinite(), torch.ones(1, 1, 2)).x.round(decimals=2)  # y / 2, and the prior's 0
    tensor([[[1., 0.]]])
    """

    def __init__(self, cost: VariationalCost, solver: Solver) -> None:
        super().__init__()
        self.cost, self.solver = cost, solver

    @property
    def device(self) -> torch.device:
        """Device of the weights, on which states must be."""
        return self.cost.log_weights.device

    def forward(
        self,
        y: Tensor,
        mask: Tensor,
        x0: Tensor,
        watch: Watch | None = None,
        covariates: Tensor | None = None,
        recompute: bool = False,
        background: Background | None = None,
    ) -> Solution:
        """Estimate the state from the observations, starting at `x0`.

        Parameters
        ----------
        y : Tensor, shape ``(batch, channel, *space)``
            Observations; any value, NaN included, outside Ω.
        mask : Tensor of bool, shape of `y`
            Ω: true where there is an observation.
        x0 : Tensor, shape ``(batch, channel, *space)``
            x(0), the initial state.
        watch : callable, optional
            Called with each iterate, starting with x(0).
        covariates : Tensor, shape ``(batch, covariate, *space)``, optional
            c, for a prior or solver that uses covariates.
        recompute : bool
            Whether to recompute the graph of an iteration in the backward pass rather than store it; only
            for a solver whose attribute `recomputes` is true.
        background : Background, optional
            x_b and B, which add the term ‖x(t₀) − x_b‖²_B to U.

        Returns
        -------
        Solution
        """
        cost = self.cost.given(y, mask, covariates, background)
        options = {"recompute": True} if recompute else {}
        found: Solution = self.solver(cost, x0, watch, **options)
        return found
