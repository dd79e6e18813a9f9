"""Tests of the reading of points: every geometry of the CF conventions, tables, and CSV files."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.points import Points, from_csv, from_dataset, from_frame

NAN = np.nan
DAYS = np.array(["2020-01-01", "2020-01-02", "2020-01-05"], "M8[ns]")
# Two platforms with two and three values: what all geometries below hold.
VALUE = np.array([1.0, 2.0, 10.0, 20.0, 30.0])
TIME = DAYS[[0, 1, 0, 1, 2]]
LAT, LON = np.array([40.0, 40.0, 41.0, 41.0, 41.0]), np.array([5.0, 5.0, 6.0, 6.0, 6.0])
NAMES = np.array(["A", "A", "B", "B", "B"])
PLACE = {"lat": ("station", [40.0, 41.0]), "lon": ("station", [5.0, 6.0])}
STATION = {"station": ("station", ["A", "B"], {"cf_role": "timeseries_id"})}


def contiguous() -> xr.Dataset:
    """A contiguous ragged array."""
    counts = {"row_size": ("station", [2, 3], {"sample_dimension": "obs"})}
    return xr.Dataset({"sst": ("obs", VALUE)} | counts, {"time": ("obs", TIME)} | PLACE | STATION)


def indexed() -> xr.Dataset:
    """An indexed ragged array, whose samples are in the order of their times."""
    order = np.argsort(TIME, kind="stable")
    index = {"which": ("obs", (NAMES[order] == "B").astype("int32"), {"instance_dimension": "station"})}
    return xr.Dataset(
        {"sst": ("obs", VALUE[order])} | index, {"time": ("obs", TIME[order])} | PLACE | STATION
    )


def padded() -> xr.Dataset:
    """An incomplete multidimensional array, padded with NaN and NaT."""
    nat = np.datetime64("NaT")
    times = np.array([[DAYS[0], DAYS[1], nat], DAYS])
    values = [[1.0, 2.0, NAN], [10.0, 20.0, 30.0]]
    coords = {"time": (("station", "obs"), times)} | PLACE | STATION
    return xr.Dataset({"sst": (("station", "obs"), values)}, coords)


def orthogonal() -> xr.Dataset:
    """Stations with the same times."""
    values = [[1.0, 2.0, NAN], [10.0, 20.0, 30.0]]
    return xr.Dataset({"sst": (("station", "time"), values)}, {"time": DAYS} | PLACE | STATION)


def trajectory() -> xr.Dataset:
    """Points with a place each and a platform each, as CF's feature type `point` has them."""
    coords = {"time": TIME, "lat": LAT, "lon": LON, "platform": NAMES}
    return xr.Dataset({"sst": ("obs", VALUE)}, {n: ("obs", c) for n, c in coords.items()})


def as_records(points: Points) -> list[tuple]:
    """The points in a fixed order."""
    return sorted(zip(points.platform, points.time, points.lat, points.lon, points.value, strict=True))


@pytest.mark.parametrize("make", [contiguous, indexed, padded, orthogonal, trajectory])
def test_every_geometry_holds_the_same_points(make):
    """Ragged and padded arrays, stations and single points; the file on the disk as well as the data set."""
    expected = sorted(zip(NAMES, TIME, LAT, LON, VALUE, strict=True))
    assert as_records(from_dataset(make())["sst"]) == expected


def test_points_are_written_as_a_geometry_that_is_read():
    """The round trip of everything that points have."""
    points = from_dataset(trajectory())["sst"]
    whole = Points(**vars(points) | {"error": VALUE / 10, "depth": LAT - 40, "attrs": {"units": "K"}})
    again = from_dataset(whole.to_dataset())["sst"]
    for name, column in whole.columns().items():
        np.testing.assert_array_equal(again.columns()[name], column)
    assert again.attrs["units"] == "K"


def test_profiles_of_trajectories():
    """Ragged profiles, each of a trajectory: both indices are followed."""
    ds = xr.Dataset(
        {
            "temp": ("obs", [1.0, 2.0, 3.0, 4.0]),
            "levels": ("profile", [1, 2, 1], {"sample_dimension": "obs"}),
            "of": ("profile", [1, 0, 1], {"instance_dimension": "trajectory"}),
        },
        {
            "z": ("obs", [5.0, 5.0, 10.0, 5.0], {"axis": "Z", "units": "m"}),
            "time": ("profile", DAYS),
            "lat": ("profile", [40.0, 41.0, 42.0]),
            "lon": ("profile", [5.0, 6.0, 7.0]),
            "trajectory": ("trajectory", ["one", "two"], {"cf_role": "trajectory_id"}),
        },
    )
    points = from_dataset(ds)["temp"]
    assert points.platform.tolist() == ["two", "one", "one", "two"]
    assert points.lat.tolist() == [40.0, 41.0, 41.0, 42.0]
    assert points.depth.tolist() == [5.0, 5.0, 10.0, 5.0]


def test_ragged_arrays_with_wrong_counts_are_refused():
    """Counts that do not add up, and indices of instances that are not there."""
    ds = contiguous()
    ds["row_size"] = ds.row_size.copy(data=[2, 2])
    with pytest.raises(DataError, match="'row_size' has 4 samples of 2 instances, expected 5 along 'obs'"):
        from_dataset(ds)
    ds = indexed()
    ds["which"] = ds.which.copy(data=[0, 1, 2, 0, 0])
    with pytest.raises(DataError, match="check its counts or indices"):
        from_dataset(ds)


def test_errors_are_found_and_converted():
    """By name, by CF's ancillary variables, and in the units of the variable."""
    ds = trajectory()
    ds["sst"].attrs["units"] = "m"
    ds["sst_error"] = ("obs", VALUE, {"units": "cm"})
    np.testing.assert_allclose(from_dataset(ds)["sst"].error, VALUE / 100)
    stated = ds.rename(sst_error="e").assign_coords()
    stated["e"].attrs["standard_name"] = "sea_surface_temperature standard_error"
    stated["sst"].attrs["ancillary_variables"] = "e"
    np.testing.assert_allclose(from_dataset(stated, "sst")["sst"].error, VALUE / 100)


def test_values_without_a_place_and_units_that_do_not_fit():
    """The former are counted, infinite values and other units are refused."""
    ds = trajectory()
    ds["lat"] = ds.lat.where(ds.lon > 5)
    said = []
    assert len(from_dataset(ds, say=said.append)["sst"]) == 3
    assert said == ["sst: 2 of 5 values have no time or no place and are left out"]
    ds["sst"].attrs["units"] = "K"
    ds["sst_error"] = ("obs", VALUE, {"units": "m"})
    with pytest.raises(DataError, match="the error of 'sst' is in m, which cannot be converted to K"):
        from_dataset(ds, say=said.append)
    ds["sst"] = ds.sst.copy(data=[1.0, np.inf, 2.0, 3.0, 4.0])
    with pytest.raises(DataError, match="infinite"):
        from_dataset(ds, say=said.append)


def test_quality_flags_and_fill_values_are_gaps():
    """By the functions that read grids: a condition on flags, and an undeclared -999."""
    ds = trajectory()
    ds["sst_qc"] = ("obs", [1, 4, 1, 1, 1])
    assert from_dataset(ds, mask="sst_qc==1")["sst"].value.tolist() == [1.0, 10.0, 20.0, 30.0]
    ds["sst"] = ds.sst.copy(data=[1.0, -999.0, -999.0, 20.0, 30.0])
    said = []
    assert from_dataset(ds, say=said.append)["sst"].value.tolist() == [1.0, 20.0, 30.0]
    assert "2 values of -999 lie apart" in said[0]


def test_columns_are_recognised():
    """Names in any case, units in brackets, dates as text with a time zone, gaps."""
    frame = pd.DataFrame(
        {
            "Date": ["2020-01-01T00:00Z", "2020-01-02T00:00Z", "2020-01-05T00:00Z"],
            "LATITUDE": [40.0, 41.0, 42.0],
            "Longitude": [5.0, 6.0, 7.0],
            "sla [cm]": [1.0, NAN, 3.0],
            "Error (cm)": [0.1, 0.1, 0.2],
            "Satellite": ["j1", "j1", "en"],
        }
    )
    points = from_frame(frame)["sla"]
    assert points.time.tolist() == DAYS[[0, 2]].tolist()
    assert (points.lat.tolist(), points.error.tolist()) == ([40.0, 42.0], [0.1, 0.2])
    assert (points.platform.tolist(), points.attrs["units"]) == (["j1", "en"], "cm")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_files(tmp_path, separator):
    """Separators, comments, and ERDDAP's line of units."""
    lines = ["# from a ship", "time,latitude,longitude,sst", "UTC,degrees_north,degrees_east,degC"]
    rows = ["2020-01-01T00:00:00Z,40,5,10.5", "2020-01-02T00:00:00Z,41,6,11.5"]
    path = tmp_path / "ship.csv"
    path.write_text("\n".join([*lines, *rows]).replace(",", separator))
    points = from_csv(path)["sst"]
    assert points.time.tolist() == DAYS[:2].tolist()
    assert (points.value.tolist(), points.attrs["units"]) == ([10.5, 11.5], "degC")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("time,lat,value", "there is no column 'lon' .there are: time, lat, value.; expected time, lat, lon"),
        ("time,value", "there is no column 'lat' and no column 'lon'"),
        ("time,lat,lon", "there is no variable of measurements"),
    ],
)
def test_missing_columns_are_named(tmp_path, columns, message):
    """In one line, with the columns that are there."""
    path = tmp_path / "x.csv"
    path.write_text(columns + "\n" + ",".join("1" for _ in columns.split(",")) + "\n")
    with pytest.raises(DataError, match=message):
        from_csv(path)


def test_what_is_no_table_is_refused(tmp_path):
    """An empty file, text in place of numbers or dates, and a table without rows."""
    path = tmp_path / "x.csv"
    for text, message in (
        ("", "not a readable CSV file"),
        ("time,lat,lon,v\n", "has no rows"),
        ("time,lat,lon,v\n2020-01-01,north,5,1\n", "column 'lat': expected numbers"),
        ("time,lat,lon,v\nsoon,40,5,1\n", "expected dates such as 2020-01-31"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            from_csv(path)


def test_a_variable_without_a_place_is_refused():
    """A latitude without a longitude is no place."""
    ds = trajectory().drop_vars("lon")
    with pytest.raises(DataError, match="'sst' has no position: expected a latitude and a longitude"):
        from_dataset(ds)


def test_tracks_are_what_is_hidden_together():
    """Passes of a satellite are parted by the time between them; a mooring is one, whatever its gaps."""
    minutes = np.concatenate([np.arange(5), 100 + np.arange(5), 5000 + np.arange(4)])
    time = DAYS[0] + minutes.astype("m8[m]")
    lat = np.concatenate([np.linspace(30, 40, 5), np.linspace(40, 30, 5), np.full(4, 35.0)])
    names = np.array(["satellite"] * 10 + ["mooring"] * 4)
    points = Points("x", np.ones(14), time=time, lat=lat, lon=np.zeros(14), platform=names)
    tracks = points.tracks()
    assert len({*tracks[:5]}) == len({*tracks[5:10]}) == len({*tracks[10:]}) == 1
    assert len({*tracks}) == 3
    order = np.random.default_rng(0).permutation(14)
    mixed = points.isel(order).tracks()
    assert all(
        (mixed[a] == mixed[b]) == (tracks[order[a]] == tracks[order[b]]) for a in range(14) for b in range(14)
    )


def test_tracks_without_platforms():
    """Cells in a row on the same day are a track; random places are on their own."""
    rows = np.arange(10) * 0.1
    lat, lon = np.concatenate([rows, rows]), np.concatenate([rows, 3 + rows])
    day = Points("x", np.ones(40), time=np.repeat(DAYS[:2], 20), lat=np.tile(lat, 2), lon=np.tile(lon, 2))
    assert len({*day.tracks()}) == 4
    generator = np.random.default_rng(0)
    alone = Points("x", np.ones(50), lat=generator.uniform(0, 1, 50), lon=generator.uniform(0, 1, 50))
    assert np.bincount(alone.tracks()).max() < 15
