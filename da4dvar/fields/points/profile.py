"""Mean, cycles and spread of a variable as functions of depth, by which values at all depths are alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from da4dvar.fields.points.record import Points

# Most knots of a profile, and the smallest spread, as a fraction of the largest.
MOST, LEAST = 40, 0.05
# Weights of the squared difference of the means, and of the variances and cycles, of neighbouring knots
# against one observation: where few casts reach, these are about those of the depth above.
SMOOTH, ALIKE = 0.1, 3.0
SMALL = 1.0  # weight of the squares of the cycles against one observation


@dataclass(frozen=True)
class Profile:
    """m(z) + Σ_c r_c(t) a_c(z), and s(z): a mean, the swings of some cycles, and a spread.

    m is a monotone cubic between knots, and a_c and s are linear between them; all are constant beyond. The
    cycle of the year, for one, is large at the surface of the sea and small below.

    Parameters
    ----------
    knots : array, shape (knot,)
        Depths, ascending.
    mean, spread : array, shape (knot,)
        m and s.
    swings : array, shape (cycle, knot)
        a.

    Examples
    --------
    >>> depth = np.tile([0.0, 100.0], 100)
    >>> value = 20 - depth / 10 + np.tile([1.0, 0.1, -1.0, -0.1], 50)
    >>> found = Profile.of(Points("t", value, depth=depth), np.empty((200, 0)))
    >>> mean, spread = found.at(np.array([0.0, 50.0, 300.0]), np.empty((3, 0)))
    >>> mean.round(), spread.round(1)
    (array([20., 15., 10.]), array([1. , 0.6, 0.2]))
    """

    knots: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    swings: np.ndarray

    @classmethod
    def of(cls, points: Points, cycles: np.ndarray) -> Profile:
        """Return the profile of points, with knots at their depths or, if these are many, at 40 of them.

        Parameters
        ----------
        points : Points
            Points with a depth.
        cycles : array, shape (point, cycle)
            r at the points.

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
        columns = [np.ones(len(points)), *cycles.T]
        # Normal equations of the products of hats and columns, of which there are too many for all points.
        system = np.block([[hats.T @ (hats * (p * q)[:, None]) for q in columns] for p in columns])
        right = np.concatenate([hats.T @ (p * points.value) for p in columns])
        size = knots.size
        system[:size, :size] += SMOOTH * smooth
        for k in range(size, len(system), size):
            own = slice(k, k + size)
            system[own, own] += ALIKE * smooth + SMALL * np.eye(size)
        mean, *swings = np.linalg.solve(system, right).reshape(len(columns), size)
        fitted = sum(p * (hats @ a) for p, a in zip(columns, (mean, *swings), strict=True))
        squares = np.square(points.value - fitted)
        variance = np.linalg.solve(np.diag(hats.sum(0)) + ALIKE * smooth, hats.T @ squares)
        spread = np.sqrt(variance.clip(0))
        return cls(knots, mean, np.maximum(spread, LEAST * spread.max()), np.array(swings).reshape(-1, size))

    def at(self, depth: np.ndarray, cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean, with its cycles, and the spread.

        Parameters
        ----------
        depth : array
            Depths.
        cycles : array, shape (..., cycle)
            r, of a shape that can be broadcast with that of `depth`.

        Returns
        -------
        mean : array
        spread : array, of the shape of `depth`
        """
        inside = np.clip(depth, self.knots[0], self.knots[-1])
        several = self.knots.size > 1
        mean = PchipInterpolator(self.knots, self.mean)(inside) if several else self.mean + 0 * inside
        for k, swing in enumerate(self.swings):
            mean = mean + cycles[..., k] * np.interp(inside, self.knots, swing)
        return mean, self.spread_at(depth)

    def spread_at(self, depth: np.ndarray) -> np.ndarray:
        """Return the spread at depths."""
        spread: np.ndarray = np.interp(depth, self.knots, self.spread)
        return spread

    def standardised(self, points: Points, cycles: np.ndarray) -> Points:
        """Return points as (y − m − Σ_c r_c a_c) / s.

        Parameters
        ----------
        points : Points
            Points with a depth.
        cycles : array, shape (point, cycle)
            r at the points.

        Returns
        -------
        Points
        """
        assert points.depth is not None
        mean, spread = self.at(points.depth, cycles)
        error = None if points.error is None else points.error / spread
        return replace(points, value=(points.value - mean) / spread, error=error)
