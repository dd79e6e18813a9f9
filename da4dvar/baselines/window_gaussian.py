"""Joint Gaussian of all values in a window of time, fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view

from da4dvar.baselines.joint_gaussian import maximise, patterns, precision, prior
from da4dvar.baselines.standard_error import solved_together, with_standard_errors
from da4dvar.baselines.stations import distances, heights, standardised, station_dim
from da4dvar.errors import DataError, check_least, nearest
from da4dvar.fields.labels.cf import is_dates
from da4dvar.fields.labels.given import data_set

# Number of windows, drawn at random, from which a step of EM is computed; overlapping windows add little.
SAMPLE = 800
# Default number of steps of a window, and of values in it.
STEPS, VALUES = 48, 400
# With more values in a window, one inverse of its covariance takes seconds.
MOST_VALUES = 5000


@dataclass(frozen=True)
class WindowModel:
    """Mean and covariance of the values in a window that begins with a cycle.

    Attributes
    ----------
    usual, scale : array, shape (station,)
        Mean and standard deviation of each station, in its units.
    mean : array, shape (step, station)
        Mean of the standardised values.
    covariance : array, shape (step * station, step * station)
        Covariance of the standardised values.
    cycle : int
        Number of steps in a cycle.
    freedom : float
        Degrees of freedom.
    """

    usual: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    cycle: int
    freedom: float

    @classmethod
    def fit(
        cls,
        y: np.ndarray,
        distance: np.ndarray,
        height: np.ndarray,
        *,
        window: int,
        cycle: int,
        freedom: float,
        weights: tuple[float, float],
        steps: int,
        seed: int,
    ) -> Self:
        """Estimate the moments from a record of shape (time, station) that begins with a cycle.

        `weights` are those of T ⊗ S₀ in the covariance of all windows, and of the latter in the covariance of
        windows that begin with a cycle.
        """
        n, lags = y.shape[1], window // 2
        usual = np.nanmean(y, axis=0)
        scale, z = standardised(y - usual)
        constant, base = np.ones((len(z), 1)), prior(z, distance, height, lags)
        level, covariance = maximise(
            z, constant, base, lags=lags, weight=weights[0], steps=steps, seed=seed, sample=SAMPLE
        )
        # The lags −L, …, L are an odd number of steps, one more than an even window.
        covariance = covariance[: window * n, : window * n]
        mean = np.tile(level[0], (window, 1))
        if cycle > 1 and len(z) >= window:
            view = sliding_window_view(z - level, window, axis=0)[::cycle]
            rows = view.transpose(0, 2, 1).reshape(len(view), -1)
            shift, covariance = maximise(
                rows,
                constant[: len(rows)],
                covariance,
                lags=0,
                weight=weights[1],
                steps=steps,
                seed=seed,
                first=covariance,
                sample=SAMPLE,
            )
            mean = mean + shift[0].reshape(window, n)
        return cls(usual, scale, mean, covariance, cycle, freedom)

    def estimate(self, y: np.ndarray, phase: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return the conditional mean and standard deviation, at each time from the most central window.

        Parameters
        ----------
        y : array, shape (time, station)
            Values with NaN in the gaps.
        phase : int
            Number of steps from the beginning of a cycle to the first time.

        Returns
        -------
        x, std : array, shape (time, station)
            Estimates, equal to the observed values, and standard deviations, 0 for these.
        """
        window, n = self.mean.shape
        hop = self.cycle * max(1, window // 2 // self.cycle)
        starts = np.arange(-phase, max(1 - phase, len(y) - window + hop), hop)
        z = np.pad((y - self.usual) / self.scale, ((phase, window), (0, 0)), constant_values=np.nan)
        rows = np.stack([(z[s + phase : s + phase + window] - self.mean).ravel() for s in starts])
        x, variance = (
            part.reshape(-1, window, n) for part in conditional(rows, self.covariance, self.freedom)
        )
        time = np.arange(len(y))
        central = abs(time[:, None] - starts - (window - 1) / 2).argmin(axis=1)
        at = time - starts[central]
        filled = self.usual + self.scale * (self.mean[at] + x[central, at])
        return np.where(np.isfinite(y), y, filled), self.scale * np.sqrt(variance[central, at])


def conditional(y: np.ndarray, s: np.ndarray, freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and squared scale of each row of a Student distribution around 0, given its observed values.

    The mean is that of a Gaussian with the covariance S. Its variance is multiplied by (f + d)/(f + n), where
    n is the number of observed values and d their squared Mahalanobis distance, which is n on average.

    Parameters
    ----------
    y : array, shape (row, value)
        Departures from the mean, NaN in the gaps.
    s : array, shape (value, value)
        S.
    freedom : float
        f, the degrees of freedom.

    Returns
    -------
    mean, variance : array, shape (row, value)
        Observed values are returned with variance 0.
    """
    mean, variance = np.nan_to_num(y), np.zeros(y.shape)
    for rows, o in patterns(y):
        u = np.setdiff1d(np.arange(len(s)), o)
        seen, p = y[np.ix_(rows, o)], precision(s, o)
        gain = p @ s[np.ix_(o, u)]
        mean[np.ix_(rows, u)] = seen @ gain
        left = np.diag(s)[u] - (gain * s[np.ix_(o, u)]).sum(0)
        distance = ((seen @ p) * seen).sum(1)
        variance[np.ix_(rows, u)] = np.outer(1 + (distance - len(o)) / (freedom + len(o)), left.clip(0))
    return mean, variance


class WindowGaussian:
    """x̂ᵤ = mᵤ + S_uo S_oo⁻¹ (x_o − m_o), where x holds all values of all stations in a window of time.

    Each missing value is estimated from every observed value in the window, of its own station and of the
    others, at all lags, while `GaussianEM` uses the others at a few lags and then the memory of the residual.
    With an hourly window of two days it also learns the shape of a day.

    The moments are estimated in two steps, each by the regularised EM of `GaussianEM`. The first uses windows
    that begin at any step: S is a function of the difference in time, and its prior is T ⊗ S₀, the pooled
    autocorrelation times the correlation of the stations. The second uses windows that begin with a cycle:
    mean and covariance then depend on the phase, and the S of the first step is the prior. A long record is
    filled by windows that overlap by about half, and each time takes its estimate from the most central one.

    The standard error is that of a Student distribution: it is larger where the observed values of the window
    are farther from their mean, in the metric of S, than usual.

    Observed values are kept, and stations that are never observed where the moments are estimated are left as
    they are. Series along other dimensions, and other variables, are filled independently.

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.
    station : str, optional
        Name of the station dimension; by default ``station``, or the only dimension besides time.
    window : int, optional
        Number of steps in a window; by default 48, or fewer so that a window has at most 400 values.
    cycle : int
        Number of steps in a cycle, 24 for the days of hourly data; 1 if no step is special.
    history : Dataset, optional
        Other times of the same stations, from which the moments are estimated; by default `ds` itself. It
        may have gaps. If both have dates, these give the phase of `ds`; otherwise both begin with a cycle.
    prior : float
        Weight of T ⊗ S₀, as a number of windows.
    phase_prior : float
        Weight of the covariance of all windows in that of windows of one phase, as a number of windows.
    freedom : float
        Degrees of freedom of the Student distribution; infinite for a Gaussian, whose standard errors depend
        on the place of the gaps alone.
    steps : int
        Number of steps of EM.
    seed : int
        Seed of the windows from which the steps are computed in a long record.

    Raises
    ------
    DataError
        If a parameter is out of range.

    Notes
    -----
    The standard errors are not calibrated at withheld values. They are somewhat too small where most values
    are observed, and too large where few are.

    Examples
    --------
    >>> t = xr.DataArray(np.arange(480), dims="time")
    >>> daily = xr.concat([np.sin(t / 3.82), np.cos(t / 3.82) + t % 7 / 10], "station").rename("power")
    >>> gappy = daily.where(np.random.default_rng(0).random(daily.shape) < 0.6)
    >>> filled = WindowGaussian(window=24).interpolate(gappy)
    >>> list(filled), float(abs(filled.power - daily).max()) < 0.2
    (['power', 'power_std'], True)
    """

    def __init__(
        self,
        time: str = "time",
        station: str | None = None,
        window: int | None = None,
        cycle: int = 1,
        history: xr.Dataset | xr.DataArray | None = None,
        prior: float = 50.0,
        phase_prior: float = 200.0,
        freedom: float = 30.0,
        steps: int = 8,
        seed: int = 0,
    ) -> None:
        check_least(1, cycle=cycle)
        check_least(0, steps=steps, seed=seed)
        if window is not None and window < cycle:
            raise DataError(f"window is {window}, expected at least one cycle of {cycle} steps")
        for name, value in {"prior": prior, "phase_prior": phase_prior, "freedom": freedom}.items():
            if not value > 0:
                raise DataError(f"{name} is {value}, expected more than 0")
        self.time, self.station, self.window, self.cycle = time, station, window, cycle
        self.history = None if history is None else data_set(history)
        self.prior, self.phase_prior, self.freedom = prior, phase_prior, freedom
        self.steps, self.seed = steps, seed

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every real variable, and add its standard error.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`, and ``<name>_std``, in the units of the variable
            and 0 where it was observed.

        Raises
        ------
        DataError
            If a real variable does not have the dimension of time or of the stations, the station dimension
            is ambiguous, the history does not have the same stations, a window has more than 5000 values, or
            a variable ``<name>_std`` already exists.
        """
        return with_standard_errors(data_set(ds), self._fill)

    def _fill(self, array: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        core = [self.time, station_dim(array, self.time, self.station)]
        number = array.sizes[core[1]]
        window = self.window or max(self.cycle, min(STEPS, VALUES // max(1, number)), 1)
        if window * number > MOST_VALUES:
            raise DataError(
                f"a window of {window} steps of {number} stations of {array.name!r} has {window * number} "
                f"values, expected at most {MOST_VALUES}; use a shorter window, or GaussianEM"
            )
        place = distances(array, core[1]), heights(array, core[1])
        given, phase = None, 0
        if self.history is not None:
            past = self._past(array, core)
            phase = self._phase(array, past)
            given = self._fitted(past.values.astype(float), *place, window)

        def fill(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            series = values.reshape(-1, *values.shape[-2:]).astype(float)
            filled = [_solved(y, *(given or self._fitted(y, *place, window)), phase) for y in series]
            x, std = (np.stack(part).reshape(values.shape) for part in zip(*filled, strict=True))
            return x.astype(values.dtype), std.astype(values.dtype)

        return solved_together(fill, array, core)

    def _fitted(
        self, y: np.ndarray, distance: np.ndarray, height: np.ndarray, window: int
    ) -> tuple[np.ndarray, WindowModel | None]:
        """Return the stations that are observed, and their moments."""
        y = np.where(np.isfinite(y), y, np.nan)
        known = np.flatnonzero(np.isfinite(y).any(0))
        if not known.size:
            return known, None
        pairs = np.ix_(known, known)
        return known, WindowModel.fit(
            y[:, known],
            distance[pairs],
            height[pairs],
            window=window,
            cycle=self.cycle,
            freedom=self.freedom,
            weights=(self.prior, self.phase_prior),
            steps=self.steps,
            seed=self.seed,
        )

    def _past(self, array: xr.DataArray, core: list[str]) -> xr.DataArray:
        assert self.history is not None
        if array.name not in self.history:
            close = nearest(str(array.name), map(str, self.history))
            raise DataError(f"the history has no variable {array.name!r}: {close}")
        past = self.history[array.name]
        if set(past.dims) != set(core):
            raise DataError(
                f"the history of {array.name!r} has dimensions {', '.join(map(str, past.dims))}, "
                f"expected {' and '.join(core)}; select one series of the others"
            )
        here, there = array[core[1]], past[core[1]]
        if not (len(here) == len(there) and np.array_equal(here, there)):
            raise DataError(
                f"the history of {array.name!r} and the data have different labels along {core[1]!r}; "
                "select the common ones of both"
            )
        return past.transpose(*core)

    def _phase(self, array: xr.DataArray, past: xr.DataArray) -> int:
        time = self.time
        dated = all(time in a.coords and is_dates(a[time]) for a in (array, past))
        if self.cycle == 1 or not dated or past.sizes[time] < 2:
            return 0
        dates = past[time].values
        steps = (array[time].values[0] - dates[0]) / (dates[1] - dates[0])
        return round(float(steps)) % self.cycle


def _solved(
    y: np.ndarray, known: np.ndarray, model: WindowModel | None, phase: int
) -> tuple[np.ndarray, np.ndarray]:
    # Infinite values are gaps, also at stations that are not estimated.
    x, std = np.where(np.isfinite(y), y, np.nan), np.where(np.isfinite(y), 0, np.nan)
    if model is not None:
        x[:, known], std[:, known] = model.estimate(x[:, known], phase)
    return x, std
