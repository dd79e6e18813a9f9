"""Levenberg-Marquardt up a ladder of prior weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from da4dvar.variational.cost import Cost, Terms, refuse_inference_mode
from da4dvar.variational.observation import Identity
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal, MatrixFree, NormalEquations


class LevenbergMarquardt(Solver):
    """(JᵀJ + μ I) δ = −Jᵀ r, x ← x + δ where U falls: Gauss-Newton steps, damped per sample.

    The residuals r are those of U: H(x) − y on Ω, and x − Φ(x). For a flow and observations of the
    state itself, JᵀJ is block-tridiagonal in time and solved directly; for any other prior the step
    comes from conjugate gradients, without a matrix. Levenberg (1944); Marquardt (1963).

    With its full weight the prior of a chaotic system leaves U with many local minima; with a small
    one it says little. The ladder climbs from the second to the first: U is minimised with λ_p times
    each factor in turn, and the last factor should be one. What is found is never worse in U than
    x(0). Computed without gradients: it is not trained through.

    Parameters
    ----------
    iterations : int
        Most steps in all, shared out evenly among the rungs.
    ladder : sequence of float
        Factors of the weight of the prior.
    damping : float
        μ at the start of a rung; it falls tenfold with a step that is taken and
        grows tenfold with one that is not.
    tolerance : float
        A sample leaves a rung once a step that is taken lowers U by less than this part.
    inner : int
        Most iterations of conjugate gradients for a step, with a prior that is no flow.
    background : float, optional
        With a flow: the standard deviation of the error of x(0) at the first time, for a term
        ‖x − x(0)‖² / std² of that time beside U, where nothing comes before to say what is likely. The
        terms along the iterations count it as observed, but for the last, which is U alone.

    Raises
    ------
    ValueError
        If a number makes no sense; from `forward`, if ρ is not the square, or for a background without a
        flow.
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
    ) -> None:
        super().__init__()
        if iterations < len(ladder) or not ladder or min(ladder) <= 0 or damping <= 0:
            raise ValueError(
                f"{iterations} iterations on a ladder of {len(ladder)} with damping {damping}: expected "
                "at least an iteration a rung, and factors and damping above 0"
            )
        if inner < 1 or (background is not None and not background > 0):
            raise ValueError(
                f"inner {inner} and background {background}: expected an inner iteration at least, and a "
                "standard deviation above 0"
            )
        self.iterations, self.ladder, self.damping = iterations, tuple(ladder), damping
        self.tolerance, self.inner = tolerance, inner
        self.background = background

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        refuse_inference_mode()
        # Its systems are too ill-conditioned for the eight bits of mixed precision.
        with torch.no_grad(), torch.autocast(x0.device.type, enabled=False):
            equations = self._equations(cost, x0)
            x, path = x0, [cost.terms(x0)]
            if watch is not None:
                watch(x0)
            converged = torch.zeros(len(x0), dtype=torch.bool, device=x0.device)
            for rung, factor in enumerate(self.ladder):
                steps = (self.iterations * (rung + 1)) // len(self.ladder)
                steps -= (self.iterations * rung) // len(self.ladder)
                x, converged = self._climbed(equations, x, factor, steps, path, watch)
            # The lower rungs are a way, not an aim: a start that was better is better.
            begun, ended = path[0], cost.terms(x)
            better = (begun.total < ended.total) | ~ended.total.isfinite()
            x = torch.where(per_sample(better, x), x0, x)
            last = [torch.where(better, b, e) for b, e in zip(begun, ended, strict=True)]
            path[-1] = Terms(*last)
        return solution(x, path, converged & ~better)

    def _equations(self, cost: Cost, x0: Tensor) -> NormalEquations:
        model = cost.model
        if model.rho != "square":
            raise ValueError(
                f"Levenberg-Marquardt needs the square as rho, got {model.rho!r}; use gradient descent or "
                "a learned solver for another"
            )
        if isinstance(model.prior, Flow) and isinstance(model.observation, Identity):
            std = math.inf if self.background is None else self.background
            return BlockTridiagonal(cost, model.prior, x0[..., 0], std)
        if self.background is not None:
            raise ValueError(
                "a background needs a flow as prior and observations of the state itself; leave it out"
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
        """The minimiser on one rung, and which samples have converged; the path grows by `steps`."""
        x = x.clone()
        observation, prior = equations.terms(x)
        value = finite(observation + factor * prior)
        mu = torch.full_like(value, self.damping)
        left = torch.arange(len(x), device=x.device)
        for _ in range(steps):
            if len(left):
                part = equations.of(left)
                candidate = x[left] + part.step(x[left], factor, mu[left])
                terms = part.terms(candidate)
                reached = finite(terms.observation + factor * terms.prior)
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


def finite(value: Tensor) -> Tensor:
    """Infinity for what is no number, so that it is never lower than anything."""
    return torch.where(value.isfinite(), value, torch.inf)
