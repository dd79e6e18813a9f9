"""Regression on the stations that report at the same time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.standard_error import solved_together, with_standard_errors
from da4dvar.baselines.stations import ENOUGH, Memory, distances, standardised, station_dim
from da4dvar.errors import DataError
from da4dvar.fields.labels.given import data_set

CHUNK = 4096


class NearestStations:
    """x̂ᵢ(t) = bᵢ(t) + Σⱼ βⱼ (xⱼ(t) − bⱼ(t) − mⱼ) + r̂ᵢ(t), β = (C + α/n I)⁻¹ c.

    The method is a ridge regression on the k stations j that report at t and have the highest correlation
    with i, plus its residual r interpolated from the times before and after the gap: regression kriging in
    time (Hengl et al., 2007). The background b is the climatology if the dates cover a year, and otherwise
    the mean of each station. If all stations except i are complete, β is that of a ridge regression on
    standardised anomalies with the n times of i as the sample.

    C and c are estimated pairwise from the times at which i, j and k all report. If there are fewer than 30
    of these, the estimate is a weighted mean with that from all common times of j and k. If there are fewer
    than 30 of those as well, it is a weighted mean with a correlation that decays exponentially with
    distance, or with 0 if there are no latitudes and longitudes. As pairwise correlations may be mutually
    inconsistent, negative eigenvalues are set to 0 and the diagonal is scaled back to 1. The mean mⱼ over
    the common times of j and i is adjusted to all times of i by regression (Little and Rubin, 2002,
    section 7.2).

    r̂ is the kriging estimate from the ten nearest residuals on each side. Their correlation in time is a sum
    of exponentials with non-negative weights, fitted to the residuals of all stations. At times when no
    station reports, the anomaly itself is interpolated, and decays to the climatology.

    Observed values are kept, and stations that are never observed remain NaN. Series along other dimensions
    are filled independently.

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.
    station : str, optional
        Name of the station dimension; by default ``station``, or the only dimension besides time.
    neighbours : int
        k; 0 to use only the values of the station itself.
    ridge : float
        α, the penalty of a ridge regression on standardised anomalies, as a number of observations.
    harmonics : int
        Number of harmonics of the year in the climatology.
    lags : int
        Maximum number of steps over which residuals are interpolated; 0 for the regression alone.

    Raises
    ------
    DataError
        If a parameter is negative.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).standard_normal((2, 50))
    >>> y = xr.Dataset({"t2m": (("station", "time"), np.stack([a, b, a + 2 * b]))})
    >>> y.t2m[2, 10:20] = np.nan
    >>> x = NearestStations(ridge=0, lags=0).interpolate(y)
    >>> bool(np.allclose(x.t2m[2], a + 2 * b))
    True
    """

    suits = (1,)

    def __init__(
        self,
        time: str = "time",
        station: str | None = None,
        neighbours: int = 10,
        ridge: float = 60.0,
        harmonics: int = 3,
        lags: int = 100,
    ) -> None:
        for name, value in {
            "neighbours": neighbours,
            "ridge": ridge,
            "harmonics": harmonics,
            "lags": lags,
        }.items():
            if not value >= 0:
                raise DataError(f"{name} is {value}, expected 0 or more")
        self.time, self.station, self.neighbours = time, station, neighbours
        self.ridge, self.harmonics, self.lags = ridge, harmonics, lags

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
            is ambiguous, or a variable ``<name>_std`` already exists.
        """
        ds = data_set(ds)
        return with_standard_errors(ds, self._fill)

    def _fill(self, array: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        core = [self.time, station_dim(array, self.time, self.station)]
        dates = array[self.time].variable if self.time in array.coords else None
        distance = distances(array, core[1])

        def fill(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            series = values.reshape(-1, *values.shape[-2:]).astype(float)
            filled = [self._solve(y, distance, dates) for y in series]
            x, std = (np.stack(part).reshape(values.shape) for part in zip(*filled, strict=True))
            return x.astype(values.dtype), std.astype(values.dtype)

        return solved_together(fill, array, core)

    def _solve(
        self, y: np.ndarray, distance: np.ndarray, dates: xr.Variable | None
    ) -> tuple[np.ndarray, np.ndarray]:
        y = np.where(np.isfinite(y), y, np.nan)
        data = xr.Dataset({"y": ((self.time, "i"), y)}, {} if dates is None else {self.time: dates})
        usual = Climatology(self.time, self.harmonics).interpolate(data)["y"].values
        scale, z = standardised(y - usual)
        correlation = _correlations(z, distance)
        x, variance = np.full(z.shape, np.nan), np.full(z.shape, np.nan)
        informed = np.zeros(z.shape, dtype=bool)
        for i in map(int, np.flatnonzero(np.isfinite(z).any(0))):
            x[:, i], variance[:, i], informed[:, i] = _regression(
                z, i, correlation, self.neighbours, self.ridge
            )
        if self.lags:
            residual = (z - x) / np.sqrt(variance)
            # When no other station reports, x is 0 and the residual is the anomaly.
            for series, here in ((residual, informed), (z, ~informed)):
                memory = Memory(series, self.lags)
                for i in map(int, np.flatnonzero((here & np.isnan(z)).any(0) & np.isfinite(z).any(0))):
                    at = np.flatnonzero(here[:, i] & np.isnan(z[:, i]))
                    carried, left = memory.carry(series[:, i], at)
                    x[at, i] += carried * np.sqrt(variance[at, i])
                    variance[at, i] *= left
        observed = np.isfinite(y)
        std = np.where(observed, 0, scale * np.sqrt(variance))
        return np.where(observed, y, usual + scale * x), std


def _pairwise(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of j and k, mean of j, and count, each over the common times of j and k, at index jk."""
    seen = np.isfinite(z).astype(float)
    values = np.where(seen > 0, z, 0)
    count = seen.T @ seen
    some = np.maximum(1, count)
    mean = values.T @ seen / some
    return values.T @ values / some - mean * mean.T, mean, count


def _mixed(own: np.ndarray, count: np.ndarray, other: np.ndarray) -> np.ndarray:
    part = np.minimum(1, count / ENOUGH)
    mixed: np.ndarray = part * own + (1 - part) * other
    return mixed


def _correlations(z: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Correlation of each pair of stations, shrunk towards that at equal distance if data are few."""
    covariance, _, count = _pairwise(z)
    seen = np.isfinite(z).astype(float)
    squares = np.where(seen > 0, z, 0) ** 2
    power = squares.T @ seen / np.maximum(1, count)
    mean = np.where(seen > 0, z, 0).T @ seen / np.maximum(1, count)
    variance = power - mean**2
    product = np.sqrt((variance * variance.T).clip(0))
    own = np.divide(covariance, product, out=np.zeros_like(product), where=product > 1e-12).clip(-1, 1)
    known = (count >= ENOUGH) & np.isfinite(distance) & ~np.eye(len(own), dtype=bool)
    far = np.zeros_like(own)
    if known.any():
        # ρ₀ exp(−d/ℓ) by least squares: ρ₀ for each of a range of ℓ, then the best of these.
        d, r = distance[known], own[known]
        lengths = np.geomspace(max(d.max() / 1e3, 1e-3), max(10 * d.max(), 1e-2), 60)
        shapes = np.exp(-d / lengths[:, None])
        height = (shapes @ r / np.maximum(1e-12, (shapes**2).sum(1))).clip(0, 1)
        best = ((height[:, None] * shapes - r) ** 2).sum(1).argmin()
        far = np.where(np.isfinite(distance), height[best] * np.exp(-distance / lengths[best]), 0)
    out = _mixed(own, count, far)
    np.fill_diagonal(out, 1)
    return out


def _regression(
    z: np.ndarray, i: int, correlation: np.ndarray, neighbours: int, ridge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The estimate of station i at all times, its variance, and whether any other station reported."""
    times = len(z)
    ranked = np.argsort(-np.abs(correlation[i]), kind="stable")
    ranked = ranked[(ranked != i) & np.isfinite(z).any(0)[ranked]]
    # The first `neighbours` of the ranking that report, a row for each time.
    chosen = np.argsort(np.isnan(z[:, ranked]), axis=1, kind="stable")[:, :neighbours]
    there = np.isfinite(np.take_along_axis(z[:, ranked], chosen, 1))
    if not there.any():
        return np.zeros(times), np.ones(times), np.zeros(times, dtype=bool)
    used, chosen = np.unique(np.where(there, chosen, chosen[there][0]), return_inverse=True)
    chosen, used = chosen.reshape(there.shape), ranked[used]

    sample = z[np.isfinite(z[:, i])][:, [*used, i]]
    n, last = len(sample), len(used)
    own, means, count = _pairwise(sample)
    slope = own[:-1, last] / np.maximum(1e-12, _variance_of(sample, last))
    offset = means[:-1, last] + slope * (means[last, last] - means[last, :-1])
    offset *= np.minimum(1, count[:-1, last] / ENOUGH)
    joint = np.ix_([*used, i], [*used, i])
    spread = np.sqrt(np.where(np.diag(count) < ENOUGH, 1, np.diag(own).clip(1e-12)))
    mixed = _mixed(own, count, correlation[joint] * np.outer(spread, spread))
    covariance = _positive(mixed, invertible=ridge == 0)

    x, variance = np.empty(times), np.empty(times)
    diagonal = np.arange(chosen.shape[1])
    for first in range(0, times, CHUNK):
        rows = slice(first, first + CHUNK)
        j, ok = chosen[rows], there[rows]
        plain = covariance[j[:, :, None], j[:, None, :]] * (ok[:, :, None] & ok[:, None, :])
        system = plain.copy()
        system[:, diagonal, diagonal] += np.where(ok, ridge / n + 1e-10, 1)
        right = np.where(ok, covariance[last, j], 0)
        beta = np.linalg.solve(system, right[..., None])[..., 0]
        departure = np.where(ok, np.take_along_axis(z[rows][:, used], j, 1) - offset[j], 0)
        x[rows] = means[last, last] + (beta * departure).sum(1)
        explained = (beta * (2 * right - (plain @ beta[..., None])[..., 0])).sum(1)
        freedom = np.maximum(0.5, 1 - (1 + ok.sum(1)) / n)
        variance[rows] = (covariance[last, last] - explained) / freedom
    # Without noise the residual variance is 0, to which residuals cannot be scaled.
    return x, variance.clip(1e-8), there.any(1)


def _variance_of(sample: np.ndarray, last: int) -> np.ndarray:
    """The variance of the last column over its common times with each other column."""
    seen = np.isfinite(sample[:, :last]).astype(float)
    y, count = sample[:, last], np.maximum(1, seen.sum(0))
    variance: np.ndarray = y**2 @ seen / count - (y @ seen / count) ** 2
    return variance


def _positive(covariance: np.ndarray, invertible: bool) -> np.ndarray:
    """Raise the eigenvalues of an indefinite correlation to 0 and keep the variances.

    Pairs have different samples, and what they disagree by is the size of the most negative eigenvalue. Where
    no ridge bounds the inverse, all eigenvalues are raised to that size.
    """
    spread = np.sqrt(np.diag(covariance).clip(1e-12))
    values, vectors = np.linalg.eigh(covariance / np.outer(spread, spread))
    if values[0] > -1e-9:
        return covariance
    mended: np.ndarray = (vectors * values.clip(-values[0] if invertible else 0)) @ vectors.T
    back = spread / np.sqrt(np.diag(mended).clip(1e-12))
    return mended * np.outer(back, back)
