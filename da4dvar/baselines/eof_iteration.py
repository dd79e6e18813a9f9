"""EOF iteration, known as DINEOF."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from da4dvar.baselines.climatology import Climatology, has_season
from da4dvar.baselines.eof import (
    across_bare_times,
    as_matrix,
    check_above,
    fillings,
    filter_in_time,
    from_matrix,
    has_gaps_in_time,
    on_the_whole,
)
from da4dvar.errors import DataError, check_least
from da4dvar.fields.labels.cf import steps
from da4dvar.fields.labels.given import data_set

# With fewer withheld values the choice of the number of modes is unreliable (Beckers and Rixen, 2003).
FEWEST_HIDDEN = 30
# Modes to try beyond the best so far, as the error may decrease again.
PATIENCE = 3
# Times at which less than this fraction of the cells is observed, and less than half as much as usual, tell
# too little about the coefficients of all modes.
SCARCE = 0.1
# Lengths of the filter in time to try, in median steps, and harmonics of a season.
SMOOTHINGS = (0.0, 1.0)
SEASON = 3

Filter = Callable[[np.ndarray], np.ndarray]


class EofIteration:
    """x̂ = m + Uₙ Uₙᵀ (x̂ − m) in the gaps, where Uₙ holds the n leading EOFs of the filled x̂ − m.

    The equation is solved by iteration. m is the season of each cell where the dates cover a year. n is the
    number of modes, 0 included, with the least error at observed values withheld in the shape of gaps, such
    as those due to clouds. The EOFs may be those of x̂ − m filtered in time (Alvera-Azcárate et al., 2009,
    doi:10.5194/os-5-475-2009), which helps wherever successive times are alike. The method follows Beckers
    and Rixen (2003, doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2) and Alvera-Azcárate et al. (2005,
    doi:10.1016/j.ocemod.2004.08.001). Each variable is filled separately, with all dimensions except time as
    cells. Observed values are kept, and cells that are never observed remain NaN. Times at which less than a
    tenth of the cells is observed, and less than half as much as usual, are not fitted: their anomalies are
    those of the times around them, as of a first-order autoregressive process.

    Parameters
    ----------
    time : str
        Name of the time dimension. Its steps may be uneven; their order matters for the filter alone.
    modes : int, optional
        n; by default chosen at withheld values.
    most : int
        Maximum number of modes to choose from.
    hidden : float
        Fraction of the observed values withheld to choose n; at least 30 values.
    tolerance : float
        The iteration ends once the gaps change by less than this, in standard deviations of the anomalies.
    iterations : int
        Maximum number of steps for each number of modes.
    clouds : bool
        Whether to withhold values in the shape of gaps at other times, rather than one by one.
    harmonics : int, optional
        Number of harmonics of the year in m, for dates that cover a year, in addition to the mean of each
        cell. If 0, m is the mean of all observed values. By default 3 if the dates cover a year, otherwise 0.
    smoothing : float, optional
        Standard deviation of DINEOF's filter in time, in median steps; 0 for none. By default 0 or 1, chosen
        at withheld values, and 0 if `modes` is given.
    seed : int
        Seed of the choice of withheld values and of the randomised decompositions.

    Raises
    ------
    DataError
        If a number is out of range.

    Examples
    --------
    >>> wave = np.outer(np.sin(np.arange(40.0)), np.arange(12.0) - 5.5)
    >>> y = xr.Dataset({"sla": (("time", "x"), wave)}).where(np.random.default_rng(0).random((40, 12)) < 0.7)
    >>> filled = EofIteration().interpolate(y)["sla"]
    >>> float(abs(filled - wave).max()) < 0.5
    True
    """

    suits = (1, 2)

    def __init__(
        self,
        time: str = "time",
        modes: int | None = None,
        most: int = 30,
        hidden: float = 0.03,
        tolerance: float = 1e-3,
        iterations: int = 300,
        clouds: bool = True,
        harmonics: int | None = None,
        smoothing: float | None = None,
        seed: int = 0,
    ) -> None:
        self.time, self.modes, self.most, self.hidden = time, modes, most, hidden
        self.tolerance, self.iterations, self.clouds = tolerance, iterations, clouds
        self.harmonics, self.smoothing, self.seed = harmonics, smoothing, seed
        check_above({"modes": 0, "most": 0, "tolerance": 0, "iterations": 0, "harmonics": -1}, self)
        check_least(0, seed=seed, smoothing=smoothing or 0.0)
        _check_part(hidden)

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every real variable.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`.

        Raises
        ------
        DataError
            If a variable does not have the time dimension, is observed in one cell only, or has too few
            observed values to choose the number of modes.
        """
        ds = data_set(ds)
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if has_gaps_in_time(array, self.time):
                out[name] = array.copy(data=on_the_whole(self._fill, array).data)
        return out

    def _fill(self, array: xr.DataArray) -> np.ndarray:
        values = as_matrix(array, self.time)
        seen = np.isfinite(values)
        cells = seen.any(0)
        if seen[:, cells].all():
            return array.values
        _check_cells(values[:, cells])
        scarce = _scarce(seen[:, cells])
        most = np.where(scarce[:, None], np.nan, values)
        smoothing, modes = self.smoothing or 0.0, self.modes
        if modes is None:
            smoothing, modes = self._choice(array, most, cells)
        usual = self._usual(array, values)[:, cells]
        filled = np.where(seen[:, cells], values[:, cells] - usual, 0)
        if modes:
            smooth = self._filter(array, smoothing)
            settings = self.tolerance, self.iterations, self.seed, smooth
            *_, filled = fillings(most[:, cells] - usual, modes, *settings)
            filled = across_bare_times(filled, scarce, self._clock(array))
        values[:, cells] = filled + usual
        # Restore the observed values, which subtracting and adding the mean has rounded.
        return np.where(np.isfinite(array), array, from_matrix(values, array, self.time))

    def _choice(self, array: xr.DataArray, values: np.ndarray, cells: np.ndarray) -> tuple[float, int]:
        """Return the filter and the number of modes with the least error at withheld values.

        The values are withheld from m as well: a season fitted to them would promise too small an error.
        """
        out = np.zeros(values.shape, dtype=bool)
        out[:, cells] = hidden_values(np.isfinite(values[:, cells]), self.hidden, self.clouds, self.seed)
        kept = np.where(out, np.nan, values)
        usual = self._usual(array.copy(data=from_matrix(kept, array, self.time)), kept)
        usual = np.where(np.isfinite(usual), usual, np.nanmean(kept))
        anomalies, out = (kept - usual)[:, cells], out[:, cells]
        known = (values - usual)[:, cells][out]
        found: list[tuple[float, float, int]] = [(float(np.sqrt(np.mean(known**2))), 0.0, 0)]
        for smoothing in SMOOTHINGS if self.smoothing is None else (self.smoothing,):
            smooth = self._filter(array, smoothing)
            errors = _errors(
                anomalies, out, known, self.most, self.tolerance, self.iterations, self.seed, smooth
            )
            found.append((min(errors), smoothing, int(np.argmin(errors)) + 1))
        return min(found)[1:]

    def _filter(self, array: xr.DataArray, smoothing: float) -> Filter | None:
        if not smoothing or array.sizes[self.time] < 2:
            return None
        return filter_in_time(self._steps(array), smoothing)

    def _clock(self, array: xr.DataArray) -> np.ndarray:
        """Return ascending times in median steps, as far as the order of the times goes."""
        between = np.abs(self._steps(array))
        return (
            np.append(0.0, np.cumsum(between / (np.median(between) or 1.0))) if between.size else np.zeros(1)
        )

    def _steps(self, array: xr.DataArray) -> np.ndarray:
        between = steps(array[self.time]) if self.time in array.coords else None
        return np.ones(array.sizes[self.time] - 1) if between is None else between

    def _usual(self, array: xr.DataArray, values: np.ndarray) -> np.ndarray:
        data = array.astype("float64").to_dataset()
        harmonics = self.harmonics
        if harmonics is None:
            harmonics = SEASON if has_season(data, self.time) else 0
        if not harmonics:
            return np.full(values.shape, values[np.isfinite(values)].mean())
        return as_matrix(Climatology(self.time, harmonics).interpolate(data)[array.name], self.time)


def complete(
    anomalies: np.ndarray,
    modes: int | None = None,
    *,
    most: int = 30,
    hidden: float = 0.03,
    tolerance: float = 1e-3,
    iterations: int = 300,
    clouds: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Fill `anomalies`, shape (time, cell), with NaN in the gaps; see `EofIteration` for the parameters.

    Raises
    ------
    DataError
        If there is only one cell, or there are too few values to choose the number of modes.
    """
    _check_cells(anomalies)
    if modes is None:
        modes, _ = choose_modes(anomalies, most, hidden, tolerance, iterations, clouds, seed)
    *_, filled = fillings(anomalies, modes, tolerance, iterations, seed)
    return filled


def _scarce(seen: np.ndarray) -> np.ndarray:
    """Return which times have too few observations to fit all modes to them."""
    share = seen.mean(1)
    found: np.ndarray = share < min(SCARCE, 0.5 * np.median(share[share > 0]))
    return found


def _check_cells(anomalies: np.ndarray) -> None:
    if anomalies.shape[1] == 1:
        raise DataError(
            "only one cell has observations, but EOF iteration needs more than one; "
            "fill a single series with da4dvar.baselines.linear.Linear"
        )


def choose_modes(
    matrix: np.ndarray,
    most: int = 30,
    hidden: float = 0.03,
    tolerance: float = 1e-3,
    iterations: int = 300,
    clouds: bool = True,
    seed: int = 0,
) -> tuple[int, np.ndarray]:
    """Choose the number of modes with the least error at withheld values.

    Parameters
    ----------
    matrix : array, shape (time, cell)
        Anomalies, with NaN in the gaps.
    most, hidden, tolerance, iterations, clouds, seed
        See `EofIteration`.

    Returns
    -------
    modes : int
        Number of modes.
    errors : array
        Root mean square error for 1, 2, … modes, in the units of `matrix`, until three further modes have not
        lowered it.

    Raises
    ------
    DataError
        If fewer than 60 values are observed, or `hidden` is out of range.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> x = generator.standard_normal((90, 2)) @ generator.standard_normal((2, 60))
    >>> x += 0.1 * generator.standard_normal(x.shape)
    >>> choose_modes(np.where(generator.random(x.shape) < 0.8, x, np.nan))[0]
    2
    """
    out = hidden_values(np.isfinite(matrix), hidden, clouds, seed)
    kept, known = np.where(out, np.nan, matrix), matrix[out]
    errors = _errors(kept, out, known, most, tolerance, iterations, seed)
    return int(np.argmin(errors)) + 1, np.array(errors)


def _errors(
    kept: np.ndarray,
    out: np.ndarray,
    known: np.ndarray,
    most: int,
    tolerance: float,
    iterations: int,
    seed: int,
    smooth: Filter | None = None,
) -> list[float]:
    """Return the errors at withheld values for 1, 2, … modes, up to three more than the best."""
    errors: list[float] = []
    # With as many modes as the smaller dimension, any fill would be reproduced unchanged.
    for filled in fillings(kept, min(most, max(1, min(kept.shape) - 1)), tolerance, iterations, seed, smooth):
        errors.append(float(np.sqrt(np.mean((filled[out] - known) ** 2))))
        if len(errors) - 1 - np.argmin(errors) >= PATIENCE:
            break
    return errors


def hidden_values(seen: np.ndarray, part: float, clouds: bool = True, seed: int = 0) -> np.ndarray:
    """Choose observed values to withhold, by laying over the gaps of other times or at random.

    They are withheld for as long as gaps last: in short gaps, a filter in time looks better than it is. A gap
    is cropped to a tenth of the wanted number of values, so that no single time dominates, and no time loses
    all its observations. If the gaps do not yield enough values, the rest are drawn one by one.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
        Whether each value is observed.
    part : float
        Fraction of the observed values to withhold; at least 30 values.
    clouds : bool
        Whether to use the gaps of other times, rather than only values drawn one by one.
    seed : int
        Seed of the draw.

    Returns
    -------
    array of bool, shape (time, cell)
        Whether each value is withheld.

    Raises
    ------
    DataError
        If `part` is out of range, or fewer than 60 values are observed.
    """
    _check_part(part)
    number = int(seen.sum())
    if number < 2 * FEWEST_HIDDEN:
        raise DataError(
            f"got {number} observed values, expected at least {2 * FEWEST_HIDDEN}, as {FEWEST_HIDDEN} are "
            "withheld to choose the parameters of the method; give more data, or set the parameters"
        )
    generator = np.random.default_rng(seed)
    wanted = max(FEWEST_HIDDEN, round(part * number))
    out = np.zeros_like(seen)
    left = wanted
    lengths = _lengths(~seen) if clouds else np.empty(0, int)
    for here, there in generator.integers(len(seen), size=(20 * len(seen), 2)) if lengths.size else ():
        length = min(int(generator.choice(lengths)), len(seen) - max(here, there))
        missing = ~seen[there : there + length].any(0)
        candidates = seen[here : here + length] & ~out[here : here + length]
        # Cell by cell, so that the crop leaves runs as long as the gaps.
        cells, times = np.nonzero((candidates & missing).T)
        most = min(left, max(1, wanted // 10))
        if cells.size and most > 0:
            start = generator.integers(max(1, cells.size - most + 1))
            cells, times = cells[start : start + most], times[start : start + most]
            if (np.bincount(times, minlength=length) < np.maximum(1, candidates.sum(1))).all():
                out[here + times, cells] = True
                left -= cells.size
    rest = np.flatnonzero(seen & ~out)
    out.flat[generator.choice(rest, left, replace=False)] = True
    return out


def _lengths(gaps: np.ndarray) -> np.ndarray:
    """Return the length in time of the gap around each missing value, at most a tenth of the record."""
    edges = np.diff(np.pad(gaps.T.astype("int8"), ((0, 0), (1, 1))), axis=1)
    lengths = np.nonzero(edges < 0)[1] - np.nonzero(edges > 0)[1]
    return np.repeat(lengths, lengths).clip(max=max(1, len(gaps) // 10))


def _check_part(hidden: float) -> None:
    if not 0 < hidden <= 0.5:
        raise DataError(f"hidden is {hidden}, expected a fraction above 0 and up to 0.5")
