"""Draws of the error of a map of points: of the field, the background, the biases and the noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from da4dvar.baselines.draws import TRIALS, unconditional, unconditional_at, variance_of
from da4dvar.baselines.point_interpolation import FittedPoints, known_of

# Values of trial draws from which the variance of all others is known, and the most trials: a small map has
# few values in one draw.
ENOUGH, MOST_TRIALS = 20_000, 64


@dataclass(frozen=True)
class PointDeviations:
    """d = Fβ_s + x_s − x̂(H(Fβ_s + x_s) + b_s + e_s): draws of the error of a map.

    x_s is a draw from K, and β_s, b_s and e_s are draws from the priors of the background and of the biases,
    and of the errors of the observations (Journel and Huijbregts, 1978). x̂ maps values at the points to the
    map. The map plus d is a draw of the field given the observations. If all points are of platforms with a
    bias, the b_s have no mean, as a bias that all share cannot be told from the field.

    Parameters
    ----------
    fitted : FittedPoints
        Optimal interpolation of the points.
    place : array, shape (cell, axis)
        Places of the cells.
    clock : array, shape (time,)
        Times of the map.
    basis : array, shape (time, regressor)
        Regressors of the background.

    Examples
    --------
    >>> from da4dvar.baselines.point_interpolation import PointInterpolation, Scattered
    >>> from da4dvar.variational.kernels import Separable, SumOfSeparable
    >>> points = Scattered.of(np.array([1.0, 3.0]), np.array([[0.0], [9.0]]), np.zeros(2))
    >>> kernel = SumOfSeparable((Separable(1.0, 1.0, 1.0),), nugget=0.01)
    >>> fitted = PointInterpolation(covariance=kernel).fitted(points)
    >>> draw = PointDeviations(fitted, np.array([[0.0], [4.5]]), np.zeros(1), np.ones((1, 1)))
    >>> np.std([draw([0, k]) for k in range(500)], axis=0).round(1)
    array([[0.1, 1.2]])
    """

    fitted: FittedPoints
    place: np.ndarray
    clock: np.ndarray
    basis: np.ndarray

    def __call__(self, seed: Sequence[int]) -> np.ndarray:
        """Return d, of shape (time, cell), for a seed."""
        fitted, points = self.fitted, self.fitted.points
        generator = np.random.default_rng([*seed, 1])
        coefficients = np.sqrt(fitted.prior) * generator.standard_normal(len(fitted.prior))
        mean, bias = np.split(coefficients, [self.basis.shape[1]])
        if bias.size and (points.platform >= 0).all():
            bias -= bias.mean()
        noise = np.sqrt(fitted.analysis.noise) * generator.standard_normal(len(points.value))
        field = unconditional_at(fitted.covariance, points.place, points.clock, [*seed, 0])
        y = known_of(points, mean, bias) + field + noise
        truth = (self.basis @ mean)[:, None] + unconditional(
            fitted.covariance, self.place, self.clock, [*seed, 0]
        )
        out: np.ndarray = truth - fitted.estimated_from(y, self.place, self.clock, self.basis)
        return out

    def standardised(self, std: np.ndarray) -> Callable[[Sequence[int]], np.ndarray]:
        """Return a function that draws d divided by its standard deviation.

        Parameters
        ----------
        std : array, shape (time, cell)
            Standard error that is computed from the nearest points, without the errors of the background and
            of the biases. A few draws tell the ratio; see :func:`da4dvar.baselines.draws.variance_of`.

        Returns
        -------
        callable
            Maps a seed to a draw of shape (time, cell).
        """
        trials = max(TRIALS, min(MOST_TRIALS, ENOUGH // std.size))
        scale = 1 / np.sqrt(variance_of(self, np.square(std), trials))
        return lambda seed: scale * self(seed)
