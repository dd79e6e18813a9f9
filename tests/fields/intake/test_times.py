"""Decoding of times, order, and steps that are absent."""

from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.files.store import load_dataset, write_dataset
from da4dvar.fields.intake.times import decoded_times, regular_times


def series(times: Any, attrs: Any = None, **variables: Any) -> xr.Dataset:
    return xr.Dataset(
        {"x": ("time", np.arange(len(times), dtype=float)), **variables},
        {"time": ("time", times, attrs or {})},
    )


def dates(ds: xr.Dataset) -> list[str]:
    return [str(t)[:16].replace("T", " ") for t in ds.time.values]


DAYS = ["2020-02-28 00:00", "2020-02-29 00:00", "2020-03-01 00:00"]


@pytest.mark.parametrize(
    ("times", "attrs"),
    [
        (["2020-02-28", "2020-02-29", "2020-03-01"], {}),
        (["2020-02-28T00:00:00Z", "2020-02-29T00:00:00Z", "2020-03-01T00:00:00Z"], {}),
        (np.array(["2020-02-28_00:00:00", "2020-02-29_00:00:00", "2020-03-01_00:00:00"], "S"), {}),
        (["20200228", "20200229", "20200301"], {}),
        (np.array([b"2020-02-28", b"2020-02-29", b"2020-03-01"], object), {}),
        ([20200228, 20200229, 20200301], {}),
        ([20200228.0, 20200229.0, 20200301.0], {"units": "day as %Y%m%d.%f"}),
        ([2020059, 2020060, 2020061], {}),
        ([2020022800, 2020022900, 2020030100], {}),
        ([737849.0, 737850.0, 737851.0], {}),
        ([737849.0, 737850.0, 737851.0], {"units": "days since 0000-01-00"}),
        ([737848.0, 737849.0, 737850.0], {"units": "days since 0000-01-01"}),
        ([2458907.5, 2458908.5, 2458909.5], {"units": "Julian days"}),
        (np.array([1582848000, 1582934400, 1583020800]), {}),
        (2020 + (np.array([58, 59, 60]) / 366), {"units": "decimal year"}),
        (2020 + (np.array([58, 59, 60]) / 366), {}),
        ([58, 59, 60], {"units": "days since 2020-01-01"}),
    ],
    ids=str,
)
def test_decoded(times: Any, attrs: Any) -> None:
    """Each form of the same three days becomes dates, with one line."""
    out, notes = decoded_times(series(times, attrs), "time")
    assert dates(out) == DAYS
    assert out.time.dtype.kind == "M"
    assert not {"units", "calendar"} & set(out.time.attrs)
    assert len(notes) == 1
    assert "from 2020-02-28 to 2020-03-01" in notes[0]


@pytest.mark.parametrize(
    ("times", "attrs", "expected"),
    [
        ([202001, 202002, 202004], {}, ["2020-01-01", "2020-02-01", "2020-04-01"]),
        (["2020-01", "2020-02"], {}, ["2020-01-01", "2020-02-01"]),
        ([0, 1, 13], {"units": "months since 2020-01-31"}, None),
        ([0, 1, 13], {"units": "months since 2020-01-15"}, ["2020-01-15", "2020-02-15", "2021-02-15"]),
        ([0.5, 1.5], {"units": "months since 2020-01-01"}, ["2020-01-16", "2020-02-15"]),
        ([0, 2.0], {"units": "years since 2020-03-01"}, ["2020-03-01", "2022-03-01"]),
        ([20200101.25, 20200102.75], {}, ["2020-01-01", "2020-01-02"]),
        ([2020.5, 2021.5], {"units": "year"}, ["2020-07-02", "2021-07-02"]),
    ],
    ids=str,
)
def test_decoded_months_and_years(times: Any, attrs: Any, expected: Any) -> None:
    """Months and years follow the calendar; fractions are parts of a month, a year or a day."""
    out, _ = decoded_times(series(times, attrs), "time")
    if expected is None:
        assert (np.diff(out.time.values) > np.timedelta64(0)).all()
    else:
        assert [d[:10] for d in dates(out)] == expected


def test_other_calendars_are_kept() -> None:
    """Months of a year of 360 days are dates of that calendar, and bounds are decoded with them."""
    ds = series([480.5, 481.5], {"units": "months since 1960-01-01", "calendar": "360", "bounds": "tb"})
    ds["tb"] = (("time", "nv"), [[480.0, 481.0], [481.0, 482.0]])
    out, _ = decoded_times(ds, "time")
    assert list(out.time.values) == [cftime.Datetime360Day(2000, m, 16) for m in (1, 2)]
    assert out.tb.values[1, 1] == cftime.Datetime360Day(2000, 3, 1)
    out, _ = decoded_times(series([0, 1], {"units": "years since 1948-1-1", "calendar": "noleap"}), "time")
    assert out.time.values[1] == cftime.DatetimeNoLeap(1949, 1, 1)


@pytest.mark.parametrize(
    "times",
    [[0.0, 1.0, 2.0], [1976, 1977, 1978], [190013, 190014, 190015], [43831.0, 43832.0], [0.1, 0.2]],
    ids=str,
)
def test_numbers_that_are_no_dates(times: Any) -> None:
    """Counts, whole years and what is no date stay numbers."""
    ds = series(times)
    out, notes = decoded_times(ds, "time")
    xr.testing.assert_identical(out, ds)
    assert not notes


@pytest.mark.parametrize(
    ("times", "attrs", "words"),
    [
        (["01/02/2020", "02/02/2020"], {}, "'01/02/2020'"),
        (["2021-02-30", "2021-03-01"], {}, "2021-02-30"),
        ([1.0, 2.0], {"units": "fortnights since 2000-01-01"}, "fortnights since 2000-01-01"),
        ([1.0, 2.0], {"units": "days since yesterday"}, "days since yesterday"),
    ],
    ids=str,
)
def test_refused(times: Any, attrs: Any, words: str) -> None:
    """Times that are dates of an unknown form are refused in one line that quotes them."""
    with pytest.raises(DataError, match=words) as error:
        decoded_times(series(times, attrs), "time")
    assert "\n" not in str(error.value)
    assert "CF units" in str(error.value)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_times_that_were_never_written_are_no_times(dtype: str, tmp_path: Path) -> None:
    """A logger makes room for ten hours and writes seven: the library's own fill value is no date."""
    with netCDF4.Dataset(tmp_path / "hours.nc", "w") as file:
        file.createDimension("time", 10)
        time = file.createVariable("time", dtype, ("time",))
        time.units = "hours since 2001-01-01"
        time[:7] = np.arange(7)
        file.createVariable("x", "f4", ("time",))[:] = np.arange(10.0)
    found, notes = decoded_times(load_dataset(tmp_path / "hours.nc"), "time")
    assert found.time.isnull().values.tolist() == [False] * 7 + [True] * 3
    assert found.time.values[6] == np.datetime64("2001-01-01T06")
    assert notes[0].endswith("from 2001-01-01 to 2001-01-01 06:00:00")
    never, _ = decoded_times(load_dataset(tmp_path / "hours.nc").isel(time=slice(7, None)), "time")
    with pytest.raises(DataError, match="'time' has no time at 3 of 3 entries"):
        regular_times(never, "time")


def test_times_of_a_precision_that_netcdf_lacks_are_taken_as_they_are() -> None:
    """The library has no fill value for them."""
    ds = series(np.arange(3, dtype="f2"), {"units": "days since 2001-01-01"})
    assert dates(decoded_times(ds, "time")[0])[2].startswith("2001-01-03")


def test_units_that_xarray_does_not_know_can_be_opened(tmp_path: Path) -> None:
    """A file with months as units is read; its other times are decoded by xarray."""
    ds = series([0, 1, 2], {"units": "months since 1979-01-01"})
    ds["issued"] = ("time", [0, 1, 2], {"units": "days since 2000-01-01"})
    ds.to_netcdf(tmp_path / "a.nc")
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    for name in ("a.nc", "a.zarr"):
        read = load_dataset(tmp_path / name)
        assert read.issued.dtype.kind == "M"
        assert dates(decoded_times(read, "time")[0])[1].startswith("1979-02-01")


def test_absent_steps_are_inserted() -> None:
    """Absent hours become gaps; observed values keep their times, and a line says how many and where."""
    hours = pd.date_range("2020-01-01", periods=100, freq="h")
    kept = np.setdiff1d(np.arange(100), [*range(20, 40), 70])
    ds = series(hours).isel(time=kept)
    out, notes = regular_times(ds, "time")
    xr.testing.assert_identical(out.isel(time=kept), ds)
    assert dates(out) == dates(series(hours))
    assert int(out.x.isnull().sum()) == 21
    assert notes[0].startswith(
        "21 steps of 1 hour are absent from 'time' and are inserted as gaps (in 2 places"
    )
    assert "2020-01-01 20:00:00 to 2020-01-02 15:00:00" in notes[0]
    kept_as_is, notes = regular_times(ds, "time", "keep")
    xr.testing.assert_identical(kept_as_is, ds)
    assert not notes
    backwards, _ = regular_times(ds.isel(time=slice(None, None, -1)), "time")
    xr.testing.assert_identical(backwards.isel(time=slice(None, None, -1)), out)


@pytest.mark.parametrize(
    "axis",
    [
        pd.date_range("2012-01-16", periods=48, freq="MS"),
        pd.date_range("2012-01-31", periods=48, freq="ME"),
        pd.date_range("2012-01-01", periods=48, freq="MS") + pd.Timedelta(days=14),
        pd.date_range("2012-01-01", periods=48, freq="QS"),
        pd.date_range("1950-01-01", periods=48, freq="YS"),
        pd.date_range("2012-01-01", periods=48, freq="6h"),
        pd.date_range("2012-01-01", periods=48, freq="W"),
        xr.date_range("2012-01-16", periods=48, freq="MS", calendar="noleap", use_cftime=True),
        xr.date_range("2012-02-28", periods=48, freq="D", calendar="360_day", use_cftime=True),
        xr.date_range("0012-01-01", periods=48, freq="6h", calendar="standard", use_cftime=True),
        np.arange(1950, 1998),
        np.arange(48) * 0.1,
        -np.arange(48.0),
    ],
    ids=lambda axis: f"{axis[0]}, {axis[1]}",
)
def test_inserted_times_are_those_that_were_taken_out(axis: Any) -> None:
    """Months, quarters, years and steps of any calendar are inserted where they belong."""
    ds = series(axis)
    out, notes = regular_times(ds.isel(time=[*range(10), *range(13, 30), *range(31, 48)]), "time")
    assert len(notes) == 1
    if ds.time.dtype.kind == "f":
        np.testing.assert_allclose(out.time, ds.time)
    else:
        np.testing.assert_array_equal(out.time.values, ds.time.values)
    assert out.time.dtype == ds.time.dtype


def test_jitter_does_not_hide_a_hole() -> None:
    """Times that deviate a little keep their values, and holes are found among them."""
    rng = np.random.default_rng(1)
    minutes = np.arange(200) * 10 + rng.integers(-1, 2, 200)
    ds = series(pd.Timestamp("2020-01-01") + pd.to_timedelta(minutes, "min"))
    kept = np.setdiff1d(np.arange(200), [50, 51, 120])
    out, _ = regular_times(ds.isel(time=kept), "time")
    assert out.sizes["time"] == 200
    xr.testing.assert_identical(out.isel(time=kept), ds.isel(time=kept))


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (
            pd.date_range("2000-01-01", "2003-12-31")
            .to_series()
            .loc[lambda s: s.dt.month.isin([5, 6, 7, 8, 9, 10])],
            "seasons",
        ),
        (pd.date_range("2000-01-01", periods=400).delete(range(10, 350)), "more than there are"),
        (
            pd.date_range("2000-01-01", "2005-12-31")
            .to_series()
            .loc[lambda s: ~((s.dt.month == 2) & (s.dt.day == 29))],
            "29 February",
        ),
        (pd.to_datetime(np.cumsum(np.random.default_rng(3).exponential(1e5, 60)), unit="s"), "uneven"),
    ],
    ids=["seasons", "few", "leap", "uneven"],
)
def test_not_inserted(axis: Any, words: str) -> None:
    """Seasons, mostly empty axes, leap days of another calendar and uneven axes are left, with a line."""
    ds = series(np.asarray(axis, "M8[ns]"))
    out, notes = regular_times(ds, "time")
    xr.testing.assert_identical(out, ds)
    assert len(notes) == 1
    assert words in notes[0]


def test_regular_axes_are_left_in_silence() -> None:
    """Regular axes, also of single-precision days, months and a year of 360 days, give no line."""
    hours = (43099 + np.arange(500) / 24).astype("f4").astype("f8")
    for axis in (
        pd.Timestamp("1900-01-01") + pd.to_timedelta(hours, "D"),
        pd.date_range("2000-01-31", periods=30, freq="ME"),
        [3.0, 4.0, 5.0],
        xr.date_range("2000-01-01", periods=30, freq="MS", calendar="360_day", use_cftime=True),
        ["a", "b", "c"],
    ):
        ds = series(axis)
        out, notes = regular_times(ds, "time")
        xr.testing.assert_identical(out, ds)
        assert not notes


def test_other_variables_at_inserted_steps(tmp_path: Path) -> None:
    """Integers, text and bounds keep their types; the fill value of integers is declared in the output."""
    days = pd.date_range("2020-01-01", periods=6)
    ds = series(
        days,
        {"bounds": "time_bnds"},
        flag=("time", np.arange(6, dtype="i1"), {"flag_values": np.arange(6, dtype="i1")}),
        station=("time", list("abcdef")),
        good=("time", np.ones(6, bool)),
        time_bnds=(("time", "nv"), np.stack([days, days + pd.Timedelta(days=1)], 1)),
        fixed=("y", [1, 2]),
    ).isel(time=[0, 1, 2, 4, 5])
    ds["time"].encoding["units"] = "days since 2020-01-01"
    out, _ = regular_times(ds, "time")
    assert out.flag.dtype == "int8"
    assert out.station.values.tolist() == ["a", "b", "c", "", "e", "f"]
    assert out.good.dtype == bool
    assert out.time_bnds.values[3].astype("M8[D]").tolist() == [d.date() for d in days[3:5]]
    xr.testing.assert_identical(out.fixed, ds.fixed)
    write_dataset(out, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as read:
        assert read.flag.isnull().values.tolist() == [False, False, False, True, False, False]


def test_disorder_and_duplicates_are_refused() -> None:
    """One line says what is wrong, where, and how to mend it; a missing time has a line of its own."""
    days = pd.date_range("2020-01-01", periods=10)
    for order, words in (
        ([*range(6), 3, 4, 5, 6, 7, 8, 9], "goes back once, first at index 6 .2020-01-04."),
        ([0, 1, 1, 1, 2, 3], "repeats itself 2 times, first at index 2"),
    ):
        for times in ("insert", "keep"):
            with pytest.raises(DataError, match=f"'time' {words}.*--times sort"):
                regular_times(series(days).isel(time=order), "time", times)
    ds = series(days.insert(3, pd.NaT))
    with pytest.raises(DataError, match="no time at 1 of 11 entries, first at index 3"):
        regular_times(ds, "time")
    out, notes = regular_times(ds, "time", "sort")
    assert out.sizes["time"] == 10
    assert "1 of 11 entries of 'time' have no time" in notes[0]
    with pytest.raises(DataError, match="expected 'insert', 'keep' or 'sort'"):
        regular_times(ds, "time", "drop")


@pytest.mark.parametrize("chunks", [None, 2])
def test_sorted(chunks: int | None) -> None:
    """Sorting merges duplicates: the first observed value is kept, and conflicts are counted."""
    days = pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02", "2020-01-03", "2020-01-02"])
    ds = xr.Dataset(
        {
            "x": (("time", "y"), [[np.nan, 2.0], [0, 1], [5, 6], [7, np.nan], [9, 9]]),
            "n": ("time", np.arange(5)),
        },
        {"time": days},
    )
    out, notes = regular_times(ds if chunks is None else ds.chunk(time=chunks), "time", "sort")
    assert dates(out) == [f"2020-01-0{d} 00:00" for d in (1, 2, 3)]
    np.testing.assert_array_equal(out.x, [[0, 1], [5, 2], [7, np.nan]])
    assert out.n.values.tolist() == [1, 0, 3]
    assert "goes back 2 times and is sorted" in notes[0]
    assert "repeats itself 2 times" in notes[1]
    assert ("at 1 times the values differ" in notes[1]) == (chunks is None)


def test_lazy_data_stay_lazy() -> None:
    """Insertion in dask data does not compute them."""
    ds = series(pd.date_range("2020-01-01", periods=9).delete(4)).chunk(time=3)
    out, _ = regular_times(ds, "time")
    assert out.x.chunks is not None
    assert out.x.isnull().values.tolist() == [k == 4 for k in range(9)]


def test_inserted_steps_of_bytes_are_bytes():
    """Character arrays with a fill value are objects of bytes, which cannot be written next to text."""
    days = xr.date_range("2001-01-01", periods=6)[[0, 1, 2, 5]]
    states = np.array([b"on"] * 4, dtype=object)
    ds = xr.Dataset({"x": ("time", np.ones(4)), "state": ("time", states)}, {"time": days})
    assert {type(v) for v in regular_times(ds, "time")[0].state.values} == {bytes}


def test_values_stay_at_times_between_microseconds():
    """As float seconds or days are decoded: labels that are off by a nanosecond would lose the values."""
    times = (np.arange(20) * np.timedelta64(3600 * 10**9 + 3, "ns") + np.datetime64("2015-01-01", "ns"))[
        [*range(8), *range(11, 20)]
    ]
    ds = xr.Dataset({"x": ("time", np.arange(17.0))}, {"time": times})
    out, _ = regular_times(ds, "time")
    assert out.sizes["time"] == 20
    xr.testing.assert_identical(out.sel(time=times), ds)
