"""Optimal interpolation of observations at points, with a bias and an error of each platform."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from da4dvar.baselines.fit_points import STEPS, PointSearch, fit_points
from da4dvar.baselines.hidden_neighbours import gathered
from da4dvar.baselines.likelihood import predictions
from da4dvar.baselines.point_analysis import FEW, PointAnalysis
from da4dvar.errors import DataError, check_least
from da4dvar.variational.kernels import SumOfSeparable

# Prior variances of the mean and of the harmonics, in variances of the values.
MEAN, CYCLES = 100.0, 1.0
# Standard deviations of the biases that are tried, in standard deviations of the values; and the gain in
# log-likelihood for which one is taken.
BIASES, GAIN = np.concatenate([[0.0], np.geomspace(0.01, 2.0, 30)]), 2.0
# Points of a platform from which its error is estimated, the fewest with which it is, and rounds.
LOOK, FEWEST, ROUNDS = 300, 50, 3


@dataclass(frozen=True)
class Scattered:
    """Points as numbers.

    Parameters
    ----------
    value : array, shape (point,)
        Observed values.
    place : array, shape (point, axis)
        Cartesian coordinates, such as km.
    clock : array, shape (point,)
        Times, such as days.
    track : array of int, shape (point,)
        Number of the track, which is hidden whole.
    platform : array of int, shape (point,)
        Number of the platform, or -1 for points without one, or of one whose bias is not estimated.
    basis : array, shape (point, regressor)
        Regressors of the background, the first of which is 1.
    noise : array, shape (point,)
        Known error variances; 0 where the errors are unknown.

    Examples
    --------
    >>> points = Scattered.of(np.ones(3), np.zeros((3, 2)), np.arange(3.0))
    >>> points.isel(np.array([0, 2])).clock
    array([0., 2.])
    """

    value: np.ndarray
    place: np.ndarray
    clock: np.ndarray
    track: np.ndarray
    platform: np.ndarray
    basis: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, value: np.ndarray, place: np.ndarray, clock: np.ndarray) -> Scattered:
        """Return points of no platform, whose background is constant and whose errors are unknown.

        Parameters
        ----------
        value, place, clock : array
            See :class:`Scattered`.

        Returns
        -------
        Scattered
        """
        number = len(value)
        return cls(
            value,
            place,
            clock,
            np.arange(number),
            np.full(number, -1),
            np.ones((number, 1)),
            np.zeros(number),
        )

    def isel(self, index: np.ndarray) -> Scattered:
        """Return some of the points.

        Parameters
        ----------
        index : array of int or bool
            Which points to keep.

        Returns
        -------
        Scattered
        """
        return Scattered(**{name: array[index] for name, array in vars(self).items()})


@dataclass(frozen=True)
class PointInterpolation:
    """x̂ = Fβ + K Hᵀ (H K Hᵀ + R)⁻¹ (y − HFβ − b), with y at points in space and time.

    K is computed at the points themselves (:class:`da4dvar.baselines.point_analysis.PointAnalysis`). Its
    forms and scales are fitted to points that are hidden as whole tracks or platforms
    (:func:`da4dvar.baselines.fit_points.fit_points`). The background Fβ is a mean and, if the times cover
    them, the cycles of the year and of the day. b are the biases of the platforms: β and b are estimated with
    K by generalised least squares, with Gaussian priors, whose standard deviation for b is that of the
    largest likelihood. R holds the known error variances and the nugget of K or, where several platforms have
    unknown errors, a variance for each.

    Parameters
    ----------
    all_points : bool
        Whether estimates are made from all points or from the nearest `neighbours` only.
    neighbours : int
        Number of points from which standard errors are computed, and estimates without `all_points`.
    seed : int
        Seed of the choice of hidden points.
    covariance : SumOfSeparable, optional
        K and the variance of the errors, in place of fitted ones.
    biases : bool
        Whether to estimate biases.

    Examples
    --------
    >>> at = np.linspace(0, 50, 200)
    >>> points = Scattered.of(np.sin(at / 5), at[:, None], np.zeros(200))
    >>> fitted = PointInterpolation().fitted(points)
    >>> x, std = fitted.at(np.array([[20.1]]), np.zeros(1), np.ones((1, 1)))
    >>> bool(abs(x[0] - np.sin(20.1 / 5)) < 0.01)
    True
    """

    all_points: bool = True
    neighbours: int = 60
    seed: int = 0
    covariance: SumOfSeparable | None = None
    biases: bool = True

    def __post_init__(self) -> None:
        check_least(1, neighbours=self.neighbours)
        check_least(0, seed=self.seed)

    def fitted(self, points: Scattered) -> FittedPoints:
        """Return the method with everything that is estimated from points.

        Parameters
        ----------
        points : Scattered
            Observations.

        Returns
        -------
        FittedPoints

        Raises
        ------
        DataError
            If there are fewer than two different values.
        """
        variance = float(np.var(points.value)) if len(points.value) > 1 else 0.0
        if not variance > 0:
            raise DataError(
                f"cannot interpolate {len(points.value)} points with a variance of {variance}; "
                "give points with different values"
            )
        prior = prior_of(points, variance)
        first = points.basis.T @ points.basis + variance * np.diag(1 / prior)
        anomaly = points.value - points.basis @ np.linalg.solve(first, points.basis.T @ points.value)
        covariance = self._kernel(points, anomaly)
        fitted = FittedPoints.of(points, self, covariance)
        if self.covariance is None and np.any(fitted.bias):
            # Without the biases, the covariance is another.
            covariance = self._kernel(points, fitted.anomaly)
            fitted = FittedPoints.of(points, self, covariance)
        if self.covariance is None:
            alone = replace(points, value=fitted.anomaly)
            errors = errors_of_platforms(alone, covariance, self.neighbours, self.seed)
            if errors is not None:
                fitted = FittedPoints.of(points, self, covariance, errors)
        return fitted

    def _kernel(self, points: Scattered, anomaly: np.ndarray) -> SumOfSeparable:
        if self.covariance is not None:
            return self.covariance
        return fit_points(
            anomaly,
            points.place,
            points.clock,
            points.track,
            points.noise,
            neighbours=self.neighbours,
            seed=self.seed,
        )


@dataclass(frozen=True)
class FittedPoints:
    """Optimal interpolation of some points with all that was fitted to them.

    Parameters
    ----------
    points : Scattered
        Observations.
    method : PointInterpolation
        Method.
    covariance : SumOfSeparable
        K.
    errors : array, shape (platform,), or None
        Error variance of each platform whose errors are unknown, in place of the nugget of K.
    gain : array, shape (regressor + platform, point)
        Maps values to β and b.
    prior : array, shape (regressor + platform,)
        Prior variances of β and b; 0 for a bias that is not estimated.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable
    >>> points = Scattered.of(np.array([1.0, 3.0]), np.array([[0.0], [9.0]]), np.zeros(2))
    >>> kernel = SumOfSeparable((Separable(1.0, 1.0, 1.0),), nugget=0.01)
    >>> fitted = PointInterpolation(covariance=kernel).fitted(points)
    >>> x, std = fitted.on_grid(np.array([[0.0], [4.5]]), np.zeros(1), np.ones((1, 1)))
    >>> x.round(1), std.round(1)
    (array([[1., 2.]]), array([[0.1, 1. ]]))
    """

    points: Scattered
    method: PointInterpolation
    covariance: SumOfSeparable
    errors: np.ndarray | None
    gain: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(
        cls,
        points: Scattered,
        method: PointInterpolation,
        covariance: SumOfSeparable,
        errors: np.ndarray | None = None,
    ) -> FittedPoints:
        """Return the method with background and biases that are estimated from points.

        Parameters
        ----------
        points, method, covariance, errors
            See :class:`FittedPoints`.

        Returns
        -------
        FittedPoints
        """
        noise = noise_of(points, covariance, errors)
        prior = prior_of(points, float(np.var(points.value)))
        return cls(
            points, method, covariance, errors, *background(points, covariance, noise, prior, method.biases)
        )

    def moved(self, points: Scattered) -> FittedPoints:
        """Return the same covariance and errors with other points.

        Parameters
        ----------
        points : Scattered
            Observations, of the same platforms.

        Returns
        -------
        FittedPoints
        """
        return FittedPoints.of(points, self.method, self.covariance, self.errors)

    @property
    def noise(self) -> np.ndarray:
        """Error variances of the points, the diagonal of R."""
        return noise_of(self.points, self.covariance, self.errors)

    @cached_property
    def analysis(self) -> PointAnalysis:
        """Analysis of the anomalies."""
        return PointAnalysis(self.points.place, self.points.clock, self.noise, self.covariance)

    @cached_property
    def coefficients(self) -> list[np.ndarray]:
        """β and b."""
        return np.split(self.gain @ self.points.value, [self.points.basis.shape[1]])

    @property
    def mean(self) -> np.ndarray:
        """β, of shape (regressor,)."""
        return self.coefficients[0]

    @property
    def bias(self) -> np.ndarray:
        """Bias of each platform, of shape (platform,)."""
        return self.coefficients[1]

    @cached_property
    def anomaly(self) -> np.ndarray:
        """Values without background and biases."""
        out: np.ndarray = self.points.value - known_of(self.points, self.mean, self.bias)
        return out

    def at(self, place: np.ndarray, clock: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate and its standard error at further points.

        Parameters
        ----------
        place : array, shape (target, axis)
            Places.
        clock : array, shape (target,)
            Times.
        basis : array, shape (target, regressor)
            Regressors of the background.

        Returns
        -------
        estimate, standard_error : array, shape (target,)
        """
        near, std = self.analysis.local(self.anomaly, place, clock, self.method.neighbours)
        if not self.method.all_points:
            return basis @ self.mean + near, std
        x = self.analysis.at(self.anomaly, place, clock)
        return basis @ self.mean + x, std

    def on_grid(
        self, place: np.ndarray, clock: np.ndarray, basis: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate and its standard error on a grid.

        Parameters
        ----------
        place : array, shape (cell, axis)
            Places of the cells.
        clock : array, shape (time,)
            Times.
        basis : array, shape (time, regressor)
            Regressors of the background.

        Returns
        -------
        estimate, standard_error : array, shape (time, cell)
        """
        near, std = self._local(self.anomaly, place, clock)
        x = self.analysis.on_grid(self.anomaly, place, clock) if self.method.all_points else near
        return (basis @ self.mean)[:, None] + x, std

    def estimated_from(
        self, value: np.ndarray, place: np.ndarray, clock: np.ndarray, basis: np.ndarray
    ) -> np.ndarray:
        """Return the estimate on a grid from other values at the points.

        Parameters
        ----------
        value : array, shape (point,)
            Values.
        place, clock, basis
            See :meth:`on_grid`.

        Returns
        -------
        array, shape (time, cell)
            Linear in `value`.
        """
        mean, bias = np.split(self.gain @ value, [basis.shape[1]])
        anomaly = value - known_of(self.points, mean, bias)
        x = (
            self.analysis.on_grid(anomaly, place, clock)
            if self.method.all_points
            else self._local(anomaly, place, clock)[0]
        )
        out: np.ndarray = (basis @ mean)[:, None] + x
        return out

    def _local(
        self, anomaly: np.ndarray, place: np.ndarray, clock: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        when, where = np.divmod(np.arange(len(clock) * len(place)), len(place))
        x, std = self.analysis.local(anomaly, place[where], clock[when], self.method.neighbours)
        shape = len(clock), len(place)
        return x.reshape(shape), std.reshape(shape)


def known_of(points: Scattered, mean: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return background and biases at points."""
    out: np.ndarray = points.basis @ mean + spread_out(bias, points)
    return out


def spread_out(bias: np.ndarray, points: Scattered) -> np.ndarray:
    """Return the bias of the platform of each point; 0 for points without one."""
    out: np.ndarray = np.append(bias, 0.0)[np.minimum(points.platform, bias.size)]
    return out


def background(
    points: Scattered, covariance: SumOfSeparable, noise: np.ndarray, prior: np.ndarray, biases: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that maps y to β and b of largest posterior probability, and their prior variances.

    With Z = [F, P], A = K + R and a prior variance D of γ = (β, b), the normal equations are
    (ZᵀA⁻¹Z + D⁻¹) γ = ZᵀA⁻¹y, and log p(y) = ½ γᵀZᵀA⁻¹y − ½ log |D| − ½ log |ZᵀA⁻¹Z + D⁻¹| + const. The
    variance of b is that of largest likelihood.
    """
    number = int(points.platform.max(initial=-1)) + 1 if biases else 0
    z = points.basis
    if number:
        z = np.column_stack([z, points.platform[:, None] == np.arange(number)])
    analysis = PointAnalysis(points.place, points.clock, noise, covariance)
    inverse = analysis.inverse if len(z) <= FEW else analysis.approximated
    solved = np.stack([inverse(column) for column in z.T])
    normal, right = solved @ z, solved @ points.value
    normal = (normal + normal.T) / 2
    size = float(np.std(points.value))
    found = []
    for ratio in BIASES if number else BIASES[:1]:
        # A bias without variance is left out.
        kept = slice(len(prior) + (number if ratio else 0))
        variances = np.append(prior, np.full(number, (ratio * size) ** 2))[kept]
        system = normal[kept, kept] + np.diag(1 / variances)
        gamma = np.linalg.solve(system, right[kept])
        log = 0.5 * (gamma @ right[kept] - np.log(variances).sum() - np.linalg.slogdet(system)[1])
        found.append((log, variances, system))
    best = max(range(len(found)), key=lambda k: found[k][0])
    if found[best][0] < found[0][0] + GAIN:
        best = 0
    _, variances, system = found[best]
    gain = np.zeros((len(prior) + number, len(z)))
    gain[: len(system)] = np.linalg.solve(system, solved[: len(system)])
    return gain, np.append(variances, np.zeros(len(gain) - len(system)))


def errors_of_platforms(
    points: Scattered, covariance: SumOfSeparable, neighbours: int, seed: int
) -> np.ndarray | None:
    """Return the error variances of platforms with unknown errors; None if there are not several.

    The mean of e² − v of a platform, with the error e and the variance v of the prediction of its points from
    all others, is how much its error variance is larger than assumed.
    """
    unknown = (points.noise == 0) & (points.platform >= 0)
    names, count = np.unique(points.platform[unknown], return_counts=True)
    names = names[count >= FEWEST]
    if names.size < 2:
        return None
    errors = np.full(int(points.platform.max()) + 1, covariance.nugget)
    alone = replace(covariance, nugget=0.0)
    for _ in range(ROUNDS):
        noise = noise_of(points, covariance, errors)
        search = PointSearch(points.value, points.place, points.clock, points.track, noise, neighbours, seed)
        for name in names:
            own = search.some(np.flatnonzero(unknown & (points.platform == name)), LOOK)
            near = search.around(own, np.arange(noise.size), covariance.scales(0.6), search.ranks)
            error, variance, _ = predictions(alone, gathered(*near, steps=STEPS))
            more = errors[name] + float(np.mean(error**2 - variance))
            errors[name] = np.clip(more, 0.05 * errors[name], 20 * errors[name])
    return errors


def noise_of(points: Scattered, covariance: SumOfSeparable, errors: np.ndarray | None) -> np.ndarray:
    """Return the error variance of each point: the known one and the nugget, or that of its platform."""
    nugget = np.full(len(points.value), covariance.nugget)
    if errors is not None:
        unknown = (points.noise == 0) & (points.platform >= 0)
        nugget[unknown] = errors[points.platform[unknown]]
    out: np.ndarray = points.noise + nugget
    return out


def prior_of(points: Scattered, variance: float) -> np.ndarray:
    """Return the prior variances of the mean and of the cycles."""
    return np.append(MEAN, np.full(points.basis.shape[1] - 1, CYCLES)) * variance
