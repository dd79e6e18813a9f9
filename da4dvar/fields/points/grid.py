"""The grid that points are mapped to: that of a file, or one with a resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError, first_line
from da4dvar.fields.intake.roles import time_of
from da4dvar.fields.labels.cf import axis_role, dim_role, geographic, is_dates
from da4dvar.fields.labels.units import same_units
from da4dvar.fields.points.geometries import factor
from da4dvar.fields.points.record import Points, days

Say = Callable[[str], object]
# Largest number of values of a map.
MOST = 50_000_000
# Number of steps up to which days, hours or years are chosen as the step of a map.
STEPS = 750
CHOICES = ("1h", "3h", "6h", "1D", "5D", "10D", "30D", "365D")
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Grid:
    """Times and places of a map.

    Attributes
    ----------
    array : DataArray
        Array with the dimensions and coordinates of the map; NaN everywhere.
    time : str or None
        Name of the time dimension.
    place : tuple of str
        Names of the other dimensions: a vertical coordinate, latitude and longitude, or both.
    kept : array of bool or None
        Cells to be estimated, of the shape of `place`; None for all.

    Examples
    --------
    >>> points = Points("sla", np.ones(2), lat=np.array([40.1, 41.2]), lon=np.array([5.1, 6.2]))
    >>> grid = grid_of(points, 0.5, None, print)
    >>> grid.array.sizes, grid.array.lat.values
    (Frozen({'lat': 3, 'lon': 3}), array([40.25, 40.75, 41.25]))
    """

    array: xr.DataArray
    time: str | None
    place: tuple[str, ...]
    kept: np.ndarray | None = field(default=None, compare=False)

    @property
    def times(self) -> np.ndarray | None:
        """Times of the map; None without a time dimension."""
        return None if self.time is None else self.array[self.time].values

    @property
    def vertical(self) -> bool:
        """Whether the places are levels."""
        return len(self.place) == 1 and dim_role(self.array, self.place[0]) not in ("X", "Y")

    @property
    def levels(self) -> np.ndarray | None:
        """Levels of a map that has latitudes and longitudes as well; None without levels."""
        return self.array[self.place[0]].values.astype("float64") if len(self.place) == 3 else None

    def positions(self) -> dict[str, np.ndarray]:
        """Return ``lat`` and ``lon``, ``depth``, or all three, of every cell, flattened.

        Returns
        -------
        dict of str to array, shape (cell,)
        """
        if not self.place:
            return {}
        if self.vertical:
            return {"depth": self.array[self.place[0]].values.astype("float64")}
        frame = xr.DataArray(np.zeros([self.array.sizes[d] for d in self.place]), dims=self.place)
        out = {}
        for name, role in (("lat", "Y"), ("lon", "X")):
            found = geographic(self.array.coords, role)[0].variable
            out[name] = (frame.variable + found).transpose(*self.place).values.ravel().astype("float64")
        if self.levels is not None:
            out["depth"] = np.repeat(self.levels, frame.size // len(self.levels))
        return out

    def inside(self, points: Points) -> np.ndarray:
        """Return true at points that are on the map, or within half a cell or a step of its edges.

        Parameters
        ----------
        points : Points
            Points.

        Returns
        -------
        array of bool, shape (point,)
        """
        out = np.ones(len(points), bool)
        here = self.positions()
        for name, column in points.columns().items():
            if name in here:
                own = np.unique(here[name])
                column = onto(column, own) if name == "lon" else column
                out &= within(column, own)
        if self.times is not None and points.time is not None:
            since = self.times[0]
            # A day may be labelled by its beginning or by its middle.
            out &= within(points.days(since), days(self.times, since), 1.0)
        return out


def grid_like(ds: xr.Dataset, points: Points, say: Say) -> Grid:
    """Return the grid of a data set.

    Parameters
    ----------
    ds : Dataset
        Data set with coordinates of latitude and longitude, of levels, or both, and possibly of time. Without
        times, each time of the points is not told apart. Cells in which every variable of the data set
        is missing at all times, such as land, are not estimated.
    points : Points
        Points to be mapped.
    say : callable
        Called with lines on what was chosen.

    Returns
    -------
    Grid

    Raises
    ------
    DataError
        If there is no such grid.
    """
    time = time_of(ds)
    lat, lon = (geographic(ds.coords, role)[:1] for role in "YX")
    place: tuple[str, ...] = ()
    if lat and lon and points.lat is not None:
        place = tuple(dict.fromkeys(map(str, (*lat[0].dims, *lon[0].dims))))
        if points.depth is not None and len(place) == 2:
            place = (*vertical_of(ds), *place)
    elif points.depth is not None:
        place = vertical_of(ds)
        place = place or tuple(str(d) for d in ds.dims if d == points.depth_attrs.get("name"))
    if not place and (time is None or points.lat is not None):
        raise DataError(
            f"the grid has no latitude and longitude (dimensions: {', '.join(map(str, ds.dims)) or 'none'}); "
            "give a file with these coordinates, or --resolution DEGREES"
        )
    dims = [*([time] if time is not None else []), *place]
    if time is not None and time not in ds.coords:
        raise DataError(f"the grid has no times along {time!r}; give it a coordinate of time")
    coords = {n: c for n, c in ds.coords.items() if c.dims and set(c.dims) <= set(dims)}
    fields = [a for a in ds.data_vars.values() if set(a.dims) == set(dims) and a.dtype.kind == "f"]
    kept = None
    if fields and place:
        there = [(f.notnull().any(time) if time else f.notnull()).transpose(*place).values for f in fields]
        seen = np.any(there, axis=0)
        if seen.any() and not seen.all():
            kept = seen
            say(
                f"{(~seen).sum()} of {seen.size} cells are missing at all times in the grid file; they stay "
                "empty (flag 2)"
            )
    shape = [ds.sizes[d] for d in dims]
    array = xr.DataArray(np.full(shape, np.nan), coords, dims, points.name)
    check_times(array, time, points)
    return Grid(array, time, place, kept)


def vertical_of(ds: xr.Dataset) -> tuple[str, ...]:
    """Return the first dimension of a data set that is vertical."""
    return tuple(str(d) for d in ds.dims if d in ds.coords and axis_role(ds[d]) == "Z")[:1]


def grid_of(
    points: Points, resolution: float, every: str | None, say: Say, levels: Sequence[float] = ()
) -> Grid:
    """Return a grid of a resolution that covers points.

    Parameters
    ----------
    points : Points
        Points to be mapped.
    resolution : float
        Size of the cells in degrees or, for points that differ only in depth, in its units.
    every : str, optional
        Step in time, such as ``1D`` or ``6h``; by default one that gives at most some hundred steps.
    say : callable
        Called with lines on what was chosen.
    levels : sequence of float
        Levels of the map, in the units of the depths of the points.

    Returns
    -------
    Grid

    Raises
    ------
    DataError
        If the resolution or the step is not above 0, the levels do not ascend or the points have none, or the
        map would be too large.
    """
    if not 0 < resolution < np.inf:
        raise DataError(f"--resolution is {resolution}, expected a number of degrees above 0")
    check_levels(levels, points)
    coords: dict[str, tuple[str, np.ndarray, dict[str, str]]] = {}
    time = None
    if points.time is not None and np.ptp(points.days(points.time[0])) > 0:
        time = "time"
        coords["time"] = ("time", steps_of(points, every, say), {"standard_name": "time"})
    elif every is not None:
        raise DataError("--every: the points have one time only; leave it out")
    place: tuple[str, ...] = ()
    if points.lat is not None and points.lon is not None and not is_cast(points):
        place = ("lat", "lon")
        lat, lon = centres(points.lat, resolution), centres(unwrapped(points.lon), resolution)
        north = {"standard_name": "latitude", "units": "degrees_north"}
        coords["lat"] = ("lat", lat[np.abs(lat) < 90], north)
        east = {"standard_name": "longitude", "units": "degrees_east"}
        coords["lon"] = ("lon", lon[: max(1, int(360 / resolution))], east)
        if levels:
            name, attrs = vertical_attrs(points)
            place = (name, *place)
            coords[name] = (name, np.array(levels, "float64"), attrs)
    elif points.depth is not None:
        name, attrs = vertical_attrs(points)
        place = (name,)
        coords[name] = (name, centres(points.depth, resolution), attrs)
    dims = [*([time] if time else []), *place]
    shape = [coords[d][1].size for d in dims]
    if np.prod(shape) > MOST:
        raise DataError(
            f"the map would have {' x '.join(map(str, shape))} values, expected at most {MOST:,}; give a "
            "coarser --resolution or --every"
        )
    return Grid(xr.DataArray(np.full(shape, np.nan), coords, dims, points.name), time, place)


def vertical_attrs(points: Points) -> tuple[str, dict[str, str]]:
    """Return the name and the attributes of the vertical coordinate of a map of points."""
    kept = ("units", "positive", "standard_name", "long_name")
    own = {n: str(points.depth_attrs[n]) for n in kept if n in points.depth_attrs}
    return str(points.depth_attrs.get("name", "depth")), {"axis": "Z"} | own


def check_levels(levels: Sequence[float], points: Points) -> None:
    """Raise an error if points cannot be mapped to some levels."""
    if not levels:
        return
    given = ",".join(f"{level:g}" for level in levels)
    if points.depth is None:
        raise DataError(f"--levels {given}: the points of {points.name!r} have no depth; leave it out")
    if points.lat is None or is_cast(points):
        raise DataError(
            f"--levels {given}: the points of {points.name!r} differ in depth only; leave it out, and give "
            "the size of the levels with --resolution"
        )
    if len(levels) < 2 or not (np.isfinite(levels).all() and (np.diff(levels) > 0).all()):
        raise DataError(f"--levels {given}: expected two levels or more, in ascending order")


def steps_of(points: Points, every: str | None, say: Say) -> np.ndarray:
    """Return the times of a map that covers points."""
    assert points.time is not None
    first, last = points.time.min(), points.time.max()
    if points.time.dtype.kind != "M":
        if every is None:
            raise DataError("the times of the points are numbers without dates; give their step with --every")
        try:
            step = float(every)
        except ValueError:
            raise DataError(f"--every {every!r}: expected a number, as the times are no dates") from None
        return np.arange(np.floor(first / step) * step, last + step / 2, step)
    chosen = every
    if chosen is None:
        chosen = usual_step(pd.Timedelta(last - first))
        say(
            f"times of the map: every {chosen} from {str(first)[:10]} to {str(last)[:10]}; "
            "choose another step with --every"
        )
    try:
        step = pd.Timedelta(chosen)
    except ValueError as error:
        raise DataError(
            f"--every {chosen!r}: expected a duration such as 1D or 6h ({first_line(error)})"
        ) from error
    if not step > pd.Timedelta(0):
        raise DataError(f"--every {chosen!r}: expected a duration above 0")
    begin = pd.Timestamp(first).floor("D") if step >= pd.Timedelta("1h") else pd.Timestamp(first)
    # Days are given at noon, the middle of what is observed in them.
    begin += step / 2 if step >= pd.Timedelta("1D") else pd.Timedelta(0)
    begin += step * max(0, int((pd.Timestamp(first) - begin) / step + 0.5))
    number = max(1, int(np.ceil((pd.Timestamp(last) - begin) / step - 0.5)) + 1)
    return np.asarray(pd.date_range(begin, periods=number, freq=step).values.astype("M8[ns]"))


def usual_step(extent: pd.Timedelta) -> str:
    """Return a step for a map of some extent: a day, unless the record is short or long."""
    fits = [c for c in CHOICES if extent / pd.Timedelta(c) <= STEPS] or list(CHOICES[-1:])
    return "1D" if "1D" in fits and extent >= pd.Timedelta("4D") else fits[0]


def is_cast(points: Points) -> bool:
    """Whether points differ in depth but not in place."""
    moves = any(np.ptp(a) > 0 for a in (points.lat, points.lon) if a is not None)
    return not moves and points.depth is not None and bool(np.ptp(points.depth) > 0)


def check_times(array: xr.DataArray, time: str | None, points: Points) -> None:
    """Raise an error if the times of a grid and of points cannot be compared."""
    if time is None:
        return
    dated = is_dates(array[time])
    if points.time is None or dated != (points.time.dtype.kind == "M"):
        raise DataError(
            f"the grid has {'dates' if dated else 'times without dates'}, and the points of {points.name!r} "
            f"{'no times' if points.time is None else 'times without dates' if dated else 'dates'}; "
            "give both the same kind of times"
        )


def centres(degrees: np.ndarray, resolution: float) -> np.ndarray:
    """Return the centres of the cells that cover some positions, at multiples of the resolution."""
    low, high = np.floor(degrees.min() / resolution + 1e-9), np.floor(degrees.max() / resolution - 1e-9)
    out: np.ndarray = ((np.arange(low, max(high, low) + 1) + 0.5) * resolution).round(9)
    return out


def unwrapped(lon: np.ndarray) -> np.ndarray:
    """Return longitudes without a jump within them: those that are cut at the widest gap."""
    around = np.mod(lon, 360)
    inside = np.unique(around)
    apart = np.diff(np.append(inside, inside[0] + 360))
    start = inside[(int(apart.argmax()) + 1) % inside.size]
    out = start + np.mod(around - start, 360)
    shift = 360 * np.round((out.mean() - lon.mean()) / 360)
    return np.asarray(out - shift)


def onto(lon: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Return longitudes in the range of those of a grid."""
    middle = (axis[0] + axis[-1]) / 2
    out: np.ndarray = middle - 180 + np.mod(lon - middle + 180, 360)
    return out


def within(values: np.ndarray, axis: np.ndarray, steps: float = 0.5) -> np.ndarray:
    """Return true at values that are within some steps of an axis, and anywhere for a single entry."""
    if axis.size < 2:
        return np.ones(values.size, bool)
    margin = float(np.median(np.diff(np.sort(axis)))) * (steps + 1e-6)
    out: np.ndarray = (values >= axis.min() - margin) & (values <= axis.max() + margin)
    return out


def on_map(points: Points, grid: Grid, say: Say) -> Points:
    """Return the points that are on a map; the others are left out and counted in a line.

    Raises
    ------
    DataError
        If none is.
    """
    inside = grid.inside(points)
    left = int((~inside).sum())
    if left == len(points):
        raise DataError(
            f"{points.name}: none of the {left} points is on the grid ({reach(grid)}); check longitudes and "
            "times"
        )
    if left:
        say(
            f"{points.name}: {left} of {len(points)} points are outside of the grid ({reach(grid)}) and are "
            "left out"
        )
    return points.isel(inside)


def with_depth_of(points: Points, grid: Grid) -> Points:
    """Return points whose depths have the units and the direction of the levels of a map.

    Raises
    ------
    DataError
        If the units cannot be converted.
    """
    if points.depth is None or "depth" not in grid.positions():
        return points
    own, wanted = points.depth_attrs, grid.array[grid.place[0]].attrs
    depth = points.depth
    if own.get("units") and wanted.get("units") and not same_units(own["units"], wanted["units"]):
        scale, offset = factor(own["units"], wanted["units"], f"the depth of {points.name!r}")
        depth = depth * scale + offset
    if {own.get("positive"), wanted.get("positive")} == {"up", "down"}:
        depth = -depth
    return replace(points, depth=depth, depth_attrs={**own, **wanted})


def reach(grid: Grid) -> str:
    """Return the range of a grid in words."""
    said = [f"{n} {v.min():.6g} to {v.max():.6g}" for n, v in grid.positions().items()]
    if grid.times is not None:
        said.append(f"time {str(grid.times[0])[:19]} to {str(grid.times[-1])[:19]}")
    return ", ".join(said)
