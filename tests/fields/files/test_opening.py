"""What a file is, groups, and maps of one day each."""

import gzip
import zipfile

import netCDF4
import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.files.dated import date_in
from da4dvar.fields.files.store import load_dataset, write_dataset
from da4dvar.fields.labels.carried import carry, without_dangling

KINDS = {
    b"GRIB\0\0\0\2": "a GRIB file; .*cdo",
    b"SXXX EGRR\r\r\nGRIB\0": "a GRIB file",
    b"\x0e\x03\x13\x01": "an HDF4 file; .*gdal_translate",
    b"<!DOCTYPE html><html>": "an HTML page; .*login",
    b"<?xml version='1.0'?>": "an XML document",
    b'{"error": "no"}': "a JSON document",
    b"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer .*git lfs pull",
    b"time;level\n1;2\n": r"a table \(CSV\); .*pandas",
    b"netcdf x {\n": "NetCDF as text .*ncgen",
    b"some words": "a text",
    b"": "an empty file",
    gzip.compress(b"CDF"): "a gzip archive",
}


@pytest.mark.parametrize(("head", "said"), KINDS.items(), ids=range(len(KINDS)))
def test_a_file_is_named_by_what_it_is(tmp_path, head, said):
    """With what to do, in one line."""
    path = tmp_path / "x.nc"
    path.write_bytes(head)
    with pytest.raises(DataError, match=f"x.nc: not a NetCDF file but {said}"):
        load_dataset(path)


@pytest.mark.parametrize("key", ["scale_factor", "add_offset"])
def test_a_scale_that_is_text_is_named(tmp_path, key):
    """As sloppy converters write it; the file is not damaged, and the line says how to correct it."""
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as file:
        file.createDimension("time", 3)
        file.createVariable("t", "i2", ("time",))[:] = [1, 2, 3]
        file["t"].setncattr(key, "0.1")
    with pytest.raises(
        DataError, match=f"'t' cannot be unpacked, .* {key} is the text '0.1', expected a number"
    ):
        load_dataset(tmp_path / "x.nc")


def test_archives_and_addresses_are_refused(tmp_path):
    """A zip archive named as NetCDF, and an address."""
    with zipfile.ZipFile(tmp_path / "x.nc", "w") as archive:
        archive.writestr("data.nc", b"CDF")
    with pytest.raises(DataError, match="a zip archive; unpack it"):
        load_dataset(tmp_path / "x.nc")
    with pytest.raises(DataError, match="an address, but only local files"):
        load_dataset("https://example.org/a.nc?sst[0:1]")


@pytest.mark.parametrize("name", ["x.nc4", "x.h5", "x.cdf", "x", "a[1].nc"])
def test_names_do_not_decide(tmp_path, name):
    """Whatever the suffix of a NetCDF file."""
    xr.Dataset({"x": ("time", [1.0])}).to_netcdf(tmp_path / name)
    assert load_dataset(tmp_path / name).x.values == [1.0]


@pytest.mark.parametrize("name", ["x.nc4", "x.cdf"])
def test_other_suffixes_of_netcdf_are_written(tmp_path, name):
    """Attributes that only Zarr can hold become text there too."""
    write_dataset(xr.Dataset({"x": ("time", [1.0], {"made": {"by": "hand"}})}), tmp_path / name)
    assert load_dataset(tmp_path / name).x.attrs == {"made": '{"by": "hand"}'}


def test_a_store_needs_no_suffix(tmp_path):
    """It is known by what it holds."""
    xr.Dataset({"x": ("time", [1.0])}).to_zarr(tmp_path / "store", zarr_format=2)
    assert load_dataset(tmp_path / "store").x.values == [1.0]


@pytest.fixture(params=["groups.nc", "groups.zarr"])
def grouped(request, tmp_path):
    """A file with a time axis in its root, and variables in a group of a group."""
    path = tmp_path / request.param
    root, inner = (
        xr.Dataset(coords={"time": [3, 4]}, attrs={"title": "a pass"}),
        xr.Dataset({"sst": ("time", [1.0, 2.0])}),
    )
    if path.suffix == ".zarr":
        root.to_zarr(path, consolidated=False)
        inner.to_zarr(path, group="science/data", mode="a", consolidated=False)
        return path
    with netCDF4.Dataset(path, "w") as file:
        file.title = "a pass"
        file.createDimension("time", 2)
        file.createVariable("time", "i4", ("time",))[:] = [3, 4]
        file.createVariable("science/data/sst", "f8", ("time",))[:] = [1.0, 2.0]
    return path


def test_groups_are_named_and_opened(grouped):
    """With the coordinates and the attributes of the groups around."""
    with pytest.raises(
        DataError, match=r"its variables are in groups \(science/data\); choose one with --group"
    ):
        load_dataset(grouped)
    with pytest.raises(DataError, match="no group 'science' with variables: did you mean 'science/data'"):
        load_dataset(grouped, "science")
    ds = load_dataset(grouped, "/science/data")
    np.testing.assert_array_equal(ds.sst, [1.0, 2.0])
    np.testing.assert_array_equal(ds.time, [3, 4])
    assert ds.attrs == {"title": "a pass"}


def daily(day, **attrs):
    """A map without a time, with a table of colours and bounds."""
    lat = ("lat", [1.0, 2.0], {"bounds": "lat_bnds"})
    variables = {
        "chl": ("lat", [day, np.nan]),
        "palette": ("rgb", [1, 2, 3]),
        "lat_bnds": (("lat", "b"), np.eye(2)),
    }
    return xr.Dataset(variables, {"lat": lat}, attrs)


SOURCES = {
    "attribute": (lambda d: daily(d, time_coverage_start=f"2008-01-{4 - d:02d}T00:00:00Z"), "x{}.nc", -1),
    "name": (daily, "A200800{}.L3m.nc", 1),
    "scalar": (lambda d: daily(d).assign_coords(time=np.datetime64(f"2008-01-0{d}", "ns")), "x{}.nc", 1),
}


@pytest.mark.parametrize(("build", "name", "order"), SOURCES.values(), ids=SOURCES)
def test_maps_of_a_day_each_are_joined_by_date(tmp_path, build, name, order):
    """In the order of the dates; what is not on the grid gets no time."""
    for day in (1, 2, 3):
        build(day).to_netcdf(tmp_path / name.format(day))
    with pytest.warns(match="3 files have no time dimension; they are joined along 'time'"):
        ds = load_dataset(tmp_path / "*.nc")
    np.testing.assert_array_equal(ds.chl[:, 0], [1, 2, 3][::order])
    np.testing.assert_array_equal(ds.time, np.arange("2008-01-01", "2008-01-04", dtype="M8[D]"))
    assert ds.palette.dims == ("rgb",)
    assert ds.lat_bnds.dims == ("lat", "b")


def test_maps_without_dates_are_refused(tmp_path):
    """With how to add them."""
    for name in ("a.nc", "b.nc"):
        daily(1).to_netcdf(tmp_path / name)
    with pytest.raises(DataError, match=r"no time dimension, and neither .* state a different date"):
        load_dataset(tmp_path / "*.nc")


NAMES = {
    "A20080012008031.L3m_MO.nc": "2008-01-01",
    "20010203T1200_x.nc": "2001-02-03T12:00",
    "sst.200102.nc": "2001-02-01",
    "v2_x_2001.nc": "2001-01-01",
    "run12345.nc": None,
}


@pytest.mark.parametrize(("name", "date"), NAMES.items())
def test_dates_are_found_in_names(name, date):
    """Days of the year, ranges, hours, months and years; other numbers are no dates."""
    found = date_in(name)
    assert (found and np.datetime64(found)) == (date and np.datetime64(date))


def test_attributes_never_name_what_is_not_there(tmp_path):
    """Lists lose the names; attributes that need all of theirs go; the data set given is not changed."""
    attrs = {
        "grid_mapping": "crs: x y",
        "coordinates": "lat lon",
        "ancillary_variables": "x_flag",
        "units": "K",
    }
    ds = xr.Dataset(
        {"x": ("time", [1.0], attrs), "lat": ((), 1.0)}, {"time": ("time", [0], {"bounds": "time_bnds"})}
    )
    write_dataset(ds, tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc", decode_cf=False) as found:
        assert {k: v for k, v in found.x.attrs.items() if k != "_FillValue"} == {
            "coordinates": "lat",
            "units": "K",
        }
        assert found.time.attrs == {}
    assert ds.x.attrs == attrs
    assert without_dangling(ds.assign(crs=0, y=0)).x.attrs["grid_mapping"] == "crs: x y"


def test_an_output_carries_what_it_lacks():
    """Coordinates and data, but not what it holds under another name."""
    ds = xr.Dataset({"a": ("t", [1.0]), "b": ("t", [2.0])}, {"place": ((), "Alert")})
    out = carry(ds[["a"]].rename(a="c").drop_vars("place"), ds, {"a"})
    assert (list(out.data_vars), list(out.coords)) == (["c", "b"], ["place"])
