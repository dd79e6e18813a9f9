"""Covariates derived from the coordinates of a data set: season, hour and place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import axis_role, geographic, is_dates, standard_name

# Days in a year of calendars that differ from the tropical year.
YEARS = {"360_day": 360.0, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0, "366_day": 366.0}


def day_angle(time: xr.DataArray) -> np.ndarray:
    """2π times the elapsed fraction of the day, in the time zone of the dates."""
    return 2 * np.pi * (time.dt.hour.values + time.dt.minute.values / 60) / 24


def year_angle(time: xr.DataArray) -> np.ndarray:
    """2π times the elapsed fraction of the year, for dates of any calendar."""
    hours = time.dt.hour + time.dt.minute / 60
    year = YEARS.get(time.dt.calendar, 365.2425)
    return 2 * np.pi * (time.dt.dayofyear.values - 1 + hours.values / 24) / year


def day_of_year(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the day of the year, along `time`."""
    return _on_a_circle("day_of_year", year_angle, ds, time)


def hour_of_day(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the hour of the day, along `time`."""
    return _on_a_circle("hour_of_day", day_angle, ds, time)


def _on_a_circle(
    name: str, angle: Callable[[xr.DataArray], np.ndarray], ds: xr.Dataset, time: str
) -> dict[str, xr.DataArray]:
    if time not in ds.coords or not is_dates(ds[time]):
        raise DataError(
            f"derived {name!r} needs dates along {time!r}; "
            f"give the time axis CF units such as 'days since 2000-01-01', or remove {name!r}"
        )
    angles = angle(ds[time])
    return {f"{name}_{f.__name__}": xr.DataArray(f(angles), dims=(time,)) for f in (np.sin, np.cos)}


def latitude(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Latitude of every cell, in degrees."""
    return {"latitude": place(ds, "Y", "latitude")}


def longitude(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the longitude, independent of whether it starts at 0 or at -180."""
    where = place(ds, "X", "longitude")
    angle = np.deg2rad(where.values.astype("float64"))
    return {f"longitude_{f.__name__}": where.copy(data=f(angle)) for f in (np.sin, np.cos)}


DERIVED: dict[str, Callable[[xr.Dataset, str], dict[str, xr.DataArray]]] = {
    "day_of_year": day_of_year,
    "hour_of_day": hour_of_day,
    "latitude": latitude,
    "longitude": longitude,
}


def derived(ds: xr.Dataset, names: Sequence[str], time: str) -> xr.Dataset:
    """Return derived covariates of a data set, each along the dimensions of its coordinate.

    Parameters
    ----------
    ds : Dataset
        Data set with dates along `time`, or with latitude and longitude.
    names : sequence of {"day_of_year", "hour_of_day", "latitude", "longitude"}
        Covariates to derive.
    time : str
        Name of the time dimension.

    Returns
    -------
    Dataset
        Sine and cosine of periodic quantities, as ``<name>_sin`` and ``<name>_cos``; latitude in degrees.

    Raises
    ------
    DataError
        If `ds` lacks the coordinate.

    Examples
    --------
    >>> time = xr.date_range("2001-01-01", periods=2)
    >>> ds = xr.Dataset(coords={"time": time, "lat": ("lat", [10.0], {"units": "degrees_north"})})
    >>> found = derived(ds, ["day_of_year", "latitude"], "time")
    >>> {name: array.dims for name, array in found.items()}
    {'day_of_year_sin': ('time',), 'day_of_year_cos': ('time',), 'latitude': ('lat',)}
    """
    out: dict[str, xr.DataArray] = {}
    for name in names:
        out |= DERIVED[name](ds, time)
    return xr.Dataset({name: array.drop_attrs() for name, array in out.items()})


def place(ds: xr.Dataset, role: str, wanted: str) -> xr.DataArray:
    """Return the latitude or longitude of a data set, else its only Y or X axis without a standard name."""
    found = geographic(ds.coords, role)
    if not found:
        axes = [c for c in ds.coords.values() if axis_role(c) == role and c.dtype.kind in "iuf"]
        # The axes of projections and rotated grids have their own standard names.
        found = [c for c in axes if standard_name(c) is None]
    if len(found) != 1:
        names = ", ".join(str(c.name) for c in found)
        said = f"it has {len(found)} ({names})" if found else "it has none"
        raise DataError(
            f"derived {wanted!r} needs exactly one coordinate of that standard_name, but {said}; "
            f"set the standard_name of the coordinate to {wanted!r}, or remove {wanted!r}"
        )
    return found[0].reset_coords(drop=True)
