"""A changed source is detected by its files or its labels."""

from __future__ import annotations

import json
import os

import pytest
import xarray as xr
from examples import make_sst

from da4dvar.errors import DataError
from da4dvar.outofcore.fingerprint import check_unchanged, fingerprint


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
    with pytest.raises(DataError, match="was modified or replaced"):
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
