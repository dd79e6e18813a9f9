"""Optimal interpolation in space and time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from warnings import warn

import numpy as np
import xarray as xr

from da4dvar.baselines.background import Background, chosen_background
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.cycles import cycles
from da4dvar.baselines.draws import Deviations, Window, joined, windows
from da4dvar.baselines.fit_kernels import fit_kernels
from da4dvar.baselines.places import instants, places, spatial
from da4dvar.baselines.products import DENSE, regular
from da4dvar.baselines.solve_kernels import ITERATIONS, Analysis
from da4dvar.baselines.standard_error import solved_together, with_standard_errors
from da4dvar.errors import Da4dvarWarning, DataError, check_least
from da4dvar.fields.labels.cf import is_dates
from da4dvar.fields.labels.given import data_set
from da4dvar.variational.kernels import SumOfSeparable, covariance_of

# Values of a field that are solved at once; more are solved in windows of time. Irregular places beyond
# MOST_PLACES are estimated from neighbours: the matrices of space are dense.
MOST_VALUES = 20_000_000
MOST_PLACES = 6000
DAY, TIDE = 1.0, 0.5175250  # periods in days that may be left in sub-daily data: the sun, and M2


class OptimalInterpolation:
    """x̂ = b + K Hᵀ (H K Hᵀ + ε² I)⁻¹ (y − H b), with K = Σ_q s_q² K_t,q ⊗ K_s,q.

    All observations y of the record are used at once (Gandin, 1965; Bretherton et al., 1976). The covariance
    K of the anomalies is a sum of products of a kernel of distance and one of lag, of forms and scales that
    are fitted to the data (:func:`da4dvar.baselines.fit_kernels.fit_kernels`), and the system is solved by
    conjugate gradients (:class:`da4dvar.baselines.solve_kernels.Analysis`). The background b is the
    climatology of the cell, or its mean if there is no season, with the cycle of the day if there is one
    (:func:`da4dvar.baselines.cycles.cycles`), shrunk towards that of the whole field as far as hidden points
    say (:func:`da4dvar.baselines.background.chosen_background`).
    Observed values are replaced by the analysis as well, which is smoother. Cells that are never observed
    remain NaN.

    The standard error is √(s² − cᵀ (C + ε² I)⁻¹ c), where C and c hold the covariances of the 60 nearest
    observations, or of all if there are few. It does not account for the error of b.

    Latitudes and longitudes in degrees, of a grid or of stations, are converted to points on a sphere, and d
    is the chord in km, which is 0.1 % shorter than the great circle at 1000 km. Other coordinates are used in
    km if their units are m or km; otherwise d counts cells. τ is in days for dates, in the units of any other
    time coordinate, and in steps without one. More than 20 million values are solved in overlapping windows
    of time. More than 6000 irregular places are estimated from neighbours.

    Parameters
    ----------
    time : str
        Name of the time dimension, which may be unevenly spaced.
    space : sequence of str, optional
        Names of the space dimensions, which define d; ``()`` for none. By default the dimensions of latitude
        and longitude or, without these, up to two dimensions besides time. Each position along any other
        dimension is solved separately.
    neighbours : int
        Number of observations from which standard errors are computed, and from which hidden points are
        predicted when the covariance is fitted.
    length, duration : float, optional
        Scale in km or cells, and in days or steps, of a covariance with a single term.
    error : float, optional
        ε, in the units of the variable; estimated by default.
    harmonics : int
        Number of harmonics of the year in the background, if the dates cover a year, and of the day, if they
        are less than a day apart.
    seed : int
        Seed of the choice of the points that are hidden when the covariance is fitted.
    covariance : dict or SumOfSeparable, optional
        Covariance in place of a fitted one, as a table (:meth:`SumOfSeparable.table`), or one for each
        variable under its name.
    history : Dataset, optional
        Other years of the same variables, from which the background is estimated; by default `ds` itself.
    background : {"estimated", "zero"}
        Whether b is estimated, or zero because the data are anomalies. Cells that are never observed are then
        estimated as well. As the first guess of a model, a method whose background is zero is given the
        normalised observations of the model, so that b is what its scaling subtracts, and a covariance is in
        squared standard deviations.
    iterations : int
        Largest number of iterations of the solve. If it does not converge, estimates are made from the
        nearest observations, with a warning.

    Raises
    ------
    DataError
        If a parameter is out of range.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable, SumOfSeparable
    >>> y = xr.Dataset({"t2m": ("time", [1.0, 2.0, np.nan, 2.0, 1.0, 0.0])})
    >>> kernel = Separable(variance=1.0, length=1.0, duration=1.5, time="gaussian")
    >>> x = OptimalInterpolation(covariance=SumOfSeparable((kernel,), nugget=0.01)).interpolate(y)
    >>> x["t2m"].values.round(1)
    array([1. , 2. , 2.4, 2. , 1. , 0. ])
    >>> bool(x["t2m_std"].values.argmax() == 2)
    True
    """

    reads_times = True
    suits = (0, 1, 2)
    needs_seconds = 10.0

    def __init__(
        self,
        time: str = "time",
        space: Sequence[str] | None = None,
        neighbours: int = 60,
        length: float | None = None,
        duration: float | None = None,
        error: float | None = None,
        harmonics: int = 3,
        seed: int = 0,
        covariance: Mapping[str, Any] | SumOfSeparable | None = None,
        history: xr.Dataset | None = None,
        background: str = "estimated",
        iterations: int = ITERATIONS,
    ) -> None:
        for name, value in {"neighbours": neighbours, "length": length, "duration": duration}.items():
            if value is not None and not value > 0:
                raise DataError(f"{name} is {value}, expected more than 0")
        if error is not None and not error >= 0:
            raise DataError(f"error is {error}, expected 0 or more")
        check_least(0, harmonics=harmonics, seed=seed)
        check_least(1, iterations=iterations)
        if background not in ("estimated", "zero") or (background == "zero" and history is not None):
            raise DataError(
                f"background is {background!r}, expected 'estimated', or 'zero' without a history"
            )
        self.time, self.space, self.neighbours = time, space, neighbours
        self.length, self.duration, self.error = length, duration, error
        self.harmonics, self.seed, self.history = harmonics, seed, history
        self.background, self.iterations = background, iterations
        # As a table, which a recipe or a model file can hold.
        self.covariance = covariance.table() if isinstance(covariance, SumOfSeparable) else covariance
        for table in self._tables().values():
            covariance_of(table)

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every real variable by its analysis, and add its standard error.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The analyses, with the labels of `ds`, and ``<name>_std`` in the units of each variable.

        Raises
        ------
        DataError
            If a real variable does not have the time dimension, its space dimensions are ambiguous, or a
            variable ``<name>_std`` already exists.

        Warns
        -----
        Da4dvarWarning
            If the solve for all observations does not converge. The estimate is then that from the nearest
            observations.
        """
        ds = data_set(ds)
        return with_standard_errors(ds, self._fill)

    def estimate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every real variable by its analysis, without standard errors, which take time of their own.

        Parameters
        ----------
        ds : Dataset or DataArray
            See :meth:`interpolate`.

        Returns
        -------
        Dataset
            The result of :meth:`interpolate` but for ``<name>_std``.

        Raises
        ------
        DataError
            See :meth:`interpolate`.

        Examples
        --------
        >>> y = xr.Dataset({"t2m": ("time", [1.0, 2.0, np.nan, 2.0, 1.0, 0.0])})
        >>> method = OptimalInterpolation().fitted(y)
        >>> method.estimate(y).equals(method.interpolate(y).drop_vars("t2m_std"))
        True
        """
        ds = data_set(ds)
        filled = with_standard_errors(ds, partial(self._fill, errors=False))
        return filled.drop_vars([name for name in filled if name not in ds])

    def fitted(self, ds: xr.Dataset) -> OptimalInterpolation:
        """Return the method with the covariances of the variables of a data set, so that no call fits them.

        Parameters
        ----------
        ds : Dataset
            Data with NaN in the gaps.

        Returns
        -------
        OptimalInterpolation
            Its attribute `covariance` holds a table for each variable. Where a variable has further
            dimensions, its covariance is that of the position with most observations.
        """
        tables = {}
        for name, array in ds.data_vars.items():
            if array.dtype.kind == "f":
                frame = self._frame(array)
                series = array.transpose(..., *frame.core).values.reshape(
                    -1, len(frame.clock), len(frame.place)
                )
                most = series[np.isfinite(series).sum((1, 2)).argmax()].astype("float64")
                anomaly, cells = self._anomaly(most, frame)[1:]
                if not cells.any() or not np.nanmax(np.abs(anomaly)) > 0:
                    continue
                table = self._covariance(anomaly[:, cells], frame.place[cells], frame).table()
                if frame.season is None and self.background == "estimated":
                    seen = np.where(np.isfinite(most), most, np.nan)[:, cells]
                    table["background"] = asdict(self._shrinkage(seen, frame, cells))
                tables[str(name)] = table
        made = copy.copy(self)
        made.length = made.duration = made.error = None
        made.covariance = tables or None
        return made

    def samples(self, ds: xr.Dataset, number: int, seed: int = 0) -> xr.Dataset:
        """Return joint draws of every real variable, given the observations.

        Parameters
        ----------
        ds : Dataset
            Data with NaN in the gaps.
        number : int
            Number of draws.
        seed : int
            Random seed.

        Returns
        -------
        Dataset
            With a first dimension ``realization``. Their mean tends to the analysis, and their standard
            deviation to its standard error.
        """
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if array.dtype.kind == "f":
                estimate, deviation = self._fill(array)[0], self.deviations(array)
                drawn = [estimate + deviation(k, seed) for k in range(number)]
                out[name] = xr.concat(drawn, "realization").astype(array.dtype).assign_attrs(array.attrs)
        return out

    def deviations(
        self, array: xr.DataArray, standardised: bool = False
    ) -> Callable[[int, int], xr.DataArray]:
        """Return a function that draws the error of the analysis of a variable.

        Parameters
        ----------
        array : DataArray
            Variable with NaN in the gaps, in memory.
        standardised : bool
            Add what the covariance does not resolve, and divide by the standard deviation of both; see
            :meth:`da4dvar.baselines.draws.Deviations.standardised`.

        Returns
        -------
        callable
            Maps the number of a draw and a seed to the draw, with the dimensions of `array`. A value depends
            on its place and time, the number and the seed, but hardly on which part of a field is solved. All
            positions along dimensions that are neither time nor space have the same random numbers.
        """
        frame = self._frame(array)
        whole = array.transpose(..., *frame.core)
        series = whole.values.reshape(-1, len(frame.clock), len(frame.place)).astype("float64")
        each = [self._deviations(y, frame, standardised) for y in series]

        def draw(number: int, seed: int) -> xr.DataArray:
            values = np.stack([one([seed, number]) for one in each]).reshape(whole.shape)
            return whole.copy(data=values.astype(array.dtype)).transpose(*array.dims)

        return draw

    def _fill(self, array: xr.DataArray, errors: bool = True) -> tuple[xr.DataArray, xr.DataArray]:
        frame = self._frame(array)

        def fill(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            series = values.reshape(-1, len(frame.clock), len(frame.place)).astype("float64")
            solved = [self._solve(y, frame, errors) for y in series]
            x, std = (
                np.stack(part).reshape(values.shape).astype(values.dtype)
                for part in zip(*solved, strict=True)
            )
            return x, std

        return solved_together(fill, array, frame.core)

    def _frame(self, array: xr.DataArray) -> Frame:
        has = ", ".join(map(str, array.dims))
        for dim in (self.time, *(self.space or ())):
            if dim not in array.dims:
                raise DataError(f"variable {array.name!r} has no dimension {dim!r}; it has {has}")
        others = [str(d) for d in array.dims if d != self.time]
        chosen = spatial(array, others) if self.space is None else [d for d in others if d in self.space]
        # Sorted, so that the result does not depend on the order of the dimensions.
        space = sorted(chosen)
        place, clock = places(array, space), instants(array, self.time)
        for what, numbers in {"a position": place, "a time": clock}.items():
            if not np.isfinite(numbers).all():
                raise DataError(f"variable {array.name!r}: {what} is missing; drop the data there first")
        season = None if self.history is None else self._season(array, space)
        return Frame(
            str(array.name),
            [self.time, *space],
            place,
            clock,
            self.time in array.coords and is_dates(array[self.time]),
            tuple(array.sizes[d] for d in space),
            cycles(array, self.time, self.harmonics),
            season,
        )

    def _season(self, array: xr.DataArray, space: Sequence[str]) -> np.ndarray:
        """Return the climatology of the history, of shape (time, cell)."""
        method = Climatology(self.time, self.harmonics, self.history)
        usual = method.interpolate(array.to_dataset(name=array.name))[array.name]
        others = [d for d in usual.dims if d not in (self.time, *space)]
        first = usual.isel(dict.fromkeys(others, 0)).transpose(self.time, *space)
        return first.values.reshape(array.sizes[self.time], -1).astype("float64")

    def _tables(self) -> dict[str, Mapping[str, Any]]:
        """Return the tables of given covariances, by variable; that of all variables under an empty name."""
        if self.covariance is None:
            return {}
        return {"": self.covariance} if "terms" in self.covariance else dict(self.covariance)

    def _anomaly(self, y: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the background, the anomalies, and which cells have a background."""
        y = np.where(np.isfinite(y), y, np.nan)
        if self.background == "zero":
            return np.zeros(y.shape), y, np.ones(y.shape[1], bool)
        background = self._background(y, frame)
        return background, y - background, np.isfinite(y).any(0)

    def _covariance(self, anomaly: np.ndarray, place: np.ndarray, frame: Frame) -> SumOfSeparable:
        tables = self._tables()
        if table := tables.get(frame.name, tables.get("")):
            return covariance_of(table)
        # Sorted, so that the choice of hidden points does not depend on the order of the cells.
        order = in_order(place)
        step = float(np.median(np.diff(frame.clock))) if len(frame.clock) > 1 else np.inf
        cycles = [p for p in (DAY, TIDE) if frame.in_days and 3 * step <= p < np.ptp(frame.clock) / 3]
        return fit_kernels(
            anomaly[:, order],
            place[order],
            frame.clock,
            length=self.length,
            duration=self.duration,
            nugget=None if self.error is None else self.error**2,
            periods=tuple(cycles),
            neighbours=self.neighbours,
            seed=self.seed,
        )

    def _solve(self, y: np.ndarray, frame: Frame, errors: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate and its standard error, or NaN if it is not wanted."""
        problem = self._problem(y, frame)
        x, std = np.full((2, *y.shape), np.nan)
        if problem.covariance is None:
            return problem.background, std
        each = []
        for part in (window.part for window in problem.windows):
            anomaly, place = problem.anomaly[part], frame.place[problem.cells]
            seen, clock = np.isfinite(anomaly), frame.clock[part]
            analysis = Analysis(seen, place, clock, problem.covariance, problem.grid, self.iterations)
            found = self._estimated(analysis, anomaly)
            if found is None:
                each.append(analysis.local(anomaly, self.neighbours))
            else:
                error = analysis.standard_error(self.neighbours) if errors else np.full(found.shape, np.nan)
                each.append((found, error))
        for out, fields in zip((x, std), zip(*each, strict=True), strict=True):
            out[:, problem.cells] = joined(problem.windows, fields)
        x[:, ~problem.known], std[:, ~problem.known] = np.nan, np.nan
        return problem.background + problem.size * x, problem.size * std

    def _deviations(
        self, y: np.ndarray, frame: Frame, standardised: bool
    ) -> Callable[[Sequence[int]], np.ndarray]:
        problem = self._problem(y, frame)
        if problem.covariance is None:
            return lambda seed: np.zeros(y.shape)

        def estimate(analysis: Analysis, values: np.ndarray) -> np.ndarray:
            found = self._estimated(analysis, values)
            return analysis.local(values, self.neighbours)[0] if found is None else found

        own = Deviations(
            np.isfinite(problem.anomaly),
            frame.place[problem.cells],
            frame.clock,
            problem.covariance,
            problem.windows,
            problem.grid,
            self.iterations,
            estimate,
        )
        draw, size = (own.standardised(self.neighbours), 1.0) if standardised else (own, problem.size)

        def drawn(seed: Sequence[int]) -> np.ndarray:
            out = np.full(y.shape, np.nan)
            out[:, problem.cells] = size * draw(seed)
            out[:, ~problem.known] = np.nan
            return out

        return drawn

    def _estimated(self, analysis: Analysis, anomaly: np.ndarray) -> np.ndarray | None:
        """Return the estimate from all observations; None if it has to be made from neighbours."""
        if analysis.shape is None and len(analysis.place) > MOST_PLACES:
            return None
        try:
            return analysis.estimate(anomaly)
        except DataError as problem:
            few = f"{self.neighbours} nearest observations"
            warn(f"{problem}; estimated from the {few} instead", Da4dvarWarning, 2)
            return None

    def _problem(self, y: np.ndarray, frame: Frame) -> Problem:
        background, anomaly, known = self._anomaly(y, frame)
        # Data that do not vary have no covariance, and their error cannot be estimated.
        estimated = self.background != "zero" or not self._tables()
        if estimated and (np.isfinite(y).sum() < 2 or not np.nanmax(np.abs(anomaly)) > 0):
            return Problem(background, anomaly, known)
        covariance = self._covariance(anomaly[:, known], frame.place[known], frame)
        # In units of the standard deviation: single precision holds neither 1e-30 nor 1e30.
        size = float(np.sqrt(covariance.variance))
        grid = frame.shape if len(frame.place) > DENSE and regular(frame.place, frame.shape) else None
        if grid is None:
            # In a fixed order, so that the result does not depend on that of the cells.
            cells = np.flatnonzero(known)
            cells = cells[in_order(frame.place[cells])]
        else:
            cells = np.arange(len(known))
        scaled = covariance.scaled(1 / size**2)
        parts = windows(frame.clock, max(16, MOST_VALUES // len(cells)))
        return Problem(background, anomaly[:, cells] / size, known, cells, scaled, size, grid, parts)

    def _background(self, y: np.ndarray, frame: Frame) -> np.ndarray:
        if frame.season is not None:
            return frame.season
        cells = np.isfinite(y).any(0)
        out = np.full(y.shape, np.nan)
        if cells.any():
            out[:, cells] = self._shrinkage(y[:, cells], frame, cells).fitted(y[:, cells], frame.basis)
        return out

    def _shrinkage(self, y: np.ndarray, frame: Frame, cells: np.ndarray) -> Background:
        tables = self._tables()
        if given := tables.get(frame.name, tables.get("", {})).get("background"):
            return Background(**given)
        order = in_order(frame.place[cells])
        return chosen_background(y[:, order], frame.basis, frame.place[cells][order], frame.clock, self.seed)


def within(method: object) -> OptimalInterpolation | None:
    """Return the optimal interpolation that a method is or contains; None if there is none.

    Examples
    --------
    >>> from da4dvar.baselines.combination import Combination
    >>> within(Combination([OptimalInterpolation("day")])).time
    'day'
    """
    parts = (method, *getattr(method, "methods", ()))
    return next((part for part in parts if isinstance(part, OptimalInterpolation)), None)


@dataclass(frozen=True)
class Frame:
    """Where and when the values of a variable are."""

    name: str
    core: list[str]
    place: np.ndarray
    clock: np.ndarray
    in_days: bool
    shape: tuple[int, ...]
    basis: np.ndarray
    season: np.ndarray | None


@dataclass(frozen=True)
class Problem:
    """Anomalies of the cells to solve, in units of the standard deviation; no covariance if none varies."""

    background: np.ndarray
    anomaly: np.ndarray
    known: np.ndarray
    cells: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    covariance: SumOfSeparable | None = None
    size: float = 1.0
    grid: tuple[int, ...] | None = None
    windows: Sequence[Window] = ()


def in_order(place: np.ndarray) -> np.ndarray:
    """Return the order of places by their coordinates, so that results do not depend on that of the cells."""
    return np.lexsort(place.round(6).T) if place.size else np.arange(len(place))
