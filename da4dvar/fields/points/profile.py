"""Mean and spread of a variable as functions of depth, by which observations at all depths are alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from da4dvar.fields.points.record import Points

# Most knots of a profile, and the smallest spread, as a fraction of the largest.
MOST, LEAST = 40, 0.05
# Weights of the squared difference of the means, and of the variances, of neighbouring knots against one
# observation: where few casts reach, the spread is about that of the depth above.
SMOOTH, ALIKE = 0.1, 3.0


@dataclass(frozen=True)
class Profile:
    """m(z), a monotone cubic between knots, and s(z), linear between them; both are constant beyond.

    Parameters
    ----------
    knots : array, shape (knot,)
        Depths, ascending.
    mean, spread : array, shape (knot,)
        m and s.

    Examples
    --------
    >>> depth = np.tile([0.0, 100.0], 100)
    >>> value = 20 - depth / 10 + np.tile([1.0, 0.1, -1.0, -0.1], 50)
    >>> mean, spread = Profile.of(Points("t", value, depth=depth)).at(np.array([0.0, 50.0, 300.0]))
    >>> mean.round(), spread.round(1)
    (array([20., 15., 10.]), array([1. , 0.6, 0.2]))
    """

    knots: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, points: Points) -> Profile:
        """Return the profile of points, with knots at their depths or, if these are many, at 40 of them.

        Parameters
        ----------
        points : Points
            Points with a depth.

        Returns
        -------
        Profile
        """
        assert points.depth is not None
        depths = np.unique(points.depth)
        knots = depths[np.linspace(0, depths.size - 1, min(MOST, depths.size)).round().astype(int)]
        hats = np.stack([np.interp(points.depth, knots, one) for one in np.eye(knots.size)], 1)
        steps = np.diff(np.eye(knots.size), axis=0)
        smooth = steps.T @ steps
        mean = np.linalg.solve(hats.T @ hats + SMOOTH * smooth, hats.T @ points.value)
        squares = np.square(points.value - hats @ mean)
        variance = np.linalg.solve(np.diag(hats.sum(0)) + ALIKE * smooth, hats.T @ squares)
        spread = np.sqrt(variance.clip(0))
        return cls(knots, mean, np.maximum(spread, LEAST * spread.max()))

    def at(self, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return m and s at depths.

        Parameters
        ----------
        depth : array
            Depths.

        Returns
        -------
        mean, spread : array, of the shape of `depth`
        """
        inside = np.clip(depth, self.knots[0], self.knots[-1])
        several = self.knots.size > 1
        mean = PchipInterpolator(self.knots, self.mean)(inside) if several else self.mean + 0 * inside
        return mean, np.interp(inside, self.knots, self.spread)

    def standardised(self, points: Points) -> Points:
        """Return points as (y − m) / s.

        Parameters
        ----------
        points : Points
            Points with a depth.

        Returns
        -------
        Points
        """
        assert points.depth is not None
        mean, spread = self.at(points.depth)
        error = None if points.error is None else points.error / spread
        return replace(points, value=(points.value - mean) / spread, error=error)
