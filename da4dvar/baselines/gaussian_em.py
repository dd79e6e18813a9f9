"""Joint Gaussian of all stations, fitted by EM."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from da4dvar.baselines.climatology import Climatology, has_season
from da4dvar.baselines.joint_gaussian import maximise, neighbourhoods, of_others, prior, stacked
from da4dvar.baselines.standard_error import solved_together, with_standard_errors
from da4dvar.baselines.stations import Memory, distances, heights, standardised, station_dim
from da4dvar.errors import DataError, nearest
from da4dvar.fields.derived import year_angle
from da4dvar.fields.labels.given import data_set
from da4dvar.fields.labels.intervals import error_attrs
from da4dvar.fields.scaling.harmonics import harmonic_basis

# With more stations, the distances of all pairs no longer fit in the memory of a small machine.
MOST_STATIONS = 10_000
# Weight of 1 in factors that are estimated at withheld values, as a number of values.
CAUTION = 10.0
# Default of `most`, for one variable and for several. The time grows with its cube.
MOST_ROWS = (400, 800)


class GaussianEM:
    """x̂ᵤ = bᵤ + S_uo S_oo⁻¹ (x_o − b_o) + r̂ᵤ, where S is the covariance of stations and lags.

    Mean and covariance maximise their posterior, given all that was observed: S = (Σₜ E[z zᵀ] + ν S₀)/(N + ν)
    at the fixed point of the EM algorithm, where z are the anomalies of all stations at the times t − L, …,
    t + L, in standard deviations of each station, and E is the expectation over what is missing. This uses
    every observation consistently, where correlations that are computed pair by pair contradict each other.
    Dempster, Laird and Rubin (1977); Schneider (2001, doi:10.1175/1520-0442(2001)014<0853:AOICDE>2.0.CO;2),
    who calls it regularised EM.

    The prior makes it work for hundreds of stations. S₀ is a correlation that decreases with the distance and
    the difference of height, a exp(−(√((d/ℓ)² + (Δh/h)²))ᵖ), fitted to the correlations of all pairs (their
    mean if there are no latitudes and longitudes), times the autocorrelation of all series. The background b
    is the climatology if the dates cover a year, otherwise the mean, and is estimated by EM as well: a
    station that reported in warm years only is not taken for a warm one.

    Each value is estimated from the other stations, and what their estimate leaves, r, is kriged in time from
    before and after the gap, as in `NearestStations`. Some observed values are withheld from the fit (not
    from the estimate). At these, the error variance is calibrated, and so is the fraction of the residuals
    that is carried over: residuals at values that were fitted are too small.

    Several variables of the same stations may be filled `together`: z then holds the anomalies of all, so
    that a gap in one variable is also filled from the other variables of this and all other stations. Within
    a variable, S₀ is as above. Between the variables v and w, it is c_vw exp(−(√((d/ℓ)² + (Δh/h)²))ᵖ), with a
    factor of either sign and scales for each pair of variables, and another constant at the same station, all
    from the correlations of pairs of stations. This helps where one variable is observed while another is
    missing. The time grows with the cube of the number of variables, until S has `most` rows.

    Observed values are kept, and stations that are never observed remain NaN. Series along other dimensions
    are filled independently, and so are variables that are not filled together. Of more than `most` stations,
    groups of neighbours are filled, each with the stations around it.

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.
    station : str, optional
        Name of the station dimension; by default ``station``, or the only dimension besides time.
    lags : int, optional
        L; by default 1, or 0 if S would have more than `most` rows.
    prior : float
        ν, the weight of the prior as a number of times.
    steps : int
        Number of steps of EM.
    memory : int
        Maximum number of steps over which residuals are interpolated; 0 for the other stations alone.
    harmonics : int
        Number of harmonics of the year in the climatology.
    most : int, optional
        Number of rows of S without lags: of the stations in a group and around it, times the number of the
        variables that are filled together. By default 400, and 800 for several variables.
    hidden : float
        Fraction of the observed values withheld from the fit.
    seed : int
        Seed of the withheld values.
    together : bool or sequence of str
        Whether all real variables with the same dimensions are filled at once, as one joint Gaussian, or the
        names of those that are. Variables that are hardly correlated are better filled alone.

    Raises
    ------
    DataError
        If a parameter is out of range.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> x = generator.standard_normal((400, 1)) + 0.1 * generator.standard_normal((400, 5))
    >>> y = xr.Dataset({"t2m": (("time", "station"), x)}).where(generator.random(x.shape) < 0.5)
    >>> filled = GaussianEM().interpolate(y).t2m
    >>> gaps = y.t2m.isnull() & y.t2m.notnull().any("station")
    >>> float(abs(filled - x).where(gaps).mean()) < 0.2
    True

    A second variable that is observed while the first is missing can help much:

    >>> pair = y.assign(dew=(("time", "station"), x + 0.01 * generator.standard_normal(x.shape)))
    >>> filled = GaussianEM(together=True).interpolate(pair).t2m
    >>> float(abs(filled - x).where(gaps).mean()) < 0.05
    True
    """

    suits = (1,)

    def __init__(
        self,
        time: str = "time",
        station: str | None = None,
        lags: int | None = None,
        prior: float = 600.0,
        steps: int = 12,
        memory: int = 100,
        harmonics: int = 3,
        most: int | None = None,
        hidden: float = 0.03,
        seed: int = 0,
        together: bool | Sequence[str] = False,
    ) -> None:
        least = {"lags": lags or 0, "memory": memory, "harmonics": harmonics, "steps": steps, "seed": seed}
        for name, value in least.items():
            if not value >= 0:
                raise DataError(f"{name} is {value}, expected 0 or more")
        if not prior > 0:
            raise DataError(f"prior is {prior}, expected more than 0")
        if not (most is None or most >= 2):
            raise DataError(f"most is {most}, expected 2 or more")
        if not 0 <= hidden <= 0.5:
            raise DataError(f"hidden is {hidden}, expected a fraction from 0 to 0.5")
        self.time, self.station, self.lags, self.prior = time, station, lags, prior
        self.steps, self.memory, self.harmonics = steps, memory, harmonics
        self.most, self.hidden, self.seed = most, hidden, seed
        several = [together] if isinstance(together, str) else together
        self.together = several if isinstance(several, bool) else tuple(several)

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
            is ambiguous, there are more than 10,000 stations (times variables that are filled together), a
            variable to be filled together is missing, or a variable ``<name>_std`` already exists.
        """
        ds = data_set(ds)
        every, chosen = list(map(str, ds.data_vars)), self.together
        names = chosen if isinstance(chosen, tuple) else tuple(every) if chosen else ()
        for wanted in names:
            if wanted not in every:
                raise DataError(f"together: there is no variable {wanted!r}: {nearest(wanted, every)}")
        alike: dict[Hashable, list[xr.DataArray]] = {}
        for name, array in ds.data_vars.items():
            if array.dtype.kind == "f":
                alike.setdefault(frozenset(array.dims) if name in names else name, []).append(array)
        found: dict[Hashable, tuple[xr.DataArray, xr.DataArray]] = {}
        for arrays in alike.values():
            found |= {a.name: pair for a, pair in zip(arrays, self._fill(arrays), strict=True)}
        return with_standard_errors(ds, lambda array: found[array.name])

    def _fill(self, arrays: Sequence[xr.DataArray]) -> list[tuple[xr.DataArray, xr.DataArray]]:
        """Fill variables with the same dimensions at once, as series of one data set of stations."""
        first = arrays[0]
        core = [self.time, station_dim(first, self.time, self.station)]
        number = first.sizes[core[1]]
        if number * len(arrays) > MOST_STATIONS:
            each = f" with {len(arrays)} variables each" if len(arrays) > 1 else ""
            raise DataError(
                f"variable {first.name!r} has {number} stations{each}, expected at most {MOST_STATIONS}; "
                "use optimal interpolation, or fill parts of the region"
            )
        place = distances(first, core[1]), heights(first, core[1])
        distance, height = (np.tile(p, (len(arrays), len(arrays))) for p in place)
        most = MOST_ROWS[len(arrays) > 1] if self.most is None else self.most
        dates = first[self.time].variable if self.time in first.coords else None

        def fill(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            series = values.reshape(-1, *values.shape[-2:]).astype(float)
            filled = [self._solve(y, distance, height, dates, number, most) for y in series]
            x, std = (np.stack(part).reshape(values.shape) for part in zip(*filled, strict=True))
            return x.astype(values.dtype), std.astype(values.dtype)

        if len(arrays) == 1:
            return [solved_together(fill, first, core)]
        joined = xr.Variable.concat([a.transpose(*first.dims).variable for a in arrays], core[1])
        x, std = solved_together(fill, xr.DataArray(joined, name=first.name), core)
        out = []
        for k, array in enumerate(arrays):
            own = {core[1]: slice(k * number, (k + 1) * number)}
            estimate, spread = (
                array.copy(data=part.isel(own).transpose(*array.dims).astype(array.dtype).data)
                for part in (x, std)
            )
            spread.attrs, spread.encoding = error_attrs(array), {}
            out.append((estimate, spread))
        return out

    def _solve(
        self,
        y: np.ndarray,
        distance: np.ndarray,
        height: np.ndarray,
        dates: xr.Variable | None,
        number: int,
        most: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        y = np.where(np.isfinite(y), y, np.nan)
        x, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        known = np.flatnonzero(np.isfinite(y).any(0))
        if known.size:
            pairs = np.ix_(known, known)
            x[:, known], std[:, known] = self._known(
                y[:, known], distance[pairs], height[pairs], dates, *np.divmod(known, number), most
            )
        return x, std

    def _known(
        self,
        y: np.ndarray,
        distance: np.ndarray,
        height: np.ndarray,
        dates: xr.Variable | None,
        kind: np.ndarray,
        station: np.ndarray,
        most: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        data = xr.Dataset({"y": ((self.time, "i"), y)}, {} if dates is None else {self.time: dates})
        usual = Climatology(self.time, self.harmonics).interpolate(data)["y"].values
        design = np.ones((len(y), 1))
        if has_season(data, self.time):
            design = harmonic_basis(year_angle(data[self.time]), self.harmonics).astype(float)
        scale, z = np.empty(y.shape[1]), np.empty(y.shape)
        for own in _parts(kind):
            scale[own], z[:, own] = standardised((y - usual)[:, own])
        withheld = np.isfinite(z) & (np.random.default_rng(self.seed).random(z.shape) < self.hidden)
        left = np.where(withheld, np.nan, z)
        x, variance = np.empty(z.shape), np.empty(z.shape)
        for group, members in neighbourhoods(left, distance, most):
            of = np.ix_(members, members)
            lags = (1 if 3 * len(members) <= most else 0) if self.lags is None else self.lags
            several = (
                (kind[members], station[members][:, None] == station[members])
                if np.ptp(kind[members])
                else (None, None)
            )
            base = prior(left[:, members], distance[of], height[of], lags, *several)
            mean, covariance = maximise(
                left[:, members], design, base, lags=lags, weight=self.prior, steps=self.steps, seed=self.seed
            )
            given, error = of_others(stacked(z[:, members] - mean, lags), covariance, lags)
            first = slice(0, len(group))
            x[:, group], variance[:, group] = (mean + given)[:, first], error[:, first]
        for own in _parts(kind):
            x[:, own], variance[:, own] = self._calibrated(
                z[:, own], x[:, own], variance[:, own], withheld[:, own]
            )
        observed = np.isfinite(y)
        std = np.where(observed, 0, scale * np.sqrt(variance))
        return np.where(observed, y, usual + scale * x), std

    def _calibrated(
        self, z: np.ndarray, x: np.ndarray, variance: np.ndarray, withheld: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add the residuals carried over; return the sum and its calibrated error variance."""
        residual = (z - x) / np.sqrt(variance)
        factor = (np.sum(residual[withheld] ** 2) + CAUTION) / (withheld.sum() + CAUTION)
        if self.memory:
            memory, series = Memory(residual, self.memory), np.where(withheld, np.nan, residual)
            carried, left = np.zeros(z.shape), np.ones(z.shape)
            for i in range(z.shape[1]):
                for values, where in ((series, withheld), (residual, np.isnan(z))):
                    at = np.flatnonzero(where[:, i])
                    if at.size and np.isfinite(values[:, i]).any():
                        carried[at, i], left[at, i] = memory.carry(values[:, i], at)
            product = np.sum(residual[withheld] * carried[withheld])
            square = np.sum(carried[withheld] ** 2)
            x = x + (product + CAUTION) / (square + CAUTION) * carried * np.sqrt(variance)
            variance = variance * left
        return x, factor * variance


def _parts(kind: np.ndarray) -> list[slice]:
    """Return the range of the series of each variable, which are in order."""
    ends = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(kind)]
    return [slice(first, last) for first, last in itertools.pairwise(ends)]
