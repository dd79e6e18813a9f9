"""Gauss-Newton steps on U: block-tridiagonal in time for a flow, matrix-free for other priors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from da4dvar.variational.background import Background
from da4dvar.variational.cost import Cost, Terms
from da4dvar.variational.forward_mode import derivative_along
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import per_sample
from da4dvar.variational.solvers.block_tridiagonal import (
    draws_block_tridiagonal,
    inverse_block_tridiagonal,
    solve_block_tridiagonal,
)
from da4dvar.variational.solvers.tangent import Tangent
from da4dvar.variational.solvers.threads import on_threads

# Samples whose matrices of all times stay in the cache of the processor.
SAMPLES = 16
Result = TypeVar("Result")


class NormalEquations(Protocol):
    """(JᵀJ + μ I) δ = −Jᵀ r for the residuals r of U, with the prior weight multiplied by a factor."""

    def of(self, samples: Tensor) -> Self:
        """Return the equations of a subset of the samples."""

    def each(self, work: Callable[[Tensor], Result], samples: Tensor) -> list[Result]:
        """Return the work on each of the groups of samples that are best worked on together."""

    def terms(self, x: Tensor) -> Terms:
        """Both weighted terms of U at `x`, shape (batch,) each."""

    def candidates(self, x: Tensor, factor: float, mu: Tensor) -> list[Tensor]:
        """x + δ and variants of it, each NaN for a sample whose equations cannot be solved."""


class BlockTridiagonal:
    """The normal equations for a flow prior and observations of the state itself.

    Parameters
    ----------
    cost : Cost
        U, for the given observations.
    flow : Flow
        Prior of the cost.
    background : Background, optional
        Distribution of the first state.
    tangent : Tangent, optional
        Tangent linear model of the flow, if it was made before.
    rollout : bool
        Whether the candidates include the trajectory of the flow from the first state of x + δ, with the
        model errors of x + δ in the linear model.
    """

    def __init__(
        self,
        cost: Cost,
        flow: Flow,
        background: Background | None,
        tangent: Tangent | None = None,
        rollout: bool = False,
    ) -> None:
        self.flow, self.y, self.mask, self.background = flow, cost.y, cost.mask, background
        self.observation_weight, self.prior_weight = cost.model.log_weights.exp().tolist()
        self.tangent = Tangent(flow, cost.y) if tangent is None else tangent
        self.rollout = rollout

    def of(self, samples: Tensor) -> Self:
        """See :meth:`NormalEquations.of`."""
        part = copy.copy(self)
        part.y, part.mask = self.y[samples], self.mask[samples]
        part.background = None if self.background is None else self.background[samples]
        return part

    def each(self, work: Callable[[Tensor], Result], samples: Tensor) -> list[Result]:
        """See :meth:`NormalEquations.each`."""
        if samples.device.type != "cpu":
            return [work(samples)]
        threads = torch.get_num_threads()
        rounds = -(-len(samples) // (SAMPLES * threads))
        return on_threads(work, samples.chunk(rounds * threads))

    def terms(self, x: Tensor) -> Terms:
        """See :meth:`NormalEquations.terms`."""
        misfit = torch.where(self.mask, x - self.y, 0.0)
        residual = x[..., 1:] - self.flow.forecast(x[..., :-1])
        observed = self.observation_weight * misfit.square().flatten(1).sum(1)
        return Terms(
            observed if self.background is None else observed + self.background.term(x),
            self.prior_weight * residual.square().flatten(1).sum(1),
        )

    def candidates(self, x: Tensor, factor: float, mu: Tensor) -> list[Tensor]:
        """See :meth:`NormalEquations.candidates`."""
        weight = factor * self.prior_weight
        forecast, tangent = self.tangent(x[..., :-1])
        misfit = self._by_time(torch.where(self.mask, x - self.y, 0.0))
        residual = self._by_time(x[..., 1:] - forecast)
        on_diagonal, first = self._diagonal(x, weight)
        on_diagonal += mu[:, None, None]
        right = -self.observation_weight * misfit
        if self.background is not None:
            right[:, 0] -= (self.background.residual(x)[:, None] @ self.background.root).squeeze(1)
        right[:, 1:] -= weight * residual
        right[:, :-1] += weight * (tangent.mT @ residual[..., None]).squeeze(-1)
        delta = solve_block_tridiagonal(on_diagonal, tangent, weight, right[..., None], first)
        delta = delta.squeeze(-1).movedim(1, -1).reshape(x.shape)
        stepped = [x + delta]
        return [*stepped, self._rolled_out(x, delta, forecast, tangent)] if self.rollout else stepped

    def _rolled_out(self, x: Tensor, delta: Tensor, forecast: Tensor, tangent: Tensor) -> Tensor:
        """x′(t + Δ) = Φ(x′(t)) + (x + δ)(t + Δ) − Φ(x(t)) − A(t) δ(t), from x′ = x + δ at the first time."""
        moved = (tangent @ self._by_time(delta[..., :-1])[..., None]).squeeze(-1)
        errors = x[..., 1:] + delta[..., 1:] - forecast - moved.movedim(1, -1).reshape(forecast.shape)
        states = [x[..., :1] + delta[..., :1]]
        for error in errors.split(1, dim=-1):
            states.append(self.flow.forecast(states[-1]) + error)
        return torch.cat(states, dim=-1)

    def covariance(self, x: Tensor) -> Tensor:
        """(JᵀJ)⁻¹ at every time, shape (batch, time, n, n): the Laplace posterior at a minimiser `x` of U."""
        diagonal, first = self._diagonal(x, self.prior_weight)
        return inverse_block_tridiagonal(diagonal, self.tangent(x[..., :-1])[1], self.prior_weight, first)

    def draws(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the function from white noise to draws of the Laplace posterior, both like `x`.

        The draws have the mean 0 and the covariance (JᵀJ)⁻¹.
        """
        diagonal, first = self._diagonal(x, self.prior_weight)
        tangent = self.tangent(x[..., :-1])[1]
        draw = draws_block_tridiagonal(diagonal, tangent, self.prior_weight, first)
        return lambda noise: draw(self._by_time(noise)).movedim(1, -1).reshape(x.shape)

    def transposed(self, x: Tensor, residuals: list[Tensor]) -> Tensor:
        """λ_p Jᵀ r for k changes r of x(t + Δ) − Φ(x(t)), which have no last time, (batch, time, n, k)."""
        tangent, by_time = self.tangent(x[..., :-1])[1], torch.stack([*map(self._by_time, residuals)], -1)
        out = by_time.new_zeros(len(x), x.shape[-1], *by_time.shape[2:])
        out[:, 1:] += by_time
        out[:, :-1] -= tangent.mT @ by_time
        weighted: Tensor = self.prior_weight * out
        return weighted

    def solved(self, x: Tensor, right: Tensor) -> Tensor:
        """(JᵀJ)⁻¹ r for k vectors, shape (batch, time, n, k)."""
        diagonal, first = self._diagonal(x, self.prior_weight)
        tangent = self.tangent(x[..., :-1])[1]
        return solve_block_tridiagonal(diagonal, tangent, self.prior_weight, right, first)

    def _diagonal(self, x: Tensor, weight: float) -> tuple[Tensor, Tensor | None]:
        """Return the diagonal part of JᵀJ without the terms AᵀA, and the precision of the background."""
        diagonal = self.observation_weight * self._by_time(self.mask.to(x.dtype))
        diagonal[:, 1:] += weight
        return diagonal, None if self.background is None else self.background.precision

    @staticmethod
    def _by_time(x: Tensor) -> Tensor:
        """``(batch, channel, *space, time)`` to (batch, time, n)."""
        return x.movedim(-1, 1).flatten(2)


class MatrixFree:
    """The normal equations for any prior and observation operator, solved by conjugate gradients.

    JᵀJ is never formed: products with J and Jᵀ are computed by forward and reverse differentiation.
    Hestenes and Stiefel (1952).

    Parameters
    ----------
    cost : Cost
        U, for the given observations.
    inner : int
        Maximum number of iterations per step.
    tolerance : float
        The iterations end once the residual of every sample is at most this fraction of the gradient.
    """

    def __init__(self, cost: Cost, inner: int, tolerance: float = 1e-3) -> None:
        self.cost, self.inner, self.tolerance = cost, inner, tolerance

    def of(self, samples: Tensor) -> Self:
        """See :meth:`NormalEquations.of`."""
        part = copy.copy(self)
        part.cost = self.cost.part(samples)
        return part

    def each(self, work: Callable[[Tensor], Result], samples: Tensor) -> list[Result]:
        """See :meth:`NormalEquations.each`."""
        return [work(samples)]

    def terms(self, x: Tensor) -> Terms:
        """See :meth:`NormalEquations.terms`."""
        return self.cost.terms(x)

    def candidates(self, x: Tensor, factor: float, mu: Tensor) -> list[Tensor]:
        """See :meth:`NormalEquations.candidates`."""
        observed, prior = self.cost.model.log_weights.to(x.dtype).mul(0.5).exp()
        prior = prior * factor**0.5
        mask, y, model = self.cost.mask, self.cost.y, self.cost.model

        background = self.cost.background

        def residuals(x: Tensor) -> tuple[Tensor, ...]:
            both = observed * model.misfit(x, y, mask), prior * (x - self.cost.prior(x))
            return both if background is None else (*both, background.residual(x))

        with torch.enable_grad():
            at = x.detach().requires_grad_()
            found = residuals(at)

        def transposed(v: tuple[Tensor, ...]) -> Tensor:
            return torch.autograd.grad(found, at, v, retain_graph=True)[0]

        damping = per_sample(mu, x)
        rest = -transposed(found)
        delta, direction = torch.zeros_like(x), rest
        square = inner_product(rest, rest)
        enough = self.tolerance**2 * square
        for _ in range(self.inner):
            going = square > enough
            if not going.any():
                break
            curved = transposed(derivative_along(residuals, x, direction)) + damping * direction
            # A finished sample is not updated, so that its result does not depend on other samples.
            length = torch.where(going, square / inner_product(direction, curved), 0.0)
            delta = delta + per_sample(length, x) * direction
            rest = rest - per_sample(length, x) * curved
            before, square = square, inner_product(rest, rest)
            direction = rest + per_sample(torch.where(going, square / before, 0.0), x) * direction
        return [x + delta]


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """⟨a, b⟩ of each sample, shape (batch,)."""
    return (a * b).flatten(1).sum(1)
