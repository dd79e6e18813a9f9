"""The vertical distance that counts as much as a horizontal one, by the likelihood of hidden points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from da4dvar.baselines.fit_kernels import CHECKED, LEVEL, SCREENED
from da4dvar.baselines.fit_points import PointSearch
from da4dvar.baselines.likelihood import score

# Ratios that are tried, in ratios of the extents; and those around the best of them.
COARSE, FINE = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0), (0.5, 2.0)


def fit_vertical(
    value: np.ndarray,
    place: np.ndarray,
    depth: np.ndarray,
    clock: np.ndarray,
    track: np.ndarray,
    noise: np.ndarray,
    *,
    neighbours: int = 60,
    seed: int = 0,
) -> float:
    """Return the factor c of the largest likelihood of hidden points at the distances √(d² + c² Δz²).

    A covariance of one term is fitted for each of a few factors. The same points are hidden for all.

    Parameters
    ----------
    value, place, clock, track, noise
        See :func:`da4dvar.baselines.fit_points.fit_points`; values are of about unit variance.
    depth : array, shape (point,)
        Depths, in any units.
    neighbours, seed : int
        See :func:`da4dvar.baselines.fit_points.fit_points`.

    Returns
    -------
    float
        In the units of `place` by those of `depth`.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> place, depth = generator.uniform(0, 1000, (500, 1)), generator.uniform(0, 100, 500)
    >>> value = np.sin(place[:, 0] / 100 + 7) * np.cos(depth / 20)
    >>> found = fit_vertical(value, place, depth, 0 * depth, np.arange(500), 0 * depth)
    >>> 1 < found < 25
    True
    """
    unit = float(np.ptp(place, axis=0).max()) / float(np.ptp(depth)) if np.ptp(depth) else 0.0
    if not unit > 0:
        return 1.0

    def likelihood(ratio: float) -> float:
        whole = np.column_stack([place, depth * unit * ratio])
        search = PointSearch(value, whole, clock, track, noise, neighbours, seed)
        start = search.start()
        some, check = search.points(start.scales(LEVEL), [SCREENED, CHECKED])
        return score(search.fitted(start, some.thinned(SCREENED), 15), check)

    found = best_of(likelihood, COARSE)
    return unit * best_of(likelihood, (found, *(found * step for step in FINE)))


def best_of(likelihood: Callable[[float], float], ratios: tuple[float, ...]) -> float:
    """Return the ratio of largest likelihood."""
    return max(ratios, key=likelihood)
