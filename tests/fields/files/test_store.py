"""Files: round trips, joined files, refused inputs and outputs, and failed writes."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from unprivileged import as_nobody, open_folder

from da4dvar.errors import DataError
from da4dvar.fields.files import store
from da4dvar.fields.files.store import add_history, check_output, files_of, load_dataset, write_dataset

SUFFIXES = (".nc", ".zarr")
PACKED = {"dtype": np.dtype("int16"), "scale_factor": np.float32(0.01), "add_offset": np.float32(0)}
PACKED["_FillValue"] = np.int16(-9999)

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


def sea(days=4, start="2001-01-01", calendar="standard", units="degC") -> xr.Dataset:
    """Return a packed variable with a gap, a flag, a label, dates and attributes."""
    values = 15 + 0.01 * np.random.default_rng(0).integers(-500, 500, (days, 3))
    values[1, 2] = np.nan
    ds = xr.Dataset(
        {
            "sst": (("time", "lat"), values.astype("float32"), {"units": units, "comment": "å"}),
            "flag": (("time", "lat"), np.ones((days, 3), "int8"), {"flag_values": np.array([0, 1], "int8")}),
            "name": ("lat", ["a", "bb", "ccc"]),
        },
        coords={
            "time": xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard"),
            "lat": ("lat", [-1.0, 0.0, 1.0], {"axis": "Y"}),
            "area": ("lat", np.ones(3, "float32"), {"units": "km2"}),
        },
        attrs={"title": "a small sea", "Conventions": "CF-1.11"},
    )
    ds.sst.encoding = PACKED | {"zlib": True, "complevel": 3, "chunksizes": (1, 1), "source": "elsewhere"}
    ds.time.encoding = {"units": "hours since 1950-01-01", "calendar": calendar, "dtype": np.dtype("int64")}
    return ds


def written(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Write a data set and read it again."""
    write_dataset(ds, path)
    return load_dataset(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_round_trip_keeps_everything(tmp_path, suffix, calendar):
    """Values, dtypes, attributes, coordinates, calendar, packing and compression are kept."""
    ds = sea(calendar=calendar)
    back = written(ds, tmp_path / f"sea{suffix}")
    xr.testing.assert_allclose(back, ds, atol=1e-6)
    assert (back.flag.dtype, back.area.dtype) == (np.int8, np.float32)
    if suffix == ".nc":  # Zarr does not store that a scale factor is of single precision
        assert (back.sst.dtype, back.sst.encoding["complevel"]) == (np.float32, 3)
    assert (back.attrs, back.sst.attrs, set(back.coords)) == (ds.attrs, ds.sst.attrs, set(ds.coords))
    assert {k: back.sst.encoding[k] for k in PACKED} == PACKED
    assert back.time.encoding["units"] == "hours since 1950-01-01"
    assert back.time.dt.calendar == ds.time.dt.calendar


@pytest.mark.parametrize(("level", "kept"), [(3, 3), (6, 6), (9, 6)])
def test_compression_is_that_of_the_source_unless_it_takes_long(tmp_path, level, kept):
    """The level of compression is kept up to that of zlib itself, and the values have the same bits."""
    values = np.random.default_rng(0).standard_normal(50)
    ds = xr.Dataset({"sst": ("x", values)})
    ds.sst.encoding = {"zlib": True, "complevel": level}
    write_dataset(ds, tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as back:
        assert back.sst.encoding["complevel"] == kept
        assert back.sst.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("value", "fill"), [(400.0, True), (-99.99, True), (1e30, True), (15.0, False)])
def test_values_that_do_not_fit_are_not_packed(tmp_path, suffix, value, fill):
    """Values out of range, equal to the fill value, or NaN without one are written unpacked."""
    ds = sea()
    ds.sst[0, 0] = value
    if not fill:
        del ds.sst.encoding["_FillValue"]
    back = written(ds, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.sst, ds.sst)
    assert back.sst.encoding["dtype"] == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("chunks", [{"time": 2}, {"time": (1, 3), "lat": (2, 1)}])
def test_a_lazy_data_set_of_any_chunks_is_written(tmp_path, suffix, chunks):
    """Lazy data of any chunks are written, unpacked because their range is unknown."""
    back = written(sea().chunk(chunks), tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.sst, sea().sst)
    assert back.sst.encoding["dtype"] == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writing_does_not_change_the_data_set(tmp_path, suffix):
    """Values, labels and encoding of the data set stay as they were."""
    ds = sea()
    encodings = {n: dict(ds[n].encoding) for n in ds.variables}
    write_dataset(ds, tmp_path / f"a{suffix}")
    xr.testing.assert_identical(ds, sea())
    assert {n: ds[n].encoding for n in ds.variables} == encodings


def full_disk(*_: Any, **__: Any) -> None:
    """Raise the error of a full disk."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_move_that_fails_keeps_what_was_there(tmp_path, monkeypatch, suffix):
    """If the final rename fails, the earlier file or store is kept."""
    path = tmp_path / f"a{suffix}"
    write_dataset(sea(), path)
    replace = os.replace

    def refused(source: Any, target: Any) -> None:
        if Path(target) == path and ".partial" in str(source):
            full_disk()
        replace(source, target)

    monkeypatch.setattr(store.os, "replace", refused)
    with pytest.raises(DataError, match=r"could not be written \(.*No space left on device.*Check the space"):
        write_dataset(sea(days=2), path, overwrite=True)
    monkeypatch.undo()
    assert (os.listdir(tmp_path), load_dataset(path).sizes["time"]) == ([path.name], 4)


@pytest.mark.parametrize(("output", "source", "text"), [
    ("a.csv", "a.nc", r"unsupported suffix '\.csv'; use \.nc or \.zarr"),
    ("a", "a.nc", "unsupported suffix ''"),
    ("nowhere/a.nc", "a.nc", "there is no folder .*nowhere; create it first"),
    ("a.nc", "a.nc", "output and input are the same"), ("link.nc", "a.nc", "output and input are the same"),
    ("in.zarr/out.nc", "in.zarr", "lies inside the input"),
    ("in.zarr", "in.zarr/zarr.json", "contains the input"),
    ("folder.nc", "a.nc", "not a Zarr store is never replaced"),
])  # fmt: skip
def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path, output, source, text):
    """Unsupported, unreachable and overlapping outputs are refused even with `overwrite`."""
    (tmp_path / "a.nc").touch()
    (tmp_path / "link.nc").symlink_to("a.nc")
    for name in ("in.zarr/zarr.json", "folder.nc/thesis.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=text):
        check_output(tmp_path / output, [tmp_path / source], overwrite=True)
    with pytest.raises(DataError, match="already exists; use --overwrite"):
        check_output(tmp_path / "a.nc", [], overwrite=False)
    check_output(tmp_path / "in.zarr.nc", [tmp_path / "in.zarr"], overwrite=False)


def test_a_file_that_may_not_be_read_is_refused():
    """The message names the file and the missing permission."""
    with open_folder() as folder:
        path = folder / "secret.nc"
        write_dataset(sea(), path)
        path.chmod(0o200)
        said = as_nobody(lambda: load_dataset(path))
    assert said.startswith("DataError")
    assert "not permitted to read" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.nc", "none.nc: no such file; give the path"),
        ("text.nc", r"text.nc: not a NetCDF file but a table \(CSV\); read it with pandas"),
        ("empty.zarr", "empty.zarr: not a readable NetCDF file or Zarr store"),
        ("folder", r"folder: a folder, not a Zarr store .*give '.*folder/\*\.nc'"),
        ("x*.nc", r"x\*.nc: no file matches; check the pattern"),
        ("cut.nc", "cut.nc: .*"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, expected):
    """Each message names the file in one line."""
    (tmp_path / "text.nc").write_text("time,sst\n1,2\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.zarr").mkdir()
    write_dataset(sea(days=400), tmp_path / "whole.nc")
    whole = (tmp_path / "whole.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=expected) as raised:
        load_dataset(tmp_path / name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("other", "text"), [
    (sea(), "the 2 files cannot be joined"),
    (sea(start="2001-01-03"), "the 2 files cannot be joined"),
    (sea(start="2001-02-01").assign_coords(lat=[5.0, 6.0, 7.0]), "the 2 files cannot be joined"),
    (sea(start="2001-02-01", calendar="noleap"), "the 2 files cannot be joined"),
    (sea(start="2001-02-01", units="K"), "'sst' is in K and degC in the 2 files"),
])  # fmt: skip
def test_files_that_do_not_follow_each_other_are_refused(tmp_path, other, text):
    """Files with the same or overlapping times, other grids, calendars or units are not joined."""
    for k, ds in enumerate([sea(), other]):
        write_dataset(ds, tmp_path / f"{k}.nc")
    with pytest.raises(DataError, match=text):
        load_dataset(tmp_path / "*.nc")


def test_spellings_of_one_unit_join(tmp_path):
    """Celsius and degC are one unit; the joined data have the units of the first file."""
    write_dataset(sea(units="celsius"), tmp_path / "a.nc")
    write_dataset(sea(start="2001-01-05"), tmp_path / "b.nc")
    joined = load_dataset(tmp_path / "*.nc")
    assert (joined.sizes["time"], joined.sst.attrs["units"]) == (8, "celsius")


def test_names_with_no_pattern_are_files():
    """Names without a pattern are kept in order and not looked up."""
    assert files_of(["b.nc", Path("a.nc")]) == ["b.nc", "a.nc"]


def test_history_grows_at_the_top():
    """New lines with a time stamp come first; the data set itself is not changed."""
    ds = xr.Dataset(attrs={"history": "made"})
    twice = add_history(add_history(ds, "hidden"), "interpolated")
    lines = twice.attrs["history"].split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(f"{stamp} interpolated", lines[0])
    assert re.fullmatch(f"{stamp} hidden", lines[1])
    assert (lines[2:], ds.attrs["history"]) == (["made"], "made")
    assert "\n" not in add_history(xr.Dataset(), "hidden").attrs["history"]


def test_text_with_a_fill_value_is_written(tmp_path):
    """Characters with a _FillValue can be read by xarray, but not written with it."""
    names = xr.DataArray(["empty", "full"], dims="time", name="state")
    names.encoding = {"dtype": np.dtype("S1"), "_FillValue": np.bytes_(b"e")}
    write_dataset(names.to_dataset(), tmp_path / "out.nc")
    assert xr.open_dataset(tmp_path / "out.nc").state.values.tolist() == ["empty", "full"]


@pytest.mark.parametrize("units", [None, "seconds since 1904-01-01"])
def test_unsigned_numbers_stay_positive(tmp_path, units):
    """Counts and dates that were signed numbers with the attribute _Unsigned."""
    attrs = {"_Unsigned": "true"} | ({"units": units} if units else {})
    stored = xr.Dataset({"x": ("n", np.array([-5, 7], "int32"), attrs)})
    ds = xr.decode_cf(stored)
    write_dataset(ds, tmp_path / "out.nc")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "out.nc"), ds)
