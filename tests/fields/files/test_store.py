"""Files: what is kept in a round trip, what is refused, and that a broken write leaves nothing."""

from __future__ import annotations

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
from da4dvar.fields.files.store import (
    add_history,
    check_output,
    files_of,
    load_dataset,
    open_dataset,
    write_dataset,
)

SUFFIXES = (".nc", ".zarr")
PACKED = {
    "dtype": np.dtype("int16"),
    "scale_factor": np.float32(0.01),
    "add_offset": np.float32(0),
    "_FillValue": np.int16(-9999),
}

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


def sea(days: int = 4, start: str = "2001-01-01", calendar: str = "standard") -> xr.Dataset:
    """A packed variable with a gap, a flag, a label, dates and attributes."""
    values = 15 + 0.01 * np.random.default_rng(0).integers(-500, 500, (days, 3))
    values[1, 2] = np.nan
    ds = xr.Dataset(
        {
            "sst": (("time", "lat"), values.astype("float32"), {"units": "degC", "comment": "å"}),
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
    ds.sst.encoding = dict(PACKED) | {
        "zlib": True,
        "complevel": 3,
        "chunksizes": (1, 1),
        "source": "elsewhere",
    }
    ds.time.encoding = {"units": "hours since 1950-01-01", "calendar": calendar, "dtype": np.dtype("int64")}
    return ds


def written(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """A data set that went to a file and came back."""
    write_dataset(ds, path)
    return load_dataset(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_round_trip_keeps_everything(tmp_path: Path, suffix: str, calendar: str) -> None:
    """Values, types, attributes, coordinates and calendar; packed as they were."""
    ds = sea(calendar=calendar)
    back = written(ds, tmp_path / f"sea{suffix}")
    xr.testing.assert_allclose(back, ds, atol=1e-6)
    assert back.flag.dtype == np.int8
    assert back.area.dtype == np.float32
    if suffix == ".nc":  # a Zarr store does not say that a scale factor is of single precision
        assert back.sst.dtype == np.float32
    assert back.attrs == ds.attrs
    assert back.sst.attrs == ds.sst.attrs
    assert set(back.coords) == set(ds.coords)
    assert {k: back.sst.encoding[k] for k in PACKED} == PACKED
    assert back.time.encoding["units"] == "hours since 1950-01-01"
    assert back.time.encoding["calendar"] in (calendar, "proleptic_gregorian")
    assert back.time.dt.calendar == ds.time.dt.calendar


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_gap_keeps_the_number_that_an_old_attribute_says(tmp_path: Path, suffix: str) -> None:
    """A variable with `missing_value` alone stays packed; that number becomes its fill value."""
    ds = sea()
    del ds.sst.encoding["_FillValue"]
    ds.sst.encoding["missing_value"] = np.int16(-9999)
    back = written(ds, tmp_path / f"a{suffix}")
    assert back.sst.encoding["dtype"] == np.int16
    assert back.sst.encoding["_FillValue"] == -9999
    assert int(back.sst.isnull().sum()) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_coordinate_gets_no_fill_value(tmp_path: Path, suffix: str) -> None:
    """CF allows none to what numbers the cells, dates or not."""
    ds = sea(calendar="noleap")
    ds.time.encoding["dtype"] = np.dtype("float64")
    back = written(ds, tmp_path / f"a{suffix}")
    assert not any("_FillValue" in back[name].encoding for name in ("time", "lat"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_second_round_trip_changes_nothing(tmp_path: Path, suffix: str) -> None:
    """Packing is lossy once at most."""
    first = written(sea(), tmp_path / f"a{suffix}")
    xr.testing.assert_identical(written(first, tmp_path / f"b{suffix}"), first)


def test_one_kind_of_file_becomes_the_other(tmp_path: Path) -> None:
    """What was read from NetCDF goes to Zarr and back, encoding and all."""
    first = written(sea(), tmp_path / "a.nc")
    again = written(written(first, tmp_path / "b.zarr"), tmp_path / "c.nc")
    xr.testing.assert_allclose(again, first, atol=1e-6)
    assert again.attrs == first.attrs
    assert {k: again.sst.encoding[k] for k in PACKED} == PACKED


def test_compression_is_kept(tmp_path: Path) -> None:
    """A compressed variable stays compressed."""
    assert written(sea(), tmp_path / "a.nc").sst.encoding["complevel"] == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "packed"),
    [
        ({}, True),
        ({"value": 400.0}, False),
        ({"value": -400.0}, False),
        ({"value": -99.99}, False),
        ({"value": 1e30}, False),
        ({"drop": "_FillValue"}, False),
        ({"value": np.nan}, True),
    ],
)
def test_values_that_do_not_fit_are_not_packed(
    tmp_path: Path, suffix: str, change: dict[str, Any], packed: bool
) -> None:
    """Beyond the integers, on the fill value, or NaN without one: the file holds the numbers themselves."""
    ds = sea()
    if "value" in change:
        ds.sst[0, 0] = change["value"]
    ds.sst.encoding.pop(change.get("drop", ""), None)
    back = written(ds, tmp_path / f"a{suffix}")
    if packed:
        np.testing.assert_allclose(back.sst, ds.sst, atol=0.00501)
    else:
        np.testing.assert_array_equal(back.sst, ds.sst)
    assert (back.sst.encoding["dtype"] == np.int16) == packed


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("chunks", [{"time": 2}, {"time": (1, 2, 1)}, {"time": (1, 3), "lat": (2, 1)}])
def test_a_lazy_data_set_of_any_chunks_is_written(tmp_path: Path, suffix: str, chunks: dict) -> None:
    """Chunks of many sizes too; unread values are not packed, for they may not fit."""
    back = written(sea().chunk(chunks), tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.sst, sea().sst)
    assert back.sst.encoding["dtype"] == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writing_does_not_change_the_data_set(tmp_path: Path, suffix: str) -> None:
    """Its encoding is the user's."""
    ds = sea()
    encodings = {n: dict(ds[n].encoding) for n in ds.variables}
    write_dataset(ds, tmp_path / f"a{suffix}")
    xr.testing.assert_identical(ds, sea())
    assert {n: ds[n].encoding for n in ds.variables} == encodings


def full_disk(*_: Any, **__: Any) -> None:
    """What a full disk does to a write."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, earlier: bool
) -> None:
    """A write that stops half-way leaves the folder, and a file of that name, as they were."""
    path, first = tmp_path / f"a{suffix}", sea()
    if earlier:
        write_dataset(first, path)
    before = sorted(os.listdir(tmp_path))

    def half(self: xr.Dataset, target: Path, **_: Any) -> None:
        if suffix == ".nc":
            Path(target).write_bytes(b"CDF half")
        else:
            Path(target).mkdir()
            (Path(target) / "zarr.json").write_text("{}")
        full_disk()

    monkeypatch.setattr(xr.Dataset, "to_netcdf", half)
    monkeypatch.setattr(xr.Dataset, "to_zarr", half)
    with pytest.raises(DataError, match=r"could not be written \(.*No space left on device.*Check the space"):
        write_dataset(sea(days=2), path, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == before
    if earlier:
        assert load_dataset(path).sizes["time"] == 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_move_that_fails_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Even if the very last step goes wrong, the earlier file or store is still there."""
    path = tmp_path / f"a{suffix}"
    write_dataset(sea(), path)
    replace = os.replace

    def refused(source: Any, target: Any) -> None:
        if Path(target) == path and ".partial" in str(source):
            full_disk()
        replace(source, target)

    monkeypatch.setattr(store.os, "replace", refused)
    with pytest.raises(DataError, match="could not be written"):
        write_dataset(sea(days=2), path, overwrite=True)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [path.name]
    assert load_dataset(path).sizes["time"] == 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_earlier_file_is_replaced_only_if_asked(tmp_path: Path, suffix: str) -> None:
    """Without overwrite it is refused, with it the new one is there alone."""
    path = tmp_path / f"a{suffix}"
    write_dataset(sea(), path)
    with pytest.raises(DataError, match="exists already; say --overwrite"):
        write_dataset(sea(days=2), path)
    write_dataset(sea(days=2), path, overwrite=True)
    assert load_dataset(path).sizes["time"] == 2
    assert os.listdir(tmp_path) == [path.name]


def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path: Path) -> None:
    """A kind that is not known, a folder that is not there, and the input itself."""
    there = tmp_path / "a.nc"
    there.touch()
    link = tmp_path / "b.nc"
    link.symlink_to(there)
    for path, text in (
        (tmp_path / "a.csv", "a file of which kind?"),
        (tmp_path / "a", r"End its name in .nc or .zarr"),
        (tmp_path / "nowhere" / "a.nc", "there is no folder .*nowhere; create it first"),
        (there, "output and input are the same"),
        (link, "output and input are the same"),
    ):
        with pytest.raises(DataError, match=text):
            check_output(path, [there], overwrite=True)
    check_output(tmp_path / "new.zarr", [there], overwrite=False)


def test_a_folder_that_may_not_be_written_is_refused() -> None:
    """Before any work is done."""
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o555)
        said = as_nobody(lambda: check_output(closed / "a.nc", [], overwrite=False))
    assert said.startswith("DataError")
    assert "not permitted to write" in said


def test_a_file_that_may_not_be_read_is_refused() -> None:
    """It is named, with what is in the way."""
    with open_folder() as folder:
        path = folder / "secret.nc"
        write_dataset(sea(), path)
        path.chmod(0o200)
        said = as_nobody(lambda: load_dataset(path))
    assert said.startswith("DataError")
    assert "not permitted to read" in said


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Missing, of another kind, cut short, a folder, or no match: each message names the file."""
    whole = tmp_path / "whole.nc"
    write_dataset(sea(days=400), whole)
    text, cut, head = (tmp_path / n for n in ("text.nc", "cut.nc", "head.nc"))
    text.write_text("time,sst\n1,2\n")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    head.write_bytes(whole.read_bytes()[:100])
    folder, empty = tmp_path / "folder", tmp_path / "empty.zarr"
    folder.mkdir()
    empty.mkdir()
    for path, expected in (
        (tmp_path / "none.nc", "none.nc: no such file; give the path"),
        (text, "text.nc: not a NetCDF file or Zarr store that can be read"),
        (head, "head.nc: not a NetCDF file"),
        (folder, "folder: a folder that is no Zarr store; a store's name ends in .zarr"),
        (empty, "empty.zarr: not a NetCDF file or Zarr store"),
        (tmp_path / "x*.nc", r"x\*.nc: no file matches; check the pattern"),
    ):
        with pytest.raises(DataError, match=expected) as raised:
            open_dataset(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match=r"cut\.nc"):
        load_dataset(cut)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_are_joined_along_a_coordinate(tmp_path: Path, suffix: str) -> None:
    """A glob, or a list in any order, is one data set."""
    whole = sea(days=9)
    for k, first in enumerate((0, 3, 6)):
        write_dataset(whole.isel(time=slice(first, first + 3)), tmp_path / f"part{k}{suffix}")
    expected = written(whole, tmp_path / f"whole{suffix}")
    listed = [tmp_path / f"part{k}{suffix}" for k in (2, 0, 1)]
    for paths in (tmp_path / f"part*{suffix}", listed, [tmp_path / f"part[01]{suffix}", listed[0]]):
        xr.testing.assert_equal(load_dataset(paths), expected)
        assert load_dataset(paths).attrs == expected.attrs


@pytest.mark.parametrize(
    "others",
    [
        [sea()],
        [sea(start="2001-01-03")],
        [sea(start="2001-02-01").assign_coords(lat=[5.0, 6.0, 7.0])],
        [sea(start="2001-02-01", calendar="noleap")],
    ],
)
def test_files_that_do_not_follow_each_other_are_refused(tmp_path: Path, others: list[xr.Dataset]) -> None:
    """The same times twice, times that overlap, another grid, another calendar."""
    for k, ds in enumerate([sea(), *others]):
        write_dataset(ds, tmp_path / f"{k}.nc")
    with pytest.raises(DataError, match="the 2 files do not join to one data set"):
        load_dataset(tmp_path / "*.nc")


def test_names_with_no_pattern_are_files() -> None:
    """They are looked for when they are opened."""
    assert files_of(["b.nc", Path("a.nc")]) == ["b.nc", "a.nc"]


def test_history_grows_at_the_top() -> None:
    """The newest line first, each with its time; the data set given is not changed."""
    ds = xr.Dataset(attrs={"history": "made"})
    twice = add_history(add_history(ds, "hidden"), "interpolated")
    lines = twice.attrs["history"].split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(f"{stamp} interpolated", lines[0])
    assert re.fullmatch(f"{stamp} hidden", lines[1])
    assert lines[2:] == ["made"]
    assert ds.attrs["history"] == "made"
    assert "\n" not in add_history(xr.Dataset(), "hidden").attrs["history"]
