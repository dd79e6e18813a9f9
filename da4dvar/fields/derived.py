"""Covariates that the coordinates of a data set already hold: season, hour and place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import axis_role, geographic, is_dates, standard_name

# Days of a year, where it is not that of the seasons.
YEARS = {"360_day": 360.0, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0, "366_day": 366.0}


def day_angle(time: xr.DataArray) -> np.ndarray:
    """2π times the part of the day that has passed, in the time that the dates are given in."""
    return 2 * np.pi * (time.dt.hour.values + time.dt.minute.values / 60) / 24


def year_angle(time: xr.DataArray) -> np.ndarray:
    """2π times the part of the year that has passed, for dates of any calendar."""
    hours = time.dt.hour + time.dt.minute / 60
    year = YEARS.get(time.dt.calendar, 365.2425)
    return 2 * np.pi * (time.dt.dayofyear.values - 1 + hours.values / 24) / year


def day_of_year(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the day of the year, each over `time`."""
    return _on_a_circle("day_of_year", year_angle, ds, time)


def hour_of_day(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the hour of the day, each over `time`."""
    return _on_a_circle("hour_of_day", day_angle, ds, time)


def _on_a_circle(
    name: str, angle: Callable[[xr.DataArray], np.ndarray], ds: xr.Dataset, time: str
) -> dict[str, xr.DataArray]:
    if time not in ds.coords or not is_dates(ds[time]):
        raise DataError(
            f"derived {name!r} needs dates along {time!r}; "
            "give the time axis CF units such as 'days since 2000-01-01', or leave it out"
        )
    angles = angle(ds[time])
    return {f"{name}_{f.__name__}": xr.DataArray(f(angles), dims=(time,)) for f in (np.sin, np.cos)}


def latitude(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """The latitude of every cell."""
    return {"latitude": place(ds, "Y", "latitude")}


def longitude(ds: xr.Dataset, time: str) -> dict[str, xr.DataArray]:
    """Sine and cosine of the longitude: the same whether it runs from 0 or from -180."""
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
    """The derived covariates of a data set, each over the dimensions of its coordinate alone.

    Parameters
    ----------
    ds : Dataset
        With dates along `time`, or coordinates of place.
    names : sequence of {"day_of_year", "hour_of_day", "latitude", "longitude"}
        What to take from them.
    time : str
        The dimension of time.

    Returns
    -------
    Dataset
        Sine and cosine of what goes round, as ``<name>_sin`` and ``<name>_cos``; the latitude in degrees.

    Raises
    ------
    DataError
        If `ds` has no such coordinate.

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
    """The latitude or longitude of a data set, or else the axis of that role if nothing says what it is."""
    found = geographic(ds.coords, role)
    if not found:
        axes = [c for c in ds.coords.values() if axis_role(c) == role and c.dtype.kind in "iuf"]
        # The axis of a projection or of a rotated grid has a standard name of its own.
        found = [c for c in axes if standard_name(c) is None]
    if len(found) != 1:
        names = ", ".join(str(c.name) for c in found)
        said = f"has {len(found)} of them ({names})" if found else "has none"
        raise DataError(
            f"derived {wanted!r} needs one coordinate of that standard_name, but the data set {said}; "
            f"set its standard_name to {wanted!r}, or leave it out"
        )
    return found[0].reset_coords(drop=True)
