"""Estimation of parameters of the dynamics together with the state, from gappy and noisy observations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from da4dvar.variational.background import Background
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.forward_mode import derivative_along
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import per_sample
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal

# The estimate ends once a step changes no parameter by more than this part of its standard error.
SETTLED = 0.01
# Factors of λ_p, with which x and θ are estimated one after the other.
LADDER = (1e-2, 1e-1, 1.0)


class Estimate(NamedTuple):
    """States and parameters that minimise U together.

    Parameters
    ----------
    x : Tensor, shape ``(batch, channel, *space, time)``
        States.
    parameters : Tensor, shape (p,)
        Parameters of the dynamics that require a gradient, one after another.
    covariance : Tensor, shape (p, p)
        Covariance of their error, by Laplace's approximation.
    iterations : int
        Number of steps of the parameters.

    Examples
    --------
    >>> Estimate(torch.zeros(1, 1, 40, 9), torch.tensor([8.0]), torch.tensor([[0.01]]), 4).covariance.sqrt()
    tensor([[0.1000]])
    """

    x: Tensor
    parameters: Tensor
    covariance: Tensor
    iterations: int


def estimate_parameters(
    cost: VariationalCost,
    y: Tensor,
    mask: Tensor,
    x0: Tensor,
    background: Background | None = None,
    iterations: int = 12,
    ladder: Sequence[float] = LADDER,
) -> Estimate:
    """min over x and θ of U(x, y, Ω; θ), with the parameters θ of the dynamics shared by all samples.

    For each θ, U is minimised over x by Levenberg-Marquardt. The steps of θ are those of Gauss-Newton on this
    minimum (variable projection; Golub and Pereyra, 1973): with the residuals r of U and their Jacobians J
    by x and K by θ,

        δθ = −H⁻¹ Kᵀ r,  H = KᵀK − KᵀJ (JᵀJ)⁻¹ JᵀK,

    and H⁻¹ is the covariance of the error of θ.

    Parameters
    ----------
    cost : VariationalCost
        U, −2 log p of the state, with a flow as prior and observations of the state itself. The parameters of
        its dynamics that require a gradient are changed in place.
    y : Tensor, shape ``(batch, channel, *space, time)``
        Observations.
    mask : Tensor of bool, shape of `y`
        Ω.
    x0 : Tensor, shape of `y`
        Start of the states, such as the estimate of a learned model.
    background : Background, optional
        Distribution of the first state of each sample.
    iterations : int
        Maximum number of steps of θ for each weight of the prior.
    ladder : sequence of float
        Factors of λ_p, from the first weight to the last; the last factor should be 1. Dynamics that are
        entirely unknown need a first weight that is close to the inverse square of the change of a state in
        one step, so that the states follow the observations rather than the dynamics.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the prior is no flow, its dynamics have no parameters that require a gradient, or the ladder is
        empty or has a factor that is not positive.

    Examples
    --------
    >>> from da4dvar.variational.dynamics.lorenz96 import Lorenz96
    >>> flow = Flow(Lorenz96(forcing=8.0, learn=True), step=0.05)
    >>> states = [torch.full((1, 1, 8, 1), 8.0).double() + 0.1 * torch.arange(8.0)[:, None]]
    >>> with torch.no_grad():
    ...     for _ in range(30):
    ...         states.append(flow.forecast(states[-1]))
    >>> y = torch.cat(states, -1)
    >>> wrong = Flow(Lorenz96(forcing=7.0, learn=True), step=0.05)
    >>> found = estimate_parameters(VariationalCost(wrong, prior_weight=1e4), y, y.isfinite(), y)
    >>> round(found.parameters.item(), 2)
    8.0
    """
    flow = cost.prior
    if not isinstance(flow, Flow):
        raise ValueError(
            f"the prior is {type(flow).__name__}, expected a flow, whose dynamics have parameters"
        )
    learned = {n: p for n, p in flow.named_parameters() if p.requires_grad}
    if not learned:
        raise ValueError(f"there is nothing to estimate in {type(flow.dynamics).__name__}; set learn=True")
    climber = LevenbergMarquardt(10 * len(ladder), ladder, rollout=True)
    settled = LevenbergMarquardt(20, (1.0,), tolerance=1e-6, rollout=True)
    x, done = x0, 0
    for factor in ladder:
        # With its full weight, a prior with wrong parameters would lead the states astray.
        eased = VariationalCost(flow, cost.observation, cost.rho)
        eased.log_weights.data = cost.log_weights.detach().clone()
        eased.log_weights.data[1] += math.log(factor)
        given = eased.given(y, mask, background=background)
        for _ in range(iterations):
            x, done = settled(given, x).x, done + 1
            delta, covariance = parameter_step(BlockTridiagonal(given, flow, background), x, learned)
            for parameter, change in zip(learned.values(), split(delta, learned), strict=True):
                parameter.data += change.to(parameter)
            if (delta.abs() <= SETTLED * covariance.diagonal().sqrt()).all():
                break
        # A sample may have left the way to its minimum while the parameters were wrong.
        other = climber(given, x0)
        lower = other.cost[-1] < given(x)
        x = torch.where(per_sample(lower, x), other.x, x)
    theta = torch.cat([p.detach().flatten() for p in learned.values()])
    return Estimate(settled(given, x).x, theta, covariance, done)


def split(values: Tensor, learned: dict[str, torch.nn.Parameter]) -> list[Tensor]:
    """Return a vector of parameters as tensors of their shapes."""
    parts = values.split([p.numel() for p in learned.values()])
    return [part.reshape(p.shape) for part, p in zip(parts, learned.values(), strict=True)]


def parameter_step(
    equations: BlockTridiagonal, x: Tensor, learned: dict[str, torch.nn.Parameter]
) -> tuple[Tensor, Tensor]:
    """Return δθ and H⁻¹ at states `x` that minimise U; see :func:`estimate_parameters`."""
    flow, before = equations.flow, x[..., :-1]
    theta = torch.cat([p.detach().flatten() for p in learned.values()]).to(x)

    def forecast(values: Tensor) -> Tensor:
        named = dict(zip(learned, split(values, learned), strict=True))
        moved: Tensor = torch.func.functional_call(flow, named, (x,))
        return moved[..., 1:]

    columns = [derivative_along(forecast, theta, direction) for direction in torch.eye(len(theta)).to(theta)]
    with torch.no_grad():
        residual, weight = x[..., 1:] - flow.forecast(before), equations.prior_weight
        pulled = torch.stack([weight * (column * residual).sum() for column in columns])
        sides = equations.transposed(x, [-column for column in columns])
        through = torch.einsum("btnp,btnq->pq", sides, equations.solved(x, sides))
        own = weight * torch.stack([torch.stack([(a * b).sum() for b in columns]) for a in columns])
        covariance = torch.linalg.inv(own - through)
    return covariance @ pulled, covariance
