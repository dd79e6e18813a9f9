"""A part of a source equals that of the whole, and a changed source is detected."""

import json
import os

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from examples import make_sst

from da4dvar.errors import DataError
from da4dvar.fields.labels.conform import conform
from da4dvar.fields.labels.signature import Signature
from da4dvar.outofcore.fingerprint import check_unchanged, fingerprint
from da4dvar.outofcore.source import Source


def changed(ds: xr.Dataset) -> xr.Dataset:
    """Return the data in other units, under other names, transposed and with latitude reversed."""
    out = ds.assign(sst=(ds.sst + 273.15).assign_attrs(ds.sst.attrs | {"units": "K"}))
    out = out.assign(good=out.sst.notnull() & (out.lon > 150.4))
    out = out.rename(sst="skin", lat="y").isel(y=slice(None, None, -1))
    return out.transpose("lon", "time", "y")


@pytest.mark.parametrize("cells", [{"time": slice(3, 9), "lat": slice(2, 7)}, {"lat": slice(8, 9)}])
def test_a_part_is_conformed_as_the_whole_is(cells):
    """Names, units, direction, mask and values of a part are those of the whole."""
    signature = Signature.of(make_sst(), ["sst"], ["time", "lat", "lon"], [])
    ds, names = changed(make_sst(20)), {"variable": {"sst": "skin"}, "mask": "good", "dim": {"lat": "y"}}
    source = Source.of(ds, signature, **names)
    whole, part = conform(ds, signature, **names), source.part(cells)
    xr.testing.assert_allclose(part.data, whole.data.isel(cells))
    assert (part.dims, part.flipped, part.attrs) == (whole.dims, whole.flipped, whole.attrs)
    there = part.restore(part.data["sst"]).transpose("lon", "time", "y")
    expected = whole.restore(whole.data["sst"]).transpose(*there.dims).isel(source.users(cells))
    np.testing.assert_allclose(there, expected)
    assert source.whole.notes == whole.notes


def test_no_value_is_read_to_match_labels():
    """Matching the labels of a source reads no values."""
    signature = Signature.of(make_sst(), ["sst"], ["time", "lat", "lon"], [])
    ds = make_sst()
    read = dask.delayed(lambda: pytest.fail("values were read"))()
    never = dask.array.from_delayed(read, ds.sst.shape, "float32")
    assert Source.of(ds.assign(sst=ds.sst.copy(data=never)), signature).whole.data.sst.shape == ds.sst.shape


@pytest.mark.parametrize("name", ["in.nc", "in.zarr"])
def test_what_stays_is_the_same_and_what_is_touched_is_not(tmp_path, name):
    """A fingerprint survives JSON and changes with the modification time of a file or chunk."""
    ds, path = make_sst(), tmp_path / name
    ds.to_netcdf(path) if name.endswith(".nc") else ds.to_zarr(path, consolidated=False)
    then = json.loads(json.dumps(fingerprint(ds, [str(path)])))
    check_unchanged(then, fingerprint(ds, [str(path)]))
    file = path if path.is_file() else next(p for p in path.rglob("c/**/*") if p.is_file())
    later = os.stat(file).st_mtime_ns + 10**9
    os.utime(file, ns=(later, later))
    with pytest.raises(DataError, match="source was modified or replaced"):
        check_unchanged(then, fingerprint(ds, [str(path)]))


def test_labels_that_changed_are_named():
    """The error names the coordinates or variables that changed."""
    ds = make_sst()
    then = fingerprint(ds, [])
    for other, text in (
        (ds.assign_coords(lat=ds.lat + 1), r"other coordinates.*\(lat\)"),
        (ds.assign(sst=ds.sst.astype("float64")), r"other sizes or types.*\(sst\)"),
        (xr.merge([ds, ds.sst.isel(time=0, drop=True).rename("mean")]), r"\(mean\)"),
    ):
        with pytest.raises(DataError, match=text):
            check_unchanged(then, fingerprint(other, []))
