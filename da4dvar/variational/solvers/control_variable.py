"""A change of variable before a solver, for a prior that is a covariance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.observation import Observation
from da4dvar.variational.priors.covariance import Covariance
from da4dvar.variational.solvers.base import Solution, Solver, Watch


class ControlVariable(Solver):
    """x̂ = L v̂ with v̂ = arg min λ_o ‖H(L v) − y‖²_Ω + λ_p ρ(‖v‖), for a prior with the covariance B = L Lᵀ.

    In v, U is well conditioned: the eigenvalues of its second derivative for a linear H are in a ratio of at
    most 1 + λ_o ‖H B Hᵀ‖ / λ_p, and B is not inverted. This is the control variable transform of weather
    prediction (Lorenc et al., 2000).

    Parameters
    ----------
    solver : Solver
        Solver for v, which has the shape of x. A learned solver is trained through L.

    Raises
    ------
    ValueError
        If the solver uses y in place of the state or has a cost of its own; from `forward`, if the prior is
        not a :class:`~da4dvar.variational.priors.covariance.Covariance`.

    Notes
    -----
    The solver starts from v(0) = L⁻¹ x(0), which is zero for x(0) = 0. A rough x(0), such as the
    observations with zeros between them, is far from the minimum.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable, SumOfSeparable
    >>> from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient
    >>> y = torch.tensor([[[1.0], [2.0], [torch.nan], [2.0], [1.0], [0.0]]])
    >>> kernel = Separable(variance=1.0, length=1.0, duration=1.5, time="gaussian")
    >>> prior = Covariance(channels=6, space=[1], covariance=SumOfSeparable((kernel,), nugget=0.01))
    >>> cost = VariationalCost(prior, observation_weight=1 / 0.01).given(y, y.isfinite())
    >>> with torch.no_grad():
    ...     found = ControlVariable(ConjugateGradient())(cost, torch.zeros(1, 6, 1))
    >>> found.x.flatten().round(decimals=1)
    tensor([1.0000, 2.0000, 2.4000, 2.0000, 1.0000, 0.0000])
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"solver": "solver"}

    def __init__(self, solver: Solver) -> None:
        super().__init__()
        for part in solver.modules():
            if isinstance(part, VariationalCost) or (isinstance(part, Solver) and part.takes_y_as_state):
                raise ValueError(
                    f"got a solver with {type(part).__name__}, which takes v for the state; use one that "
                    "minimises the given cost, such as conjugate gradients"
                )
        self.solver = solver

    @property
    def iterations(self) -> int:  # type: ignore[override]
        """Updates of the solver for v."""
        return self.solver.iterations

    @property
    def recomputes(self) -> bool:  # type: ignore[override]
        """Whether the solver for v can recompute its iterations."""
        return self.solver.recomputes

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None, **options: Any) -> Solution:
        prior = cost.model.prior
        if not isinstance(prior, Covariance):
            raise ValueError(
                f"the prior is {type(prior).__name__}, expected one of kind 'covariance'; "
                "use another prior, or the solver inside without a control variable"
            )
        v0 = prior.control(x0)

        def told(v: Tensor) -> None:
            assert watch is not None
            watch(x0 if v is v0 else prior.state(v))

        # ‖v‖² = xᵀ B⁻¹ x, so that Φ(v) = 0.
        inner = VariationalCost(torch.zeros_like, Through(prior, cost.model.observation), cost.model.rho)
        inner.log_weights = cost.model.log_weights
        given = inner.given(cost.y, cost.mask, cost.covariates)
        found: Solution = self.solver(given, v0, None if watch is None else told, **options)
        return replace(found, x=prior.state(found.x))


class Through(Observation):
    """H(L v), an operator on the control variable.

    Parameters
    ----------
    prior : Covariance
        The prior with L.
    observation : nn.Module
        H.
    """

    def __init__(self, prior: Covariance, observation: nn.Module) -> None:
        super().__init__()
        self.prior, self.observation = prior, observation

    def weighted(self, misfit: Tensor) -> Tensor:
        """See :meth:`da4dvar.variational.observation.Observation.weighted`."""
        return self.observation.weighted(misfit) if isinstance(self.observation, Observation) else misfit

    def forward(self, v: Tensor) -> Tensor:
        """H(L v), for v of shape ``(batch, channel, *space)``."""
        observed: Tensor = self.observation(self.prior.state(v))
        return observed
