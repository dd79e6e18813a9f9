"""The mean and the season of each cell, shrunk towards those of the field as far as hidden points say."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from da4dvar.baselines.hidden_neighbours import gathered, neighbours_of, pieces, span, transplanted
from da4dvar.baselines.likelihood import SMALLEST, maximised, score
from da4dvar.fields.scaling.harmonics import harmonic_sums
from da4dvar.variational.kernels import Separable, SumOfSeparable

# Weights of the field, as numbers of observations of a cell, for its mean and its harmonics. A cell with a
# dozen observations along tracks has a poor mean; that of a station with thousands is its own.
MEANS, SEASONS = (1.0, 10.0, 100.0, 1e6), (30.0, 1000.0)
POINTS, SOME = 1000, 250  # hidden points, and those of which the scales to start with are taken
# Of backgrounds within this log-likelihood per point of the best, that which follows its cells most is taken:
# it leaves less to the covariance, whose matrix is then farther from singular.
GAIN = 0.005
RANKS = np.unique(np.append(np.arange(1, 21), np.geomspace(21, 200, 10).astype(int)))


@dataclass(frozen=True)
class Background:
    """b_c(t) = B(t)ᵀ β_c, with min Σ (y − b_c)² + Σ_k λ_k (β_ck − β_k)² and β_k those of the field.

    Parameters
    ----------
    mean, season : float
        λ of the mean and of the harmonics, as numbers of observations.

    Examples
    --------
    >>> y = np.array([[1.0, 5.0], [3.0, np.nan]])
    >>> Background(mean=1.0).fitted(y, np.ones((2, 1)))[0]
    array([2.33333333, 4.        ])
    """

    mean: float = 1.0
    season: float = 30.0

    def fitted(self, y: np.ndarray, basis: np.ndarray) -> np.ndarray:
        """Return b at all times and cells, NaN for cells without observations.

        Parameters
        ----------
        y : array, shape (time, cell)
            Observations, NaN in the gaps.
        basis : array, shape (time, harmonic)
            B, whose first column is 1.

        Returns
        -------
        array, shape (time, cell)
        """
        normal, right = harmonic_sums(y, basis)
        count = normal[:, 0, 0]
        own = normal[:, 0] / np.maximum(count, 1)[:, None]
        # The season is that within cells: a warm cell observed only in summer does not add to it.
        within = (normal - own[:, :, None] * normal[:, :1]).sum(0) + 1e-6 * np.eye(basis.shape[1])
        field = np.linalg.solve(within, (right - own * right[:, :1]).sum(0))
        field[0] = 0.0
        field[0] = (right[:, 0] - normal[:, 0] @ field).sum() / max(1.0, count.sum())
        penalty = np.diag([self.mean] + [self.season] * (basis.shape[1] - 1))
        fitted = np.linalg.solve(normal + penalty, (right + penalty @ field)[..., None])[..., 0]
        out: np.ndarray = np.where(count > 0, basis.astype("float64") @ fitted.T, np.nan)
        return out


def chosen_background(
    y: np.ndarray, basis: np.ndarray, place: np.ndarray, clock: np.ndarray, seed: int = 0
) -> Background:
    """Return the background that leaves the largest likelihood of hidden points, with a single term.

    Of backgrounds that are about as good as the best, that with the smallest weights is returned.

    Parameters
    ----------
    y : array, shape (time, cell)
        Observations, NaN in the gaps, of cells with one observation or more.
    basis : array, shape (time, harmonic)
        B; see :class:`Background`.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    clock : array, shape (time,)
        Times.
    seed : int
        Seed of the choice of hidden points.

    Returns
    -------
    Background
    """
    if y.shape[1] < 2:
        return Background()
    generator = np.random.default_rng(seed)
    times, cells = next(pieces(np.isfinite(y), place, generator))
    y, basis, place, clock = y[times][:, cells], basis[times], place[cells], clock[times]
    seen = np.isfinite(y)
    hidden = transplanted(seen, 1, generator)
    rest = np.where(hidden, np.nan, y)
    # A cell all of whose observations are hidden has no background.
    targets, pool = np.argwhere(hidden & np.isfinite(rest).any(0)), np.argwhere(seen & ~hidden)
    if len(targets) < 20 or len(pool) < 20:
        return Background()
    bounds = {"variance": (1e-4, 10.0), "nugget": (SMALLEST, 2.0)}
    for name, points in {"length": place, "duration": clock[:, None]}.items():
        spacing, extent = span(points)
        bounds[name] = (spacing / 4, 3 * extent) if extent else (np.inf, np.inf)
    scales = np.sqrt(np.prod(bounds["length"])), np.sqrt(np.prod(bounds["duration"]))
    targets = targets[generator.permutation(len(targets))[:POINTS]]
    points = neighbours_of(targets, pool, place, clock, scales, RANKS)
    near = gathered(place[points[..., 1]], clock[points[..., 0]], np.empty(points.shape[:2]))
    grids = [
        np.geomspace(*bounds[n], 6)[1:-1] if np.isfinite(bounds[n][0]) else [np.inf]
        for n in ("length", "duration")
    ]
    guesses = [
        SumOfSeparable((Separable(0.5, float(a), float(b)),), 0.01) for a, b in itertools.product(*grids)
    ]
    free = [(0, n) for n in ("variance", "length", "duration") if np.isfinite(bounds[n][0])] + [(0, "nugget")]
    size = float(np.nanstd(y)) or 1.0
    found: dict[Background, float] = {}
    start = None
    for candidate in (
        Background(*both) for both in itertools.product(MEANS, SEASONS[: 1 + (basis.shape[1] > 1)])
    ):
        anomaly = (y - candidate.fitted(rest, basis)) / size
        given = replace(near, values=anomaly[points[..., 0], points[..., 1]])
        start = start or max(guesses, key=partial(score, near=given.thinned(SOME)))
        best = maximised(start, given, free, bounds, 10)
        found[candidate] = score(best, given)
    return next(b for b, value in found.items() if value >= max(found.values()) - GAIN)
