"""Maps of points, with flags and error bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.errors import DataError, warn
from da4dvar.fields.bounds import Bounds, bounds_given, bounds_of, kept_within
from da4dvar.fields.gaps.likeness import Hardness
from da4dvar.fields.labels.filled import delivered
from da4dvar.fields.labels.flags import scheme_of
from da4dvar.fields.labels.samples import REALIZATION, with_samples
from da4dvar.fields.points.checks import checked
from da4dvar.fields.points.geometries import from_dataset
from da4dvar.fields.points.grid import Grid, grid_like, grid_of, on_map, with_depth_of
from da4dvar.fields.points.record import Points
from da4dvar.fields.points.tables import from_frame
from da4dvar.fields.sampling import check_memory, check_samples, drawn, in_memory, with_margins
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.autofit.bars import ONE_SIGMA, bars_of
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.comparison import Comparison, text_of
from da4dvar.workflows.autofit.fill import MINUTES, checked_minutes
from da4dvar.workflows.points.compete import AUTO, Outcome, compete, distances_of_map
from da4dvar.workflows.points.estimated import draws_of, estimated, whole
from da4dvar.workflows.points.frame import Frame
from da4dvar.workflows.points.platforms import biases_of, with_platforms

Say = Callable[[str], object]
# Attributes of the values in the file of the points, which do not hold for a map.
OF_POINTS = ("valid_min", "valid_max", "valid_range", "actual_range", "coordinates", "cell_methods")
DROPPED = {*OF_POINTS, "ancillary_variables"}


@dataclass(frozen=True, repr=False)
class Mapped:
    """Maps of points, and the scores of the methods that made them.

    Parameters
    ----------
    data : Dataset
        Maps, with flags and the requested error bars.
    scores : dict of str to Comparison
        Comparison of all methods for each variable.
    biases : dict of str to dict of str to float
        Estimated bias of each platform that moves, by variable.
    errors : dict of str to dict of str to float
        Standard deviation of the error of each of these platforms.

    Examples
    --------
    >>> at = np.random.default_rng(0).uniform(0, 4, (60, 2))
    >>> points = Points("sla", np.sin(at.sum(1)), lat=at[:, 0], lon=at[:, 1])
    >>> mapped = map_points(points, resolution=1.0, method="neighbours", minutes=0.1)
    >>> mapped.method
    {'sla': 'neighbours'}
    """

    data: xr.Dataset
    scores: dict[str, Comparison]
    biases: dict[str, dict[str, float]]
    errors: dict[str, dict[str, float]]

    @property
    def method(self) -> dict[str, str]:
        """Name of the method that maps each variable."""
        return {name: found.winner for name, found in self.scores.items()}

    def __repr__(self) -> str:
        return "\n".join(["<da4dvar.Mapped>", *(f"    {n}: {m}" for n, m in self.method.items())])

    def table(self) -> str:
        """Return the scores as text.

        Returns
        -------
        str
        """
        return text_of(list(self.scores.values()))


def map_points(
    points: Points | Mapping[str, Points] | xr.Dataset | pd.DataFrame,
    grid: xr.Dataset | None = None,
    *,
    resolution: float | None = None,
    every: str | None = None,
    levels: Sequence[float] = (),
    error: float | Mapping[str, float] | None = None,
    bias: Mapping[str, float] | str = "estimated",
    minutes: float = MINUTES,
    method: str = AUTO,
    variable: Mapping[str, str] | Sequence[str] | str | None = None,
    mask: str | None = None,
    fill_value: str | float = "auto",
    bounds: Sequence[str] | str = (),
    std: bool = False,
    interval: float | Sequence[float] = (),
    flags: str = "da4dvar",
    samples: int = 0,
    seed: int = 0,
    phase: Phase = lambda name: None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Mapped:
    """Map observations at points to a grid, by the best of all methods for each variable.

    Methods are compared at whole tracks and platforms that are hidden from them.

    Parameters
    ----------
    points : Points, mapping of str to Points, Dataset or DataFrame
        Observations; see :mod:`da4dvar.fields.points`.
    grid : Dataset, optional
        Data set whose grid the map has: latitudes and longitudes, levels, or both, and times if it has some.
        Cells that are always missing in all its variables stay empty.
    resolution : float, optional
        Size of the cells in degrees, in place of `grid`.
    every : str, optional
        Step in time with `resolution`, such as "1D" or "6h".
    levels : sequence of float
        Levels of a map of profiles at several places with `resolution`, in the units of their depths.
    error : float or mapping of str to float, optional
        Standard deviation of the errors, or that of each platform. By default the errors that come with the
        points, or estimated ones.
    bias : mapping of str to float, or {"estimated", "none"}
        Known biases of platforms, which are subtracted. The biases of all other platforms that move are
        estimated where there are several, unless it is "none".
    minutes : float
        See :func:`da4dvar.fit`.
    method : str
        ``"auto"`` for the best; ``"optimal_interpolation"`` of all points at once; ``"neighbours"`` for that
        of the nearest points; or ``"binned_linear"`` and the like for a method for grids, which is given the
        mean of each cell.
    variable, mask, fill_value
        See :func:`da4dvar.fields.points.from_dataset`.
    bounds : sequence of str
        Possible values ``NAME=LOWER:UPPER``; found from the data by default.
    std : bool
        Add standard errors.
    interval : float or sequence of float
        Levels of the intervals to add, such as 0.9.
    flags : {"da4dvar", "qartod", "seadatanet", "argo", "fluxnet"}
        Codes of the flags.
    samples : int
        Number of joint samples to add. Errors of a sample are correlated like those of the map, so that the
        spread of a mean, or of any other statistic of the samples, is its uncertainty. Only methods with a
        covariance have samples, and take part.
    seed : int
        Seed of the hidden tracks, and of the samples.
    phase : callable
        Called with the name of each phase when it begins.
    progress : callable, optional
        Called with the number of finished trials and their largest number.
    say : callable, optional
        Called with each choice, as a line; by default, they are warnings.

    Returns
    -------
    Mapped
        ``data`` holds the maps. Each variable has ``<name>_flag``: 1 estimated, 2 not estimable, 3 farther
        from an observation than any point that was scored. ``<name>_samples`` has the dimension
        ``realization``.

    Raises
    ------
    DataError
        If the points cannot be mapped, an option is invalid, or the samples do not fit in memory.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> lat, lon = generator.uniform(40, 44, 300), generator.uniform(0, 4, 300)
    >>> points = Points("sla", np.sin(lat) + np.cos(lon), lat=lat, lon=lon)
    >>> mapped = map_points(points, resolution=1.0, minutes=0.1)
    >>> dict(mapped.data.sizes), mapped.scores["sla"].rmse[mapped.method["sla"]][0] < 0.1
    ({'lat': 4, 'lon': 4}, True)
    """
    told = say or warn
    mapped = map_lazily(
        read(points, variable, mask, fill_value, told),
        grid,
        resolution=resolution,
        every=every,
        levels=[*levels],
        error=error,
        bias=bias,
        minutes=minutes,
        method=method,
        bounds=bounds,
        std=std,
        interval=interval,
        flags=flags,
        samples=samples,
        seed=seed,
        phase=phase,
        progress=progress,
        say=told,
        check=check_memory,
    )
    return replace(mapped, data=in_memory(mapped.data, mapped.scores, samples))


def map_lazily(
    points: Mapping[str, Points],
    grid: xr.Dataset | None,
    *,
    resolution: float | None,
    every: str | None,
    levels: Sequence[float],
    error: float | Mapping[str, float] | None,
    bias: Mapping[str, float] | str,
    minutes: float,
    method: str,
    bounds: Sequence[str] | str,
    std: bool,
    interval: float | Sequence[float],
    flags: str,
    samples: int,
    seed: int,
    phase: Phase,
    progress: Progress | None,
    say: Say,
    check: Callable[[Sequence[xr.DataArray], int], None],
) -> Mapped:
    """Map points like :func:`map_points`, with samples that are computed when they are written.

    `check` is called with the maps and the number of samples before any time is spent.
    """
    clock = Clock(checked_minutes(minutes, seed))
    scheme_of(flags)
    check_samples(samples, seed)
    probabilities = levels_of(interval)
    given = bounds_given(bounds, ())
    flat = [name for name, own in points.items() if own.depth is None]
    if len(levels) and 0 < len(flat) < len(points):
        say(f"{', '.join(flat)}: no depth; left out of a map with levels")
        points = {name: own for name, own in points.items() if name not in flat}
    ready = {n: prepared(own, grid, resolution, every, levels, error, bias, say) for n, own in points.items()}
    check([target.array for _, target in ready.values()], samples)
    out: list[xr.Dataset] = []
    scores, biases, errors = {}, {}, {}
    for name, (own, target) in ready.items():
        possible = bounds_found(own, given, say)
        phase(f"comparing methods for {name}")
        outcome = compete(
            own,
            Frame.of(own, target),
            clock,
            method=method,
            biases=bias != "none",
            samples=samples > 0,
            seed=seed,
            progress=progress,
        )
        if target.levels is None:
            biases[name], errors[name] = biases_of(outcome.fitted, own, say)
        else:
            unit = own.depth_attrs.get("units", "unit")
            say(f"{name}: 1 {unit} of depth counts as {outcome.frame.vertical:.3g} km (largest likelihood)")
        phase(f"mapping {name}")
        out.append(on_grid(outcome, possible, std, probabilities, flags, samples, seed))
        scores[name] = outcome.comparison
    return Mapped(xr.merge(out, combine_attrs="drop_conflicts"), scores, biases, errors)


def read(
    points: Points | Mapping[str, Points] | xr.Dataset | pd.DataFrame,
    variable: Mapping[str, str] | Sequence[str] | str | None,
    mask: str | None,
    fill_value: str | float,
    say: Say,
) -> dict[str, Points]:
    """Return the points of each variable of whatever holds points.

    Raises
    ------
    DataError
        If it holds none.
    """
    if isinstance(points, Points):
        return {points.name: points}
    if isinstance(points, xr.Dataset):
        return from_dataset(points, variable, mask=mask, fill_value=fill_value, say=say)
    if isinstance(points, pd.DataFrame):
        return from_frame(points, variable, mask=mask, fill_value=fill_value, say=say)
    return dict(points)


def prepared(
    points: Points,
    grid: xr.Dataset | None,
    resolution: float | None,
    every: str | None,
    levels: Sequence[float],
    error: float | Mapping[str, float] | None,
    bias: Mapping[str, float] | str,
    say: Say,
) -> tuple[Points, Grid]:
    """Return the points that are on a map, checked and with given errors and biases, and its grid.

    Raises
    ------
    DataError
        If there is no such grid, or no point on it.
    """
    if (grid is None) == (resolution is None):
        raise DataError("give either a grid or a resolution, on which to map the points")
    if grid is not None and every is not None:
        raise DataError("a step in time needs a resolution; the grid has times of its own")
    if grid is not None and len(levels):
        raise DataError("--levels need a resolution; give a grid that has the levels, or leave them out")
    points = with_platforms(checked(points, say), error, bias)
    target = (
        grid_like(grid, points, say)
        if resolution is None and grid is not None
        else grid_of(points, float(resolution or 0), every, say, levels)
    )
    if points.depth is not None and "depth" not in target.positions() and np.ptp(points.depth) > 0:
        say(
            f"{points.name}: depths from {points.depth.min():g} to {points.depth.max():g} are mapped as if "
            "they were one; map them to levels with --levels, or choose one with --mask"
        )
    return on_map(with_depth_of(points, target), target, say), target


def bounds_found(points: Points, given: Mapping[str, Bounds], say: Say) -> Bounds:
    """Return the possible values of a variable.

    Raises
    ------
    DataError
        If it is a direction, which is not mapped.
    """
    array = xr.DataArray(points.value, dims="obs", name=points.name, attrs=dict(points.attrs))
    found = bounds_of(array, given)
    if found.circular:
        raise DataError(f"{points.name!r} is a direction; map its sine and its cosine instead")
    if line := found.line(points.name):
        say(line)
    return found


def on_grid(
    outcome: Outcome,
    bounds: Bounds,
    std: bool,
    levels: Sequence[float],
    flags: str,
    samples: int,
    seed: int,
) -> xr.Dataset:
    """Return the map of the best method, with flags, error bars and lazy samples.

    Parameters
    ----------
    outcome : Outcome
        Outcome of the competition.
    bounds : Bounds
        Possible values.
    std : bool
        Whether to add standard errors.
    levels : sequence of float
        Levels of the intervals to add.
    flags : str
        Codes of the flags.
    samples : int
        Number of samples to add.
    seed : int
        Seed of the samples.

    Returns
    -------
    Dataset
    """
    frame, grid, winner = outcome.frame, outcome.frame.grid, outcome.comparison.winner
    estimate, own = estimated(outcome)
    distance = whole(grid, frame, distances_of_map(outcome.fitted.points, frame, outcome.scales))
    template = blank(grid, outcome.points)
    intervals, sigma = {}, None
    bars = bars_of(outcome.residuals, winner)
    nothing = np.zeros(distance.shape, int)
    hard = Hardness(nothing, nothing > 0, distance.values, nothing, nothing, nothing, nothing, nothing)
    scale = bars.scale(hard, None if own is None else own.values)

    def half(level: float) -> xr.DataArray:
        return template.copy(data=scale * bars.factor(level))

    if std or levels:
        sigma = half(ONE_SIGMA)
        for level in levels:
            width = half(level)
            intervals[level] = (
                kept_within(estimate - width, bounds),
                kept_within(estimate + width, bounds),
            )
    ds = delivered(
        template.to_dataset(name=outcome.points.name),
        outcome.points.name,
        kept_within(estimate, bounds),
        beyond=distance > outcome.comparison.farthest + 1e-9,
        std=sigma,
        intervals=intervals,
        scheme=flags,
    )
    error, spread = outcome.comparison.rmse[winner]
    said = {
        "filled_by": winner,
        "number_of_points": len(outcome.points),
        "rmse_on_hidden_points": error,
        "rmse_on_hidden_points_standard_error": spread,
    }
    if outcome.comparison.noise > 0:
        said["noise_of_observations"] = outcome.comparison.noise
    ds[outcome.points.name].attrs |= said
    if not samples:
        return ds
    draw = with_margins(draws_of(outcome, own), bars.factor)
    varied = estimate + template.copy(data=scale) * drawn(draw, template, samples, seed)
    possible = kept_within(varied.transpose(REALIZATION, *template.dims), bounds)
    return with_samples(ds, outcome.points.name, possible)


def blank(grid: Grid, points: Points) -> xr.DataArray:
    """Return the array of a grid with the name and the attributes of points."""
    attrs = {k: v for k, v in points.attrs.items() if k not in DROPPED}
    return grid.array.rename(points.name).assign_attrs(attrs)
