"""Observations hidden in the shape of the gaps, each with its nearest observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

HIDDEN = 0.1  # fraction of the observations that is hidden
DRAWS = 5000  # attempts to find observations to hide
# Observations that are looked at; if there are more, those of a few pieces of the field, each with the
# nearest NEAR cells to a random one.
MOST, PIECES, NEAR = 300_000, 6, 3000


@dataclass(frozen=True)
class Neighbourhoods:
    """Hidden points, each with its nearest observations.

    On a grid there are few different distances, and few different pairs of a distance and a lag, so that
    kernels and covariances are computed once for each and looked up.

    Parameters
    ----------
    distances, lags : array
        Different distances and lags.
    distance, lag : array of int, shape (pair,)
        Indices into them, for each different pair of a distance and a lag.
    pair : array of int, shape (point, 1 + neighbour, 1 + neighbour)
        Index of the pair, for any two of a hidden point and its neighbours, the hidden point first.
    values : array, shape (point, 1 + neighbour)
        Values in the same order.
    noise : array, shape (point, 1 + neighbour), or float
        Known error variances, which add to the nugget.
    """

    distances: np.ndarray
    lags: np.ndarray
    distance: np.ndarray
    lag: np.ndarray
    pair: np.ndarray
    values: np.ndarray
    noise: np.ndarray | float = 0.0

    def thinned(self, number: int) -> Neighbourhoods:
        """Return the first hidden points, with every other neighbour."""
        pair, used = numbered(self.pair[:number, ::2, ::2])
        values = self.values[:number, ::2]
        pair = pair.reshape(*values.shape, -1)
        noise = self.noise[:number, ::2] if isinstance(self.noise, np.ndarray) else self.noise
        some = {"distance": self.distance[used], "lag": self.lag[used], "pair": pair}
        return replace(self, **some, values=values, noise=noise)


def transplanted(seen: np.ndarray, run: int, generator: np.random.Generator) -> np.ndarray:
    """Hide observations where other times have none, for some steps in a row.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
        Where there are observations.
    run : int
        Number of steps.
    generator : Generator
        Source of the times.

    Returns
    -------
    array of bool, shape (time, cell)
        True for about a tenth of the observations, or fewer if gaps are rare.

    Examples
    --------
    >>> seen = np.arange(40).reshape(20, 2) % 3 > 0
    >>> hidden = transplanted(seen, 1, np.random.default_rng(0))
    >>> bool(hidden.any()), bool((hidden & ~seen).any())
    (True, False)
    """
    hidden, wanted, count = np.zeros_like(seen), HIDDEN * seen.sum(), 0
    for _ in range(DRAWS):
        if count >= wanted or seen.all():
            break
        here, there = generator.integers(len(seen) - run + 1, size=2)
        new = seen[here : here + run] & ~seen[there : there + run] & ~hidden[here : here + run]
        hidden[here : here + run] |= new
        count += int(new.sum())
    return hidden


def run_like_gaps(
    seen: np.ndarray,
    place: np.ndarray,
    clock: np.ndarray,
    scales: tuple[float, float],
    generator: np.random.Generator,
) -> int:
    """Return for how many steps to hide, so that hidden points are as far from the rest as gaps are.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
        Where there are observations.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    clock : array, shape (time,)
        Times.
    scales : tuple of float
        Distance and lag that count alike.
    generator : Generator
        Source of the hidden points.

    Returns
    -------
    int
    """
    gaps = np.argwhere(~seen)
    if len(gaps) < 20:
        return 1

    def far(points: np.ndarray, pool: np.ndarray) -> float:
        some = points[generator.permutation(len(points))[:1000]]
        tree = cKDTree(scaled(pool, place, clock, scales))
        return float(np.mean(tree.query(scaled(some, place, clock, scales))[0]))

    wanted, apart = far(gaps, np.argwhere(seen)), {}
    for run in 2 ** np.arange(int(np.log2(max(2, len(seen) / 8)))):
        hidden = transplanted(seen, int(run), generator)
        if hidden.sum() >= 20 and (seen & ~hidden).any():
            reached = far(np.argwhere(hidden), np.argwhere(seen & ~hidden))
            apart[int(run)] = abs(np.log(max(reached, 1e-9) / max(wanted, 1e-9)))
            if len(apart) > 2 and apart[int(run)] > 2 * min(apart.values()) + 0.1:
                break
    return min(apart, key=lambda run: apart[run], default=1)


def pieces(
    seen: np.ndarray, place: np.ndarray, generator: np.random.Generator
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield times and cells of the parts of a field that are looked at: all of it, unless it is large."""
    if seen.sum() <= MOST:
        yield slice(None), np.arange(len(place))
        return
    for number in range(PIECES):
        cells = np.arange(len(place))
        if len(place) > NEAR:
            away = np.square(place - place[generator.integers(len(place))]).sum(1)
            cells = np.sort(np.argpartition(away, NEAR)[:NEAR])
        usual = max(1, int(seen[:, cells].sum(1).mean()))
        steps = min(len(seen), max(MOST // PIECES // usual, 8))
        begin = int((number + generator.random()) / PIECES * (len(seen) - steps + 1))
        yield slice(begin, begin + steps), cells


def neighbours_of(
    targets: np.ndarray,
    pool: np.ndarray,
    place: np.ndarray,
    clock: np.ndarray,
    scales: tuple[float, float],
    ranks: np.ndarray,
) -> np.ndarray:
    """Return some points and their neighbours.

    Parameters
    ----------
    targets, pool : array of int, shape (point, 2)
        Time and cell of the points, and of the observations among which their neighbours are.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    clock : array, shape (time,)
        Times.
    scales : tuple of float
        Distance and lag that count alike.
    ranks : array of int
        Which of the nearest observations to take; 1 is the nearest.

    Returns
    -------
    array of int, shape (point, 1 + neighbour, 2)
        Time and cell, of the target first. A target that is in the pool is not its own neighbour.
    """
    ranks = ranks[ranks < len(pool)]
    tree = cKDTree(scaled(pool, place, clock, scales))
    near = pool[tree.query(scaled(targets, place, clock, scales), [*ranks, ranks[-1] + 1])[1]]
    # Where several observations coincide, a target in the pool may not be the first of its neighbours.
    itself = (near == targets[:, None]).all(-1)
    order = np.argsort(itself, axis=1, kind="stable")[:, : len(ranks), None]
    return np.concatenate([targets[:, None], np.take_along_axis(near, order, axis=1)], 1)


def gathered(
    place: np.ndarray,
    clock: np.ndarray,
    values: np.ndarray,
    noise: np.ndarray | float = 0.0,
    *,
    steps: int | None = None,
) -> Neighbourhoods:
    """Return neighbourhoods from the places, times and values of their points.

    Parameters
    ----------
    place : array, shape (point, 1 + neighbour, axis)
        Cartesian coordinates, of the hidden point first.
    clock, values : array, shape (point, 1 + neighbour)
        Times and values in the same order.
    noise : array, shape (point, 1 + neighbour), or float
        Known error variances.
    steps : int, optional
        Number of different distances, and lags, that are told apart. By default all of them, as there are few
        on a grid.

    Returns
    -------
    Neighbourhoods
    """
    shape = (*clock.shape, clock.shape[1])
    # Each array of all pairs is dropped as soon as it is numbered, as these are the largest of a fit.
    pair, lags = numbered(rounded(np.abs(clock[:, :, None] - clock[:, None]), steps))
    distance = np.zeros(shape)
    for axis in np.moveaxis(place, -1, 0):
        distance += np.square(axis[:, :, None] - axis[:, None])
    i, distances = numbered(rounded(np.sqrt(distance, out=distance), steps))
    pair += lags.size * i
    del i
    pair, pairs = numbered(pair)
    d, tau = divmod(pairs, lags.size)
    return Neighbourhoods(distances, lags, d, tau, pair.reshape(shape), values, noise)


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each value among the different ones, and these in ascending order.

    It is :func:`numpy.unique` with its inverse, by a hash table in place of sorting, which takes six times as
    long.
    """
    numbers, different = pd.factorize(values.ravel(), sort=True)
    return numbers, np.asarray(different)


def rounded(apart: np.ndarray, steps: int | None) -> np.ndarray:
    """Return distances without their last digits, or as multiples of a fraction of the largest."""
    if steps is None or not (step := float(apart.max(initial=0.0)) / steps):
        return np.round(apart, 9)
    return np.rint(apart / step) * step


def scaled(points: np.ndarray, place: np.ndarray, clock: np.ndarray, scales: Sequence[float]) -> np.ndarray:
    """Return coordinates of points, given as time and cell, in units of a distance and a lag."""
    return np.column_stack([place[points[:, 1]] / scales[0], clock[points[:, 0]] / scales[1]])


def span(points: np.ndarray) -> tuple[float, float]:
    """Return the median distance to the nearest other point, and the extent; zeros for a single place."""
    distinct = np.unique(points, axis=0)
    if not points.size or len(distinct) < 2:
        return 0.0, 0.0
    spacing = float(np.median(cKDTree(distinct).query(distinct, 2)[0][:, 1]))
    return spacing, float(np.linalg.norm(np.ptp(distinct, axis=0)))
