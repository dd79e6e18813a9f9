"""Levenberg-Marquardt for a flow prior, up a ladder of prior weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from da4dvar.variational.cost import Cost, Terms, refuse_inference_mode
from da4dvar.variational.observation import Identity
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import Solution, Solver, per_sample, solution
from da4dvar.variational.solvers.block_tridiagonal import solve_block_tridiagonal
from da4dvar.variational.solvers.tangent import Tangent


class LevenbergMarquardt(Solver):
    """(JᵀJ + μ I) δ = −Jᵀ r, x ← x + δ where U falls: Gauss-Newton steps, damped per sample.

    The residuals r are those of U: x − y on Ω, and x(t) − Φ(x)(t) from every time to the next, so
    that JᵀJ is block-tridiagonal in time. Levenberg (1944); Marquardt (1963).

    With its full weight the prior of a chaotic system leaves U with many local minima; with a small
    one it says little. The ladder climbs from the second to the first: U is minimised with λ_p times
    each factor in turn, and the last factor should be one. What is found is never worse in U than
    x(0). Computed in double precision, without gradients: it is not trained through.

    Parameters
    ----------
    iterations : int
        Steps in all, shared out evenly among the rungs.
    ladder : sequence of float
        Factors of the weight of the prior.
    damping : float
        μ at the start, in units of λ_o; it falls tenfold with a step that is taken and grows tenfold
        with one that is not.
    tolerance : float
        A sample has converged if its last step that was taken changed U by less than this part.

    Raises
    ------
    ValueError
        From `forward`, if the prior is no flow, H is not the identity or ρ is not the square.
    """

    def __init__(
        self,
        iterations: int = 25,
        ladder: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        damping: float = 1e-2,
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__()
        if iterations < len(ladder) or not ladder or min(ladder) <= 0 or damping <= 0:
            raise ValueError(
                f"{iterations} iterations on a ladder of {len(ladder)} with damping {damping}: expected "
                "at least an iteration a rung, and factors and damping above 0"
            )
        self.iterations, self.ladder = iterations, tuple(ladder)
        self.damping, self.tolerance = damping, tolerance

    def forward(self, cost: Cost, x0: Tensor) -> Solution:
        model = cost.model
        flow = model.prior
        if not isinstance(flow, Flow) or not isinstance(model.observation, Identity) or model.rho != "square":
            raise ValueError(
                "Levenberg-Marquardt needs a flow as prior, observations of the state itself and the "
                "square as rho; use gradient descent or a learned solver for another cost"
            )
        refuse_inference_mode()
        with torch.no_grad():
            problem = _Problem(
                copy.deepcopy(flow).double(),
                cost.y.double(),
                cost.mask,
                *(float(w) for w in model.log_weights.double().exp()),
            )
            x, path = x0.double(), [cost.terms(x0)]
            converged = torch.zeros(x0.shape[0], dtype=torch.bool, device=x0.device)
            for rung, factor in enumerate(self.ladder):
                steps = (self.iterations * (rung + 1)) // len(self.ladder)
                steps -= (self.iterations * rung) // len(self.ladder)
                mu = torch.full_like(x[:, 0].flatten(1)[:, 0], self.damping * problem.observation_weight)
                value = problem.value(x, factor)
                if rung == len(self.ladder) - 1:
                    # The lower rungs are a way, not an aim: what was better before them is better.
                    before = problem.value(x0.double(), factor)
                    x = torch.where(per_sample(before < value, x), x0.double(), x)
                    value = torch.minimum(before, value)
                for _ in range(steps):
                    candidate = x + problem.step(x, factor, mu)
                    reached = problem.value(candidate, factor)
                    lower = reached < value
                    converged = lower & (value - reached < self.tolerance * value)
                    x = torch.where(per_sample(lower, x), candidate, x)
                    value = torch.where(lower, reached, value)
                    mu = torch.where(lower, mu / 10, mu * 10)
                    path.append(problem.terms(x, x0.dtype))
        return solution(x.to(x0.dtype), path, converged)


class _Problem:
    """The residuals of U and their derivatives, time after time."""

    def __init__(
        self, flow: Flow, y: Tensor, mask: Tensor, observation_weight: float, prior_weight: float
    ) -> None:
        self.flow, self.y, self.mask = flow, y, mask
        self.observation_weight, self.prior_weight = observation_weight, prior_weight
        self.tangent = Tangent(flow, y)

    def squares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        misfit = torch.where(self.mask, x - self.y, 0.0)
        residual = x[..., 1:] - self.flow.forecast(x[..., :-1])
        return misfit.square().flatten(1).sum(1), residual.square().flatten(1).sum(1)

    def terms(self, x: Tensor, dtype: torch.dtype) -> Terms:
        observation, prior = self.squares(x)
        return Terms((self.observation_weight * observation).to(dtype), (self.prior_weight * prior).to(dtype))

    def value(self, x: Tensor, factor: float) -> Tensor:
        """U with the weight of the prior times `factor`; never lower than what is not finite."""
        observation, prior = self.squares(x)
        value = self.observation_weight * observation + factor * self.prior_weight * prior
        return torch.where(value.isfinite(), value, torch.inf)

    def step(self, x: Tensor, factor: float, mu: Tensor) -> Tensor:
        """δ for each sample."""
        weight, shape = factor * self.prior_weight, x.shape
        before, tangent = self.flow.forecast(x[..., :-1]), self.tangent(x[..., :-1])
        misfit = self._by_time(torch.where(self.mask, x - self.y, 0.0))
        residual = self._by_time(x[..., 1:] - before)
        n = misfit.shape[-1]
        diagonal = torch.diag_embed(
            self.observation_weight * self._by_time(self.mask.to(x.dtype)) + mu[:, None, None]
        )
        diagonal[:, 1:] += weight * torch.eye(n, dtype=x.dtype, device=x.device)
        diagonal[:, :-1] += weight * (tangent.mT @ tangent)
        right = -self.observation_weight * misfit
        right[:, 1:] -= weight * residual
        right[:, :-1] += weight * (tangent.mT @ residual[..., None]).squeeze(-1)
        delta = solve_block_tridiagonal(diagonal, -weight * tangent, right)
        return delta.movedim(1, -1).reshape(shape)

    @staticmethod
    def _by_time(x: Tensor) -> Tensor:
        """(batch, channel, *space, time) to (batch, time, n)."""
        return x.movedim(-1, 1).flatten(2)
