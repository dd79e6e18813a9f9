"""What comes in with labels goes out with them: calendar, attributes, encoding, coordinates, order."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from guarantees import classical
from guarantees.small import assert_close, data, examples, fill_file, model, often, promise, suffixes, write
from hypothesis import given
from hypothesis import strategies as st
from streams import opened

from da4dvar.outofcore.schedulers import InProcess

pytestmark = [
    *promise,
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore:Unable to decode time axis"),
]
CALENDARS = ("standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian")
UNITS = ("days since 1850-01-01", "hours since 1990-01-01 12:00:00", "seconds since 2001-01-01")
PACKINGS: tuple[dict[str, Any], ...] = (
    {},
    {"dtype": np.dtype("float64"), "_FillValue": -999.0},
    {"dtype": np.dtype("int16"), "scale_factor": 0.01, "_FillValue": np.int16(-32768)},
    {"dtype": np.dtype("int16"), "scale_factor": 0.01, "missing_value": np.int16(-32768)},
    {"dtype": np.dtype("int32"), "scale_factor": 1e-4, "add_offset": 10.0, "_FillValue": np.int32(-1)},
)
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"comment": "å, ε and 海"},
    {"cell_methods": "time: mean", "valid_min": np.float32(-5), "observation_error_std": 0.3},
)
calendars = st.sampled_from(CALENDARS)
orders = st.permutations(["time", "lat", "lon"])


def times(calendar: str, year: int, days: int) -> Any:
    """Days about the end of February, in a calendar of which numpy may know nothing."""
    known = calendar in ("standard", "proleptic_gregorian") and 1700 < year < 2200
    return xr.date_range(f"{year:04d}-02-20", periods=days, calendar=calendar, use_cftime=not known)


@st.composite
def data_sets(draw: st.DrawFn) -> xr.Dataset:
    """The gappy sea, labelled in some way."""
    days = draw(st.integers(8, 14))
    calendar, year = draw(st.sampled_from(CALENDARS)), draw(st.sampled_from([900, 1999, 2000, 2400]))
    ds = data("learned", days, draw(st.integers(0, 99)), draw(st.sampled_from([0.05, 0.5])))[["sst"]]
    ds = ds.astype(draw(st.sampled_from(["float32", "float64"])))
    ds.sst.attrs |= draw(st.sampled_from(ATTRIBUTES))
    ds.sst.encoding = dict(draw(st.sampled_from(PACKINGS)))
    ds = ds.assign_coords(
        time=("time", times(calendar, year, days), {"axis": "T", "long_name": "day"}),
        area=(("lat", "lon"), np.ones((9, 8), "float32"), {"units": "km2"}),
        row=("lat", [f"row {k}" for k in range(9)]),
        depth=((), np.float32(0.5), {"positive": "down", "units": "m"}),
        month=("time", np.arange(days, dtype="int8")),
    )
    ds.time.encoding = {"units": draw(st.sampled_from(UNITS)), "calendar": calendar}
    ds.time.encoding |= {"dtype": np.dtype("float64"), "_FillValue": None}
    for name in ("lat", "lon", "area"):
        ds[name].encoding = {"_FillValue": None}
    ds.attrs = {"title": "a small sea", "history": "made by hand", "Conventions": "CF-1.11"}
    ds.encoding = {"unlimited_dims": draw(st.sampled_from([set(), {"time"}]))}
    turned = draw(st.sets(st.sampled_from(["time", "lat", "lon"])))
    ds = ds.isel({d: slice(None, None, -1) for d in sorted(turned)})
    return ds.transpose(*draw(st.permutations(["time", "lat", "lon"])))


def assert_attributes(found: xr.Dataset, given: xr.Dataset) -> None:
    """The same attributes of the data set, and one line more of history, at its top."""
    assert found.attrs["history"].split("\n")[1:] == [given.attrs["history"]]
    assert found.attrs | {"history": given.attrs["history"]} == given.attrs


def assert_coordinates(found: xr.DataArray, given: xr.DataArray) -> None:
    """The same coordinates: names, values, types and attributes."""
    xr.testing.assert_identical(*(array.coords.to_dataset().drop_encoding() for array in (found, given)))
    for name in given.coords:
        assert found[name].dtype == given[name].dtype, name


@often
@given(ds=data_sets(), keep=st.booleans(), lazy=st.booleans())
def test_a_model_keeps_every_label(ds, keep, lazy):
    """Order, type, coordinates, attributes and encoding are kept."""
    filled = model("learned").interpolate(ds.chunk(time=5) if lazy else ds, analysis=not keep)
    for name in ("sst", "sst_flag"):
        assert filled[name].dims == ds.sst.dims
        assert_coordinates(filled[name], ds.sst)
    assert filled.sst.dtype == ds.sst.dtype
    assert filled.sst.attrs == ds.sst.attrs | {"ancillary_variables": "sst_flag"}
    for name in ("sst", *ds.sst.coords):
        assert filled[name].encoding == ds[name].encoding, name
    assert filled.encoding.get("unlimited_dims", set()) == ds.encoding["unlimited_dims"]
    assert_attributes(filled, ds)


@often
@given(ds=data_sets(), members=st.sampled_from([None, 2]))
def test_the_data_set_that_is_given_is_not_changed(ds, members):
    """Neither the call nor later changes of its result modify the input."""
    before, encoding = ds.copy(deep=True), dict(ds.sst.encoding)
    filled = model("learned").interpolate(ds, members=members)
    filled.sst.values[:] = 0
    filled.sst.attrs["units"] = filled.time.attrs["axis"] = "other"
    filled.sst.encoding["dtype"] = "other"
    filled.attrs["title"] = "other"
    xr.testing.assert_identical(ds, before)
    assert ds.sst.encoding == encoding


@often
@given(classical.methods, st.integers(0, 99), calendars, st.sampled_from([900, 2000]), orders)
def test_a_classical_method_keeps_every_label(name, seed, calendar, year, order):
    """In any calendar, also those of a standard error; the order of dimensions changes rounding at most."""
    ds = classical.gappy(seed)
    ds = ds.assign_coords(time=("time", times(calendar, year, classical.DAYS), ds.time.attrs))
    ds.time.encoding = {"units": "days since 1850-01-01", "calendar": calendar}
    expected, ds = classical.METHODS[name]().interpolate(ds), ds.transpose(*order, ...)
    found = classical.METHODS[name]().interpolate(ds)
    assert_close(found, expected)
    assert (found.attrs, found.encoding) == (ds.attrs, ds.encoding)
    xr.testing.assert_identical(found.coords.to_dataset(), ds.coords.to_dataset())
    for one in ds.variables:
        assert (found[one].dims, found[one].dtype) == (ds[one].dims, ds[one].dtype)
        assert (found[one].attrs, found[one].encoding) == (ds[one].attrs, ds[one].encoding)
        if f"{one}_std" in found:
            assert found[f"{one}_std"].dims == ds[one].dims
            assert_coordinates(found[f"{one}_std"], ds[one])


def packing(array: xr.DataArray) -> dict[str, object]:
    """How a variable is packed in its file, and by what number a gap; nothing of one that is not packed."""
    packed = array.encoding
    if packed["dtype"].kind not in "iu":
        return {}
    fill = packed.get("_FillValue", packed.get("missing_value"))
    return {k: packed.get(k) for k in ("dtype", "scale_factor", "add_offset")} | {"fill": fill}


@examples(50)
@given(ds=data_sets(), suffixes=suffixes, regions=st.booleans(), keep=st.booleans())
def test_a_file_keeps_the_labels_of_its_source(ds, suffixes, regions, keep):
    """NetCDF and Zarr, one to the other; packed as it was, but for a file that is filled in regions."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = (Path(folder, f"{n}{s}") for n, s in zip(("in", "out"), suffixes, strict=True))
        write(ds, source, zarr_format=3)
        given = opened(source)
        fill_file(source, output, "learned", InProcess(tiles=4) if regions else None, analysis=not keep)
        found, raw = opened(output), opened(output, decode_cf=False)
    assert found.sst.dims == found.sst_flag.dims == given.sst.dims
    assert_coordinates(found.sst, given.sst)
    assert found.sst_flag.dtype == np.int8
    assert not any("_FillValue" in raw[name].attrs for name in ("time", "lat", "lon"))
    for name in ("units", "calendar"):
        assert found.time.encoding[name] == given.time.encoding[name]
    assert found.sst.attrs == given.sst.attrs | {"ancillary_variables": "sst_flag"}
    assert_attributes(found, given)
    if not regions:
        assert packing(found.sst) == packing(given.sst)
    if suffixes == (".nc", ".nc"):
        assert found.encoding["unlimited_dims"] == given.encoding["unlimited_dims"]
