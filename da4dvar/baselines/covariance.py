"""The covariance of a field in space and time, and the estimation of its scales from gappy data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from da4dvar.errors import DataError


@dataclass(frozen=True)
class Gaussian:
    """C(d, τ) = s² exp(−½ (d²/L² + τ²/T²)), plus ε² for an observation with itself.

    Parameters
    ----------
    variance : float
        s², in squared units of the variable.
    length, duration : float
        L and T, the distance and lag at which the covariance is 0.61 s², in the units of d (km, cells) and
        of τ (days, steps). Infinite if the data have no extent in space or in time.
    nugget : float
        ε², in squared units of the variable: the variance of the observation error, and of all variations on
        scales shorter than the distance of neighbours.

    Examples
    --------
    >>> float(Gaussian(variance=4.0, length=100.0, duration=5.0, nugget=1.0)(0.0, 5.0).round(3))
    2.426
    """

    variance: float
    length: float
    duration: float
    nugget: float

    def __call__(self, distance: np.ndarray | float, lag: np.ndarray | float) -> np.ndarray:
        """Return C at distances `distance` and lags `lag`, without the nugget.

        Parameters
        ----------
        distance, lag : array or float
            d and τ, in the units of L and T.

        Returns
        -------
        array
            C, in squared units of the variable.
        """
        scaled = np.square(np.divide(distance, self.length)) + np.square(np.divide(lag, self.duration))
        return self.variance * np.exp(-0.5 * scaled)


def fit_covariance(
    values: np.ndarray,
    position: np.ndarray,
    time: np.ndarray,
    *,
    length: float | None = None,
    duration: float | None = None,
    nugget: float | None = None,
    pairs: int = 10_000_000,
    seed: int = 0,
) -> Gaussian:
    """min Σ (Ĉ(d, τ) − C(d, τ))² / γ̂(d, τ)² over s², L, T and ε², with the variogram γ̂ = Ĉ(0, 0) − Ĉ.

    Ĉ is the mean product of the pairs in a class of distance and lag; pairs at the same time and pairs at the
    same place form separate classes. The division by γ̂ gives the short lags, which matter most for an
    interpolation, a weight that corresponds to their precision (Cressie, 1985).

    Parameters
    ----------
    values : array, shape (time, cell)
        Anomalies of zero mean; NaN where there is no observation.
    position : array, shape (cell, axis)
        Cartesian coordinates of the cells; no axes for a series.
    time : array, shape (time,)
        Times, in the units of T.
    length, duration, nugget : float, optional
        Prescribed values of L, T and ε²; those not given are estimated.
    pairs : int
        Approximate number of pairs to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    Gaussian
        The fitted covariance.

    Raises
    ------
    DataError
        If there are fewer than two observations, or they are all zero.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(5000)
    >>> smooth = np.convolve(noise, np.exp(-0.5 * (np.arange(-30, 31) / 5) ** 2))
    >>> fitted = fit_covariance(smooth[:, None], np.empty((1, 0)), np.arange(smooth.size))
    >>> bool(6 < fitted.duration < 8)  # 5 √2
    True
    """
    observed = np.isfinite(values)
    total = float(np.mean(np.square(values[observed]))) if observed.sum() > 1 else 0.0
    if not total > 0:
        raise DataError(
            f"cannot fit a covariance to {observed.sum()} observations with a variance of {total}; "
            "give more observations, or use another method"
        )
    instants = np.asarray(time, dtype="float64")[:, None]
    d_edges, t_edges = classes(position[observed.any(0)]), classes(instants[observed.any(1)])
    known = {"length": length, "duration": duration, "nugget": None if nugget is None else nugget / total}
    bounds = {"variance": (0.01, 2.0), "nugget": (1e-3, 1.0)}
    for name, edges in {"length": d_edges, "duration": t_edges}.items():
        if edges.size:
            bounds[name] = (edges[0] / 2, 4 * edges[-1])
        else:
            known[name] = np.inf
    fixed = {k: v for k, v in known.items() if v is not None}
    free = [name for name in bounds if name not in fixed]
    low, high = np.log([bounds[name] for name in free]).T

    distance, lag, sample, count = correlogram(
        np.where(observed, values, 0) / np.sqrt(total),
        observed,
        position,
        instants,
        d_edges,
        t_edges,
        pairs,
        seed,
    )
    # Pairs that share an anchor are correlated: beyond a hundred in a class, more add little information. The
    # mean product of a few pairs is unreliable, and gets a weight according to their number.
    reliable = count / (count + 100)
    weight = np.sqrt(reliable) / np.maximum(1 - reliable * sample, 0.05)

    def model(logs: np.ndarray) -> Gaussian:
        return Gaussian(**fixed, **dict(zip(free, np.exp(logs), strict=True)))

    def misfit(logs: np.ndarray) -> np.ndarray:
        fitted = model(logs)
        whole = 20 * (fitted.variance + fitted.nugget - 1)
        return np.append(weight * (fitted(distance, lag) - sample), whole)

    guesses = {"variance": [0.7], "nugget": [0.3]}
    grid = [guesses.get(n, np.geomspace(*bounds[n], 8)[1:-1]) for n in free]
    starts = [np.log(guess) for guess in itertools.product(*grid)]
    start = min(starts, key=lambda logs: float(np.square(misfit(logs)).sum()))
    best = model(least_squares(misfit, start, bounds=(low, high)).x)
    return Gaussian(total * best.variance, best.length, best.duration, total * best.nugget)


def classes(points: np.ndarray) -> np.ndarray:
    """Return edges of distance classes, from half the median spacing to half the extent, by factors of √2.

    Parameters
    ----------
    points : array, shape (point, axis)
        Coordinates of the points.

    Returns
    -------
    array, shape (edge,)
        Upper edges of the classes; empty if all points coincide.
    """
    extent = float(np.linalg.norm(np.ptp(points, axis=0))) if points.size else 0.0
    if not extent > 0:
        return np.empty(0)
    distinct = np.unique(points, axis=0)
    spacing = float(np.median(cKDTree(distinct).query(distinct, 2)[0][:, 1]))
    steps = max(1, int(np.ceil(2 * np.log2(extent / spacing))))
    edges: np.ndarray = spacing / 2 * np.sqrt(2) ** np.arange(steps + 1)
    return edges


def correlogram(
    values: np.ndarray,
    observed: np.ndarray,
    position: np.ndarray,
    time: np.ndarray,
    d_edges: np.ndarray,
    t_edges: np.ndarray,
    pairs: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ĉ = Σ yᵢ yⱼ / N over the N pairs of each class.

    Parameters
    ----------
    values, observed : array, shape (time, cell)
        Anomalies, and whether each was observed.
    position : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    time : array, shape (time, 1)
        Times.
    d_edges, t_edges : array
        Upper edges of the classes of distance and lag; pairs beyond the last are omitted.
    pairs, seed : int
        Approximate number of pairs to draw, and seed of the draw.

    Returns
    -------
    distance, lag, product, count : array, shape (class,)
        Root mean square distance and lag, mean product and number of pairs of each class that has pairs.
    """
    shape = (d_edges.size + 1, t_edges.size + 1)
    sums = np.zeros((4, *shape))
    for here, anchors, there, others in draws(observed, time[:, 0], pairs, seed):
        lag = abs(float(time[there, 0] - time[here, 0]))
        row = np.searchsorted(t_edges, lag)
        if row == t_edges.size > 0:
            continue
        if position.shape[1]:
            distance = cdist(position[anchors], position[others])
        else:
            distance = np.zeros((anchors.size, others.size))
        keep = distance <= (d_edges[-1] if d_edges.size else 0.0)
        if here == there:
            keep &= anchors[:, None] != others
        distance, product = distance[keep], np.outer(values[here, anchors], values[there, others])[keep]
        column = np.searchsorted(d_edges, distance)
        for k, term in enumerate([distance**2, np.full_like(distance, lag**2), product, None]):
            sums[k, :, row] += np.bincount(column, term, shape[0])
    some = sums[3] > 0
    d2, tau2, product, count = sums[:, some]
    return np.sqrt(d2 / count), np.sqrt(tau2 / count), product / count, count


def draws(
    observed: np.ndarray, time: np.ndarray, pairs: int, seed: int
) -> Iterator[tuple[int, np.ndarray, int, np.ndarray]]:
    """Yield time and cells of random anchors, and time and cells of all observations at increasing lags."""
    generator = np.random.default_rng(seed)
    seen = np.flatnonzero(observed.any(1))
    seen = seen[np.argsort(time[seen], kind="stable")]
    lags = np.unique(np.append(0, np.sqrt(2) ** np.arange(2 * np.log2(max(2, seen.size)))).astype(int))
    usual = observed[seen].sum(1).mean()
    # Times for about 30,000 anchors, but 1000 at most, as the loop over them is slow.
    starts = generator.permutation(seen.size)[: int(np.clip(30_000 / usual, 300, 1000))]
    each = max(1, round(pairs / (starts.size * lags.size * usual)))
    for start, lag in itertools.product(starts, lags):
        if start + lag < seen.size:
            here, there = seen[start], seen[start + lag]
            cells = np.flatnonzero(observed[here])
            yield here, generator.permutation(cells)[:each], there, np.flatnonzero(observed[there])
