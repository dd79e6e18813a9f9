"""Covariates derived from coordinates: season, hour and place."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.derived import derived


def sea(calendar: str = "standard", start: str = "2001-01-01", days: int = 400) -> xr.Dataset:
    """Return coordinates of a small sea."""
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    coords = {
        "time": time,
        "lat": ("lat", [-40.0, -39.0], {"units": "degrees_north"}),
        "lon": ("lon", [150.0, 200.0, 250.0], {"standard_name": "longitude"}),
    }
    return xr.Dataset(coords=coords)


@pytest.mark.parametrize(("calendar", "year"), [("standard", 365.2425), ("noleap", 365), ("360_day", 360)])
def test_day_of_year_goes_round_a_circle_once_a_year(calendar, year):
    """The angle is 2π times the fraction of the year of the calendar."""
    found = derived(sea(calendar, days=300), ["day_of_year"], "time")
    angle = np.arctan2(found.day_of_year_sin, found.day_of_year_cos).values % (2 * np.pi)
    np.testing.assert_allclose(angle, 2 * np.pi * np.arange(300) / year, atol=1e-9)


def test_hours_and_longitudes_go_round_a_circle():
    """The sine is 1 at six and the cosine −1 at noon; both conventions of longitude give the same."""
    ds = xr.Dataset(coords={"time": xr.date_range("2001-01-01", periods=8, freq="6h")})
    found = derived(ds, ["hour_of_day"], "time")
    np.testing.assert_allclose(found.hour_of_day_sin, [0, 1, 0, -1] * 2, atol=1e-9)
    np.testing.assert_allclose(found.hour_of_day_cos, [1, 0, -1, 0] * 2, atol=1e-9)
    ds = sea()
    turned = ds.assign_coords(lon=("lon", ds.lon.values - 360, ds.lon.attrs))
    a, b = (derived(d, ["longitude"], "time").drop_vars("lon") for d in (ds, turned))
    xr.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(a.longitude_cos, np.cos(np.deg2rad([150, 200, 250])))


@pytest.mark.parametrize(
    "attrs", [{"units": "degrees_north"}, {"standard_name": "latitude"}, {"axis": "Y"}, {}], ids=str
)
def test_latitude_is_known_by_attributes_or_by_its_name(attrs):
    """The latitude is found by CF attributes or, without any, by its name."""
    name = "somewhere" if attrs else "LAT"
    ds = sea().drop_vars("lat").assign_coords({name: ("station", [1.0, 2.0], attrs)})
    found = derived(ds, ["latitude"], "time").latitude
    assert (found.dims, found.values.tolist()) == (("station",), [1.0, 2.0])


@pytest.mark.parametrize(("ds", "name", "message"), [
    (sea().drop_vars("time").assign_coords(time=np.arange(3)), "day_of_year", "needs dates along 'time'"),
    (sea().drop_vars("time"), "day_of_year", "needs dates along 'time'"),
    (sea().drop_vars("lat"), "latitude", "has none"),
    (sea().assign_coords(y=("y", [1.0], {"units": "degrees_north"})), "latitude", r"has 2 \(lat, y\)"),
])  # fmt: skip
def test_a_coordinate_that_is_not_there_is_named(ds, name, message):
    """The message names the derived covariate and what it needs."""
    with pytest.raises(DataError, match=message):
        derived(ds, [name], "time")
