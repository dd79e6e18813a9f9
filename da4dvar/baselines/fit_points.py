"""Covariance of points that lie on no grid, by the likelihood of hidden tracks and platforms."""

from __future__ import annotations

import numpy as np

from da4dvar.baselines.fit_kernels import Search, divided
from da4dvar.baselines.hidden_neighbours import Neighbourhoods, neighbours_of
from da4dvar.errors import DataError
from da4dvar.variational.kernels import SumOfSeparable

# Fraction of the points in the tracks that are hidden at once, and how often some are.
HIDDEN, DRAWS = 0.25, 3
# Different distances and lags that are told apart: kernels are computed once for each.
STEPS = 20_000
# Tracks that are needed for hiding some whole.
FEWEST_TRACKS = 4


def fit_points(
    value: np.ndarray,
    place: np.ndarray,
    clock: np.ndarray,
    track: np.ndarray,
    noise: np.ndarray | None = None,
    *,
    neighbours: int = 60,
    seed: int = 0,
) -> SumOfSeparable:
    """max Σᵢ log N(yᵢ; μᵢ, vᵢ) over forms, scales and number of terms, for points i of hidden tracks.

    μᵢ and vᵢ are the mean and the variance of a point given its neighbours. Half of the hidden points are
    predicted from other tracks, as a map between tracks is, and half from all other points, which tells the
    noise and the small scales. See :func:`da4dvar.baselines.fit_kernels.fit_kernels`.

    Parameters
    ----------
    value : array, shape (point,)
        Anomalies of zero mean.
    place : array, shape (point, axis)
        Cartesian coordinates; no axes for a series.
    clock : array, shape (point,)
        Times.
    track : array of int, shape (point,)
        Number of the track or platform.
    noise : array, shape (point,), optional
        Known error variances, in squared units of `value`; the nugget is added to them.
    neighbours : int
        Number of points from which a hidden one is predicted.
    seed : int
        Seed of the choice of hidden points.

    Returns
    -------
    SumOfSeparable

    Raises
    ------
    DataError
        If there are fewer than two points, or they are all zero.

    Examples
    --------
    >>> at = np.random.default_rng(0).uniform(0, 100, (400, 1))
    >>> found = fit_points(np.sin(at[:, 0] / 10), at, np.zeros(400), np.arange(400))
    >>> bool(found.nugget < 0.01 * found.variance)
    True
    """
    total = float(np.mean(np.square(value))) if len(value) > 1 else 0.0
    if not total > 0:
        raise DataError(
            f"cannot fit a covariance to {len(value)} points with a variance of {total}; give more points"
        )
    scaled = np.zeros(len(value)) if noise is None else noise / total
    search = PointSearch(value / np.sqrt(total), place, clock, track, scaled, neighbours, seed)
    return search.best(()).scaled(total)


class PointSearch(Search):
    """Search for the covariance of points of about unit variance; see :func:`fit_points`.

    Parameters
    ----------
    value, place, clock, track, noise, neighbours, seed
        See :func:`fit_points`.
    """

    def __init__(
        self,
        value: np.ndarray,
        place: np.ndarray,
        clock: np.ndarray,
        track: np.ndarray,
        noise: np.ndarray,
        neighbours: int,
        seed: int,
    ) -> None:
        super().__init__(len(value), place, np.unique(clock), {}, neighbours, seed)
        self.value, self.place, self.clock, self.noise = value, place, clock, noise
        self.track = np.unique(track, return_inverse=True)[1].reshape(-1)

    def prepare(self, scales: tuple[float, float]) -> None:
        """Do nothing: tracks are hidden whole, whatever the scales."""

    def points(
        self, scales: tuple[float, float], numbers: list[int], ranks: np.ndarray | None = None
    ) -> list[Neighbourhoods]:
        """See :meth:`Search.points`; hidden are whole tracks, and as many single points."""
        own = self.ranks if ranks is None else ranks
        share, found = -(-sum(numbers) // DRAWS), []
        every = np.arange(len(self.value))
        for _ in range(DRAWS):
            hidden = self.hidden()
            apart = self.some(every[hidden], share if not hidden.any() else -(-share // 2))
            alone = self.some(every, share - apart.size)
            for targets, pool in ((apart, every[~hidden]), (alone, every)):
                if targets.size and pool.size > 2:
                    found.append(self.around(targets, pool, scales, own))
        return divided(found, numbers, self.generator, STEPS)

    def hidden(self) -> np.ndarray:
        """Return true at the points of some tracks, which are hidden together; nowhere if there are few."""
        number = int(self.track.max()) + 1
        size = np.bincount(self.track, minlength=number)
        order = self.generator.permutation(number)
        taken = order[: max(1, int(np.searchsorted(np.cumsum(size[order]), HIDDEN * size.sum())))]
        return np.isin(self.track, taken) if number >= FEWEST_TRACKS else np.zeros(self.track.size, bool)

    def some(self, of: np.ndarray, number: int) -> np.ndarray:
        """Return some of the points at random."""
        return of[self.generator.permutation(of.size)[:number]]

    def around(
        self, targets: np.ndarray, pool: np.ndarray, scales: tuple[float, float], ranks: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Return places, times, values and noise of hidden points and their neighbours."""
        own, others = (np.column_stack([index, index]) for index in (targets, pool))
        near = neighbours_of(own, others, self.place, self.clock, scales, ranks)[..., 0]
        return self.place[near], self.clock[near], self.value[near], self.noise[near]
