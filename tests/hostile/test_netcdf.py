"""Unusual, unsuitable or broken NetCDF files give the correct result or one line of error."""

import re
from collections.abc import Callable

import netCDF4
import numpy as np
import pytest
import xarray as xr
from door import done_or_refused, refused
from hostile.verbs import gappy

import da4dvar

pytestmark = pytest.mark.hostile

Change = Callable[[xr.Dataset], xr.Dataset]


def encoded(ds: xr.Dataset, name: str, **encoding: object) -> xr.Dataset:
    """Return a data set with a given encoding of one variable."""
    ds[name].encoding = encoding
    return ds


def attributed(ds: xr.Dataset, name: str, **attrs: object) -> xr.Dataset:
    """Return a data set with additional attributes of a variable."""
    ds[name].attrs |= attrs
    return ds


def grid(ds: xr.Dataset) -> xr.Dataset:
    """Return a data set with two-dimensional latitude and longitude in addition to axes without labels."""
    lat, lon = np.meshgrid(ds.lat, ds.lon, indexing="ij")
    bare = ds.rename(lat="y", lon="x").drop_vars(["y", "x"])
    return bare.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))


# What has a right answer: that of the plain file, to the precision of the encoding.
RIGHT: dict[str, tuple[Change, float]] = {
    "as it is": (lambda ds: ds, 1e-6),
    "latitudes that descend": (lambda ds: ds.isel(lat=slice(None, None, -1)), 1e-4),
    "times that descend": (lambda ds: ds.isel(time=slice(None, None, -1)), 1e-4),
    "other order of dimensions": (lambda ds: ds.transpose("lon", "time", "lat"), 1e-4),
    "big-endian": (lambda ds: ds.assign(sst=ds.sst.astype(">f4")), 1e-6),
    "double precision": (lambda ds: ds.assign(sst=ds.sst.astype("f8")), 1e-4),
    "integers with a fill value": (
        lambda ds: encoded(ds, "sst", dtype="int16", scale_factor=0.01, _FillValue=-9999), 0.011),
    "unsigned with a fill value": (
        lambda ds: encoded(ds, "sst", dtype="uint16", scale_factor=0.01, _FillValue=65535), 0.011),
    "missing_value alone": (lambda ds: encoded(ds, "sst", missing_value=np.float32(-999.0)), 1e-6),
    "an unlimited dimension": (lambda ds: ds.assign_attrs(note="unlimited"), 1e-6),
    "a variable without dimensions": (lambda ds: ds.assign(crs=5), 1e-6),
    "a text beside it": (lambda ds: ds.assign(name=("lat", [str(k) for k in range(9)])), 1e-6),
    "kelvin": (lambda ds: attributed(ds.assign(sst=(ds.sst + 273.15).astype("f4")), "sst", units="K"), 1e-3),
    "an attribute of numbers for the history": (lambda ds: ds.assign_attrs(history=np.array([1, 2])), 1e-6),
    "an attribute of numbers for the axis": (lambda ds: attributed(ds, "lat", axis=np.array([1, 2])), 1e-6),
    "names in other letters": (lambda ds: ds.assign_attrs({"título": "å\u2028b"}), 1e-6),
    "an empty attribute": (lambda ds: ds.assign_attrs(comment=""), 1e-6),
    "bounds of the times": (
        lambda ds: ds.assign(time_bnds=(("time", "nv"), np.stack([ds.time, ds.time], 1))), 1e-6),
}  # fmt: skip

# Files that are refused, with a part of the error message.
WRONG: dict[str, tuple[Change, str]] = {
    "no time at all": (lambda ds: ds.isel(time=slice(0, 0)), "no entries"),
    "no latitude at all": (lambda ds: ds.isel(lat=slice(0, 0)), "no entries"),
    "all NaN": (lambda ds: ds.assign(sst=ds.sst * np.nan), "holds no observation"),
    "infinite": (lambda ds: ds.assign(sst=ds.sst * np.inf), "infinite values"),
    "times twice": (lambda ds: ds.isel(time=[0, 1, 1, 2, 3, 4, 5, 6]), "duplicates"),
    "all times the same": (lambda ds: ds.isel(time=[3] * 8), "duplicates"),
    "times out of order": (lambda ds: ds.isel(time=[0, 2, 1, 3, 4, 5, 6]), "goes back once"),
    "a time that is missing": (
        lambda ds: ds.assign_coords(time=ds.time.where(ds.time != ds.time[3])), "has no time at 1 of"),
    "a latitude that is missing": (
        lambda ds: attributed(ds.assign_coords(lat=ds.lat.where(ds.lat != ds.lat[3])), "lat", axis="Y"),
        "not monotonic"),
    "times in unit years": (lambda ds: ds.assign_coords(time=np.arange(12) * 1.0), "trained on dates"),
    "times without units": (lambda ds: ds.assign_coords(time=np.arange(12)), "CF units"),
    "longitudes from -180": (
        lambda ds: ds.assign_coords(lon=("lon", ds.lon.values - 360, ds.lon.attrs)), "lon"),
    "another sea": (lambda ds: ds.assign_coords(lat=("lat", ds.lat.values + 5, ds.lat.attrs)), "'lat' holds"),
    "two-dimensional coordinates": (grid, "--dim lat=NAME"),
    "no variable of that name": (lambda ds: ds.rename(sst="tos"), "no variable 'sst'"),
    "the variable as a coordinate": (lambda ds: ds.drop_vars("sst").assign_coords(sst=5.0), "no dimension"),
    "text for numbers": (lambda ds: ds.assign(sst=ds.sst.astype(str)), "expected numbers"),
    "truth values for numbers": (lambda ds: ds.assign(sst=ds.sst > 15), "expected numbers"),
    "dates for numbers": (
        lambda ds: ds.assign(sst=ds.time.broadcast_like(ds.sst).transpose(*ds.sst.dims)), "expected numbers"),
    "a number for a field": (lambda ds: ds.assign(sst=5.0), "no dimension"),
    "units of something else": (lambda ds: attributed(ds, "sst", units="kg"), "cannot be converted"),
    "units that are a number": (lambda ds: attributed(ds, "sst", units=5), "cannot be converted"),
    "units without end": (lambda ds: attributed(ds, "sst", units="9**9**9**9**9"), "cannot be converted"),
    "units of many powers": (lambda ds: attributed(ds, "sst", units="km99999999"), "cannot be converted"),
    "units that are code": (
        lambda ds: attributed(ds, "sst", units="__import__('os')"), "cannot be converted"),
    "a scale that is huge": (
        lambda ds: encoded(ds.fillna(15), "sst", dtype="int16", scale_factor=1e-3, add_offset=0.0),
        "no observation"),
    "an error that is text": (lambda ds: attributed(ds, "sst", observation_error_std="small"), ""),
    "hours, not days": (
        lambda ds: ds.assign_coords(time=ds.time[0] + (ds.time - ds.time[0]) / 24), "steps of 1 hours"),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory, model_path):
    """What the plain file is filled to."""
    return da4dvar.load(model_path).interpolate(gappy())


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_odd_and_right(tmp_path, model_path, plain, what):
    """The result is that for the plain file, and the input is unchanged."""
    change, tolerance = RIGHT[what]
    ds = change(gappy())
    ds.to_netcdf(tmp_path / "in.nc", unlimited_dims=["time"] if "unlimited" in what else None)
    said = done_or_refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=tmp_path)
    assert said is not None
    with xr.open_dataset(tmp_path / "out.nc") as out:
        filled = out.sst.load().transpose(*plain.sst.dims).sortby(["time", "lat"])
    if what == "kelvin":
        assert filled.units == "K"
        filled = filled - 273.15
    np.testing.assert_allclose(filled, plain.sst, atol=tolerance)


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused(tmp_path, model_path, what):
    """The error has one line, nothing is written, and the input is unchanged."""
    change, expected = WRONG[what]
    change(gappy()).to_netcdf(tmp_path / "in.nc")
    if what == "a scale that is huge":
        with netCDF4.Dataset(tmp_path / "in.nc", "a") as file:
            file["sst"].scale_factor = 1e300
    if what == "an error that is text":
        done_or_refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=tmp_path)
        return
    line = refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=tmp_path)
    assert re.search(expected, line), line


@pytest.mark.parametrize("name", ["noleap", "all_leap", "360_day", "julian"])
def test_calendars_that_numpy_does_not_have(tmp_path, model_path, plain, name):
    """The season is that of the calendar; the result keeps it."""
    days = xr.date_range("2001-03-01", periods=12, calendar=name, use_cftime=True)
    gappy().assign_coords(time=days).to_netcdf(tmp_path / "in.nc")
    assert done_or_refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=tmp_path)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert out.time.dt.calendar == name
        np.testing.assert_allclose(out.sst, plain.sst, atol=0.5)
