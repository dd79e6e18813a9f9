"""Likelihood of hidden points under a covariance, given their neighbours, and its largest value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from da4dvar.baselines.hidden_neighbours import Neighbourhoods
from da4dvar.variational.kernels import ROOT3, ROOT5, SumOfSeparable

# −u ρ′(u): the derivative of ρ(d/L) by log L, where u = d/L.
SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda u: u * np.exp(-u),
    "matern32": lambda u: 3 * u * u * np.exp(-ROOT3 * u),
    "matern52": lambda u: (5 / 3) * u * u * (1 + ROOT5 * u) * np.exp(-ROOT5 * u),
    "gaussian": lambda u: u * u * np.exp(-0.5 * u * u),
}
SMALLEST = 1e-5  # nugget, as a fraction of the variance: the matrices must be solvable
# The logarithm of a parameter is expected within 2 of its start: of no weight beside hundreds of points, but
# a few points do not lead to absurd scales.
SPREAD = 2.0
# Log-likelihood per point that is lost where the total variance is e times that of values of unit variance.
# Neighbours hardly tell a large variance on large scales from a larger one on larger scales, and the matrix
# of the latter is closer to singular.
EXCESS = 0.05
Parameter = tuple[int, str]  # term and name; the nugget is (0, "nugget")
Bounds = Mapping[str, tuple[float, float]]


def score(covariance: SumOfSeparable, near: Neighbourhoods) -> float:
    """Return the mean log-likelihood of hidden points, without its constant."""
    error, variance, _ = predictions(covariance, near)
    return float(-0.5 * np.mean(np.log(variance) + error**2 / variance))


def predictions(
    covariance: SumOfSeparable, near: Neighbourhoods
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y − cᵀA⁻¹y and s² + ε² − cᵀA⁻¹c of each hidden point, and (A⁻¹c, A⁻¹y).

    A holds the covariances of the neighbours, ε² included, and c those with the hidden point.
    """
    of_pairs = np.zeros(near.distance.shape)
    for term in covariance.terms:
        in_space = term.variance * term.in_space(near.distances)
        of_pairs += in_space[near.distance] * term.in_time(near.lags)[near.lag]
    system = of_pairs[near.pair]
    diagonal = np.arange(near.values.shape[1])
    system[:, diagonal, diagonal] += max(covariance.nugget, SMALLEST * covariance.variance) + near.noise
    c, y = system[:, 1:, 0], near.values[:, 1:]
    solved = np.linalg.solve(system[:, 1:, 1:], np.stack([c, y], -1))
    variance = np.maximum(system[:, 0, 0] - np.einsum("pi,pi->p", c, solved[..., 0]), 1e-9)
    return near.values[:, 0] - np.einsum("pi,pi->p", c, solved[..., 1]), variance, solved


def loss(covariance: SumOfSeparable, near: Neighbourhoods, free: list[Parameter]) -> tuple[float, np.ndarray]:
    """Return the mean of ½ log v + ½ e²/v, and its derivatives by the logarithms of some parameters.

    With w = A⁻¹c, α = A⁻¹y, u = (1, −w) and a = (0, α), for S = C + ε² I of a point and its neighbours:
    e = uᵀy, v = uᵀSu, dv = uᵀdS u and de = −aᵀdS u.
    """
    error, variance, solved = predictions(covariance, near)
    number = len(error)
    one = np.ones((number, 1))
    u, a = np.concatenate([one, -solved[..., 0]], 1), np.concatenate([0 * one, solved[..., 1]], 1)
    by_variance = 0.5 * (1 / variance - error**2 / variance**2) / number
    by_error = error / variance / number
    outer = (by_variance[:, None] * u - by_error[:, None] * a)[:, :, None] * u[:, None]
    slopes: dict[Parameter, Any] = {
        (0, "nugget"): covariance.nugget * float(np.trace(outer, axis1=1, axis2=2).sum())
    }
    weights = np.bincount(near.pair.ravel(), outer.ravel(), near.distance.size)
    for q, term in enumerate(covariance.terms):
        in_space, in_time = term.variance * term.in_space(near.distances), term.in_time(near.lags)
        by_lag = np.bincount(near.lag, weights * in_space[near.distance], near.lags.size)
        slopes[q, "variance"] = by_lag @ in_time
        if (q, "duration") in free:
            cycle = replace(term, duration=np.inf).in_time(near.lags)
            slopes[q, "duration"] = by_lag @ (SLOPES[term.time](near.lags / term.duration) * cycle)
        if (q, "length") in free:
            by_distance = np.bincount(near.distance, weights * in_time[near.lag], near.distances.size)
            slope = SLOPES[term.space](near.distances / term.length)
            slopes[q, "length"] = by_distance @ (term.variance * slope)
    value = 0.5 * float(np.mean(np.log(variance) + error**2 / variance))
    return value, np.array([slopes[where] for where in free])


def maximised(
    start: SumOfSeparable, near: Neighbourhoods, free: list[Parameter], bounds: Bounds, steps: int
) -> SumOfSeparable:
    """Return the covariance of largest likelihood with the forms of another.

    Parameters
    ----------
    start : SumOfSeparable
        Forms and periods, and the parameters with which to start.
    near : Neighbourhoods
        Hidden points and their neighbours.
    free : list of tuple
        Term and name of the parameters to adapt.
    bounds : mapping
        Smallest and largest value of ``variance``, ``length``, ``duration`` and ``nugget``.
    steps : int
        Largest number of iterations.

    Returns
    -------
    SumOfSeparable
    """
    low, high = (np.log([bounds[name][side] for _, name in free]) for side in (0, 1))
    own = [start.nugget if n == "nugget" else getattr(start.terms[q], n) for q, n in free]
    first = np.clip(np.log(own), low, high)

    def posed(logs: np.ndarray) -> tuple[float, np.ndarray]:
        covariance = changed(start, free, logs)
        value, slope = loss(covariance, near, free)
        away = (logs - first) / SPREAD
        excess = max(0.0, np.log(covariance.variance))
        share = np.array([covariance.terms[q].variance if n == "variance" else 0.0 for q, n in free])
        value += 0.5 * away @ away / len(near.values) + EXCESS * excess**2
        slope += away / SPREAD / len(near.values) + 2 * EXCESS * excess * share / covariance.variance
        return value, slope

    best = minimize(
        posed,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([low, high], 1),
        options={"maxiter": steps, "ftol": 1e-5},
    )
    return changed(start, free, best.x)


def changed(covariance: SumOfSeparable, free: list[Parameter], logs: np.ndarray) -> SumOfSeparable:
    """Return a covariance with other values of some parameters, given as logarithms."""
    new: dict[Parameter, Any] = {where: float(value) for where, value in zip(free, np.exp(logs), strict=True)}
    nugget = new.pop((0, "nugget"), covariance.nugget)
    terms = (
        replace(term, **{name: value for (k, name), value in new.items() if k == q})
        for q, term in enumerate(covariance.terms)
    )
    return SumOfSeparable(tuple(terms), nugget)
