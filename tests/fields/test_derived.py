"""Covariates of season and place, from the coordinates alone."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.derived import derived


def sea(calendar: str = "standard", start: str = "2001-01-01", days: int = 400) -> xr.Dataset:
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    coords = {
        "time": time,
        "lat": ("lat", [-40.0, -39.0], {"units": "degrees_north"}),
        "lon": ("lon", [150.0, 200.0, 250.0], {"standard_name": "longitude"}),
    }
    return xr.Dataset(coords=coords)


@pytest.mark.parametrize(("calendar", "year"), [("standard", 365.2425), ("noleap", 365), ("360_day", 360)])
def test_day_of_year_goes_round_a_circle_once_a_year(calendar: str, year: float) -> None:
    """The angle of sine and cosine is 2π times the part of that calendar's year."""
    found = derived(sea(calendar, days=300), ["day_of_year"], "time")
    angle = np.arctan2(found.day_of_year_sin, found.day_of_year_cos).values % (2 * np.pi)
    np.testing.assert_allclose(angle, 2 * np.pi * np.arange(300) / year, atol=1e-9)


def test_hour_of_day_goes_round_a_circle_once_a_day() -> None:
    """At six the sine is one, at noon the cosine is minus one, and so again the next day."""
    ds = xr.Dataset(coords={"time": xr.date_range("2001-01-01", periods=8, freq="6h")})
    found = derived(ds, ["hour_of_day"], "time")
    np.testing.assert_allclose(found.hour_of_day_sin, [0, 1, 0, -1] * 2, atol=1e-9)
    np.testing.assert_allclose(found.hour_of_day_cos, [1, 0, -1, 0] * 2, atol=1e-9)


def test_longitude_is_the_same_from_0_and_from_minus_180() -> None:
    """A file of the other convention has the same covariates."""
    ds = sea()
    turned = ds.assign_coords(lon=("lon", ds.lon.values - 360, ds.lon.attrs))
    a, b = (derived(d, ["longitude"], "time").drop_vars("lon") for d in (ds, turned))
    xr.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(a.longitude_cos, np.cos(np.deg2rad([150, 200, 250])))


@pytest.mark.parametrize(
    "attrs", [{"units": "degrees_north"}, {"standard_name": "latitude"}, {"axis": "Y"}, {}], ids=str
)
def test_latitude_is_known_by_attributes_or_by_its_name(attrs: dict[str, str]) -> None:
    """CF attributes say which coordinate it is; without any, the usual name does."""
    name = "somewhere" if attrs else "LAT"
    ds = sea().drop_vars("lat").assign_coords({name: ("lat", [1.0, 2.0], attrs)})
    assert derived(ds, ["latitude"], "time").latitude.values.tolist() == [1.0, 2.0]


def test_stations_have_a_place_without_an_axis() -> None:
    """The latitude of each station is over the stations."""
    ds = xr.Dataset(coords={"lat": ("station", [50.0, 51.0, 49.0], {"units": "degrees_north"})})
    assert derived(ds, ["latitude"], "time").latitude.dims == ("station",)


@pytest.mark.parametrize(
    ("ds", "name", "message"),
    [
        (sea().drop_vars("time").assign_coords(time=np.arange(3)), "day_of_year", "needs dates along 'time'"),
        (sea().drop_vars("time"), "day_of_year", "needs dates along 'time'"),
        (sea().drop_vars("lat"), "latitude", "has none"),
        (
            sea().assign_coords(y=("y", [1.0], {"units": "degrees_north"})),
            "latitude",
            r"has 2 of them \(lat, y\)",
        ),
    ],
)
def test_a_coordinate_that_is_not_there_is_named(ds: xr.Dataset, name: str, message: str) -> None:
    """The message says which covariate needs what."""
    with pytest.raises(DataError, match=message):
        derived(ds, [name], "time")
