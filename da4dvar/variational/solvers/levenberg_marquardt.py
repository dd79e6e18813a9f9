"""Levenberg-Marquardt with increasing prior weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from da4dvar.variational.background import Background
from da4dvar.variational.cost import Cost, Terms, refuse_inference_mode
from da4dvar.variational.observation import Identity
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal, MatrixFree, NormalEquations
from da4dvar.variational.solvers.tangent import Tangent


class LevenbergMarquardt(Solver):
    """(JᵀJ + μ I) δ = −Jᵀ r, x ← x + δ if U decreases: Gauss-Newton steps, damped per sample.

    The residuals r are those of U: H(x) − y on Ω, and x − Φ(x). For a flow prior and observations of the
    state itself, JᵀJ is block-tridiagonal in time and the system is solved directly. For any other prior
    the step is computed by conjugate gradients, without forming the matrix. Levenberg (1944); Marquardt
    (1963).

    With the full weight of the prior, U has many local minima for a chaotic system; with a small weight, the
    prior has little influence. The solver therefore increases the weight in stages, the rungs of the ladder:
    it minimises U with λ_p times each factor in turn, and the last factor should be 1. The U of the solution
    is never higher than that of x(0). The computation is not differentiable, so that nothing can be trained
    through this solver.

    Parameters
    ----------
    iterations : int
        Maximum number of steps in total, divided evenly among the rungs.
    ladder : sequence of float
        Factors of the prior weight.
    damping : float
        μ at the start of each rung; divided by ten after an accepted step and multiplied by ten after a
        rejected one.
    tolerance : float
        A sample leaves a rung once an accepted step lowers U by less than this fraction.
    inner : int
        Maximum number of conjugate-gradient iterations per step, for a prior that is not a flow.
    background : float, optional
        For a flow prior: standard deviation of the error of x(0) at the first time. It adds a term
        ‖x − x(0)‖² / std² at that time to U, where the prior has no previous state to forecast from. This
        term is counted in the observation term along the iterations, except in the last, which is U alone.
        It is left out if the cost itself has a background.
    rollout : bool
        For a flow prior: whether a step also tries the trajectory of the flow that starts at the first state
        of x + δ, with the model errors that x + δ has in the linear model, and takes the better one. This
        takes a run of the flow in each step and far fewer steps, as the large weight of the prior no longer
        rejects long ones.

    Raises
    ------
    ValueError
        If a number is out of range; from `forward`, if ρ is not the square, or if there is a background but
        the prior is not a flow or H not the identity.
    RuntimeError
        From `forward`, under ``torch.inference_mode()``.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> from da4dvar.variational.dynamics.lorenz63 import Lorenz63
    >>> from da4dvar.variational.priors.flow import Flow
    >>> flow = Flow(Lorenz63(), step=0.01)
    >>> states = [torch.tensor([[[1.0], [1.0], [25.0]]])]
    >>> for _ in range(24):
    ...     states.append(flow.forecast(states[-1]))
    >>> truth = torch.cat(states, dim=-1)
    >>> seen = (torch.arange(25) % 8 == 0).expand_as(truth)
    >>> cost = VariationalCost(flow, prior_weight=1e4).given(truth, seen)
    >>> found = LevenbergMarquardt()(cost, torch.zeros_like(truth))
    >>> bool((found.x - truth).abs().max() < 0.05)
    True
    """

    def __init__(
        self,
        iterations: int = 30,
        ladder: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        damping: float = 1.0,
        tolerance: float = 1e-3,
        inner: int = 50,
        background: float | None = None,
        rollout: bool = False,
    ) -> None:
        super().__init__()
        if iterations < len(ladder) or not ladder or min(ladder) <= 0 or damping <= 0:
            raise ValueError(
                f"got {iterations} iterations, {len(ladder)} rungs of the ladder and damping {damping}, "
                "expected at least one iteration per rung, and factors and damping above 0"
            )
        if inner < 1 or (background is not None and not background > 0):
            raise ValueError(
                f"inner is {inner} and background {background}, expected at least one inner iteration and "
                "a standard deviation above 0"
            )
        self.iterations, self.ladder, self.damping = iterations, tuple(ladder), damping
        self.tolerance, self.inner = tolerance, inner
        self.background = background
        self.rollout = rollout

    def forward(
        self, cost: Cost, x0: Tensor, watch: Watch | None = None, tangent: Tangent | None = None
    ) -> Solution:
        refuse_inference_mode()
        # The systems are too ill-conditioned for the eight significant bits of mixed precision.
        with torch.no_grad(), torch.autocast(x0.device.type, enabled=False):
            equations = self._equations(cost, x0, tangent)
            x, path = x0, [cost.terms(x0)]
            if watch is not None:
                watch(x0)
            converged = torch.zeros(len(x0), dtype=torch.bool, device=x0.device)
            for rung, factor in enumerate(self.ladder):
                steps = (self.iterations * (rung + 1)) // len(self.ladder)
                steps -= (self.iterations * rung) // len(self.ladder)
                x, converged = self._climbed(equations, x, factor, steps, path, watch)
            # The lower rungs minimise another cost, so that the result can have a higher U than x(0).
            begun, ended = path[0], cost.terms(x)
            better = (begun.total < ended.total) | ~ended.total.isfinite()
            x = torch.where(per_sample(better, x), x0, x)
            last = [torch.where(better, b, e) for b, e in zip(begun, ended, strict=True)]
            path[-1] = Terms(*last)
        return solution(x, path, converged & ~better)

    def _equations(self, cost: Cost, x0: Tensor, tangent: Tangent | None) -> NormalEquations:
        model = cost.model
        if model.rho != "square":
            raise ValueError(
                f"Levenberg-Marquardt needs rho 'square', got {model.rho!r}; use gradient descent or "
                "a learned solver for other shapes"
            )
        if isinstance(model.prior, Flow) and isinstance(model.observation, Identity):
            background = cost.background
            if background is None and self.background is not None:
                background = Background.isotropic(x0[..., 0], self.background)
            return BlockTridiagonal(cost, model.prior, background, tangent, self.rollout)
        if self.background is not None:
            raise ValueError(
                "a background needs a flow prior and observations of the state itself; leave it out"
            )
        return MatrixFree(cost, self.inner)

    def _climbed(
        self,
        equations: NormalEquations,
        x: Tensor,
        factor: float,
        steps: int,
        path: list[Terms],
        watch: Watch | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the minimiser on one rung and which samples converged; append `steps` terms to `path`."""
        x = x.clone()
        observation, prior = equations.terms(x)
        value = finite(observation + factor * prior)
        mu = torch.full_like(value, self.damping)
        left = torch.arange(len(x), device=x.device)
        for _ in range(steps):
            if len(left):
                candidate, terms, reached = best_of(equations, left, x, factor, mu)
                lower = reached < value[left]
                done = lower & (value[left] - reached < self.tolerance * value[left])
                taken = left[lower]
                x[taken], value[taken] = candidate[lower], reached[lower]
                observation[taken], prior[taken] = terms.observation[lower], terms.prior[lower]
                mu[left] = torch.where(lower, mu[left] / 10, mu[left] * 10)
                left = left[~done]
            path.append(Terms(observation.clone(), prior.clone()))
            if watch is not None:
                watch(x.clone())
        converged = torch.ones(len(x), dtype=torch.bool, device=x.device)
        converged[left] = False
        return x, converged


def best_of(
    equations: NormalEquations, samples: Tensor, x: Tensor, factor: float, mu: Tensor
) -> tuple[Tensor, Terms, Tensor]:
    """Return the best candidate of some samples, both terms there, and U with the factor of λ_p."""
    groups = equations.each(
        lambda group: best_candidate(equations.of(group), x[group], factor, mu[group]), samples
    )
    candidates, terms, reached = zip(*groups, strict=True)
    return torch.cat(candidates), Terms(*map(torch.cat, zip(*terms, strict=True))), torch.cat(reached)


def best_candidate(
    equations: NormalEquations, x: Tensor, factor: float, mu: Tensor
) -> tuple[Tensor, Terms, Tensor]:
    """Return the candidate of the lowest U of each sample, both terms there, and U with the factor of λ_p."""
    best: tuple[Tensor, Terms, Tensor] | None = None
    for candidate in equations.candidates(x, factor, mu):
        terms = equations.terms(candidate)
        reached = finite(terms.observation + factor * terms.prior)
        if best is not None:
            better = reached < best[2]
            candidate = torch.where(per_sample(better, x), candidate, best[0])
            terms = Terms(*(torch.where(better, new, old) for new, old in zip(terms, best[1], strict=True)))
            reached = torch.where(better, reached, best[2])
        best = candidate, terms, reached
    assert best is not None
    return best


def finite(value: Tensor) -> Tensor:
    """Replace values that are not finite by infinity, so that they compare as higher than any other."""
    return torch.where(value.isfinite(), value, torch.inf)
