"""Tests of `da4dvar interpolate` on points: maps of NetCDF and CSV files, and bad input in one line."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from casts import casts
from door import ran, refused


@pytest.fixture
def points(tmp_path):
    """A folder with tracks.nc, tracks.csv and like.nc."""
    generator = np.random.default_rng(0)
    rows = []
    for k in range(12):
        along = np.linspace(0, 1, 12)
        time = pd.Timestamp("2020-01-01T06:00") + pd.Timedelta("12h") * k + pd.to_timedelta(along, "min")
        lat, lon = 40 + 3 * along, generator.uniform(1, 3) + along - 0.5
        value = np.sin(lat + 0.2 * k) + np.cos(lon) + 0.02 * generator.standard_normal(12)
        names = np.full(12, f"sat{k % 2}")
        rows.append(pd.DataFrame({"time": time, "lat": lat, "lon": lon, "sla": value, "platform": names}))
    frame = pd.concat(rows, ignore_index=True)
    frame.to_csv(tmp_path / "tracks.csv", index=False)
    ds = xr.Dataset({"sla": ("obs", frame.sla, {"units": "m"})}, attrs={"featureType": "trajectory"})
    coords = {n: ("obs", frame[n].to_numpy()) for n in ("time", "lat", "lon")}
    coords["platform"] = ("obs", frame.platform.to_numpy(dtype=str), {"cf_role": "trajectory_id"})
    ds.assign_coords(coords).to_netcdf(tmp_path / "tracks.nc")
    days = pd.date_range("2020-01-01T12:00", periods=6)
    grid = {"time": days, "lat": np.arange(40.5, 43), "lon": [1.0, 2.0, 3.0]}
    shape = [len(c) for c in grid.values()]
    xr.Dataset({"sla": (tuple(grid), np.ones(shape))}, grid).to_netcdf(tmp_path / "like.nc")
    return tmp_path


FAST = ("--minutes", "0.02", "--method", "neighbours")


def test_tracks_are_mapped(points):
    """To a resolution and to the grid of a file, from NetCDF and CSV; the scores are printed."""
    said = ran("interpolate", "tracks.nc", "map.nc", "--resolution", "1", "--std", *FAST, cwd=points)
    assert said.out.startswith("sla: filled by neighbours; expect an error of ")
    assert "note: times of the map: every 1D from 2020-01-01 to 2020-01-06" in said.err
    assert "wrote map.nc, mapped: sla by neighbours" in said.err
    with xr.open_dataset(points / "map.nc") as out:
        assert set(out.data_vars) == {"sla", "sla_flag", "sla_std"}
        assert "da4dvar interpolate tracks.nc map.nc --resolution 1" in out.history
        assert out.sla.units == "m"
    said = ran("interpolate", "tracks.csv", "m.zarr", "--grid", "like.nc", "--json", *FAST, cwd=points)
    assert json.loads(said.out)["filled_by"] == {"sla": "neighbours"}
    assert xr.open_zarr(points / "m.zarr", consolidated=False).sla.shape == (6, 3, 3)


def test_maps_have_samples(points):
    """Labelled as those of grids, written draw by draw, the same for a seed; their means have intervals."""
    options = ("--resolution", "1", "--every", "1D", "--samples", "20", "--seed", "3", *FAST)
    said = ran("interpolate", "tracks.nc", "map.nc", *options, cwd=points)
    assert "wrote map.nc, mapped: sla by neighbours" in said.err
    ran("interpolate", "tracks.nc", "again.zarr", *options, cwd=points)
    with xr.open_dataset(points / "map.nc") as out:
        assert set(out.data_vars) == {"sla", "sla_flag", "sla_samples"}
        assert out.sla_samples.dims == ("realization", *out.sla.dims)
        assert (out.sla_samples.units, out.realization.standard_name) == ("m", "realization")
        assert out.sla_samples.dtype == out.sla.dtype
        assert out.sla_samples.notnull().all()
        again = xr.open_zarr(points / "again.zarr", consolidated=False)
        assert (again.sla_samples.values == out.sla_samples.values).all()
    ran("aggregate", "map.nc", "mean.nc", "--over", "lat,lon", "--stat", "mean", cwd=points)
    with xr.open_dataset(points / "mean.nc") as mean:
        assert any(str(name).startswith("sla_lower") for name in mean.data_vars)


def test_files_are_platforms(points):
    """Two files without platforms, in different units, with a given error and bias."""
    frame = pd.read_csv(points / "tracks.csv")
    for name, units, factor in (("sat0", "m", 1.0), ("sat1", "cm", 100.0)):
        own = frame[frame.platform == name].drop(columns="platform")
        own = own.assign(sla=own.sla * factor).rename(columns={"sla": f"sla [{units}]"})
        own.to_csv(points / f"{name}.csv", index=False)
    options = ("--resolution", "1", "--every", "2D", "--error", "sat0=0.03", "--bias", "sat1=0.1", *FAST)
    ran("interpolate", "sat0.csv", "sat1.csv", "map.nc", *options, cwd=points)
    with xr.open_dataset(points / "map.nc") as out:
        assert abs(out.sla).max() < 3
        assert out.sla.number_of_points == 144


def changed(points, **columns):
    """Write bad.csv, with other columns."""
    frame = pd.read_csv(points / "tracks.csv")
    for name, values in columns.items():
        frame[name] = values(frame) if callable(values) else values
    frame.to_csv(points / "bad.csv", index=False)


MISTAKES = {
    "tracks.csv out.nc": "tracks.csv: a table of points; give --resolution DEGREES or --grid FILE",
    "tracks.nc out.nc": "the data lie on a track",
    "tracks.nc out.nc --every 1D": "--every is for points; give --resolution DEGREES or --grid FILE as well",
    "tracks.nc out.nc --error 0.1": "--error is for points; give --resolution",
    "tracks.nc out.nc --resolution 0": "--resolution is 0.0, expected a number of degrees above 0",
    "tracks.nc out.nc --resolution 1 --grid like.nc": "give either a grid or a resolution",
    "tracks.nc out.nc --grid like.nc --every 1D": "the grid has times of its own",
    "tracks.nc out.nc --resolution 1 --every never": "--every 'never': expected a duration",
    "tracks.nc out.nc --resolution 1 --error fast": "--error 'fast': expected a number, or PLATFORM=NUMBER",
    "tracks.nc out.nc --resolution 1 --error 0": "error of the points is 0.0, expected more than 0",
    "tracks.nc out.nc --resolution 1 --bias sat9=1": "bias of platform 'sat9'",
    "tracks.nc out.nc --resolution 1 --samples 1": "samples is 1, expected 2 or more",
    "tracks.nc out.nc --resolution 1 --samples -2": "'--samples': Input should be greater than",
    "tracks.nc out.nc --resolution 1 --samples 3 --seed -1": "'--seed': Input should be greater than",
    "tracks.nc out.nc --resolution 1 --every 1D --samples 3 --method binned_linear": "binned_linear has no "
    "samples, as it has no covariance; those with samples are optimal_interpolation, neighbours",
    "tracks.nc out.nc --resolution 1 --every 1D --samples 99999999999": "99999999999 samples need",
    "tracks.nc out.nc --resolution 1 --max-gap 5D": "--max-gap is not for points",
    "tracks.nc out.nc --resolution 1 --method kriging": "--method 'kriging'",
    "tracks.nc tracks.nc --resolution 1": "output and input are the same",
    "tracks.nc out.nc --grid none.nc": "none.nc: no such file",
    "gone.csv out.nc --resolution 1": "gone.csv: no such file",
    "tracks.nc out.nc --resolution 1 --variable sst": "there is no variable 'sst'",
}


LEVELS_MISTAKES = {
    "casts.nc out.nc --levels 0,50": "--levels is for points; give --resolution DEGREES or --grid FILE",
    "casts.nc out.nc --resolution 1 --levels 0,deep": "--levels 0,deep: expected numbers with commas",
    "casts.nc out.nc --resolution 1 --levels 50,0": "--levels 50,0: expected two levels or more",
    "casts.nc out.nc --resolution 1 --levels 0,50,50": "expected two levels or more, in ascending order",
    "casts.nc out.nc --resolution 1 --levels 5000,6000": "none of the 420 points is on the grid",
    "tracks.nc out.nc --resolution 1 --levels 0,50": "--levels 0,50: the points of 'sla' have no depth",
    "casts.nc out.nc --grid like.nc --levels 0,50": "--levels need a resolution",
    "casts.nc out.nc --grid dbar.nc": "the depth of 'temp' is in m, which cannot be converted to dbar",
    "casts.nc out.nc --grid dbar.nc --model oisst-tasman --levels 0,50": "--levels excludes --model",
}


@pytest.fixture
def with_casts(points):
    """The folder with casts.nc as well, and with dbar.nc, a grid with levels in other units."""
    casts(30).to_dataset().to_netcdf(points / "casts.nc")
    levels = {"p": ("p", [0.0, 50.0], {"axis": "Z", "units": "dbar"})}
    xr.Dataset(coords={"lat": [41.0, 43.0], "lon": [1.0, 3.0]} | levels).to_netcdf(points / "dbar.nc")
    return points


@pytest.mark.parametrize("arguments", LEVELS_MISTAKES)
def test_mistakes_with_levels_are_one_line(with_casts, arguments):
    """Exit code 2, and nothing is written."""
    assert LEVELS_MISTAKES[arguments] in refused("interpolate", *arguments.split(), cwd=with_casts)


def test_casts_are_mapped_to_levels(with_casts):
    """From a file of points with depths; the vertical coordinate keeps its attributes."""
    options = ("--resolution", "1", "--every", "10D", "--levels", "0,20,100", "--samples", "2", *FAST)
    said = ran("interpolate", "casts.nc", "map.nc", *options, cwd=with_casts)
    assert "note: temp: 1 m of depth counts as " in said.err
    with xr.open_dataset(with_casts / "map.nc") as out:
        assert out.temp.dims == ("time", "depth", "lat", "lon")
        assert (out.depth.axis, out.depth.positive, out.depth.units) == ("Z", "down", "m")
        assert out.temp_samples.dims == ("realization", *out.temp.dims)
        assert float(out.temp.sel(depth=0).mean()) > 3 + float(out.temp.sel(depth=100).mean())


@pytest.mark.parametrize("arguments", MISTAKES)
def test_mistakes_are_one_line(points, arguments):
    """Exit code 2, and nothing is written."""
    assert MISTAKES[arguments] in refused("interpolate", *arguments.split(), cwd=points)


BAD = {
    "an error of 0": ({"error": 0.0}, "144 of 144 errors are not above 0 (the smallest is 0)"),
    "a place that is none": ({"lat": 99.0}, "no point is left; check the positions"),
    "outside of the grid": ({"lon": 50.0}, "none of the 144 points is on the grid"),
    "outside of the times": ({"time": "1999-01-01"}, "none of the 1"),
    "the same value everywhere": ({"sla": 1.0}, "with a variance of 0"),
    "text in place of values": ({"sla": "wet"}, "there is no variable of measurements"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_points_are_refused(points, case):
    """In one line with exit code 2, and nothing is written."""
    columns, message = BAD[case]
    changed(points, **columns)
    assert message in refused("interpolate", "bad.csv", "out.nc", "--grid", "like.nc", *FAST, cwd=points)


def test_missing_columns_are_refused(points):
    """With those that are there."""
    pd.read_csv(points / "tracks.csv").drop(columns="lon").to_csv(points / "bad.csv", index=False)
    line = refused("interpolate", "bad.csv", "out.nc", "--resolution", "1", cwd=points)
    assert "bad.csv: there is no column 'lon' (there are: time, lat, sla, platform)" in line


REPORTED = {
    "outside": ({"lon": lambda f: f.lon.where(f.index > 5, 50.0)}, "6 of 144 points are outside of the grid"),
    "too late": (
        {"time": lambda f: f.time.where(f.index > 5, "2031-01-01")},
        "points are outside of the grid",
    ),
    "jumps": ({"lat": lambda f: f.lat.where(f.index != 40, 60.0)}, "the trajectory of 'sat1' jumps"),
    "duplicates": (
        {n: lambda f, n=n: f[n].where(f.index != 1, f[n][0]) for n in ("time", "lat", "lon")},
        "1 of 144 points repeat the time, place and platform of another; their values are averaged",
    ),
}


@pytest.mark.parametrize("case", REPORTED)
def test_what_is_left_out_is_reported(points, case):
    """A note of one line with a count, and a map of the other points."""
    columns, message = REPORTED[case]
    changed(points, **columns)
    said = ran("interpolate", "bad.csv", "map.nc", "--grid", "like.nc", *FAST, cwd=points)
    assert [line for line in said.err.splitlines() if message in line], said.err
    assert (points / "map.nc").exists()


def test_a_model_is_given_the_means_of_cells(files, model_path):
    """A line says how many points are averaged in how many cells, and the model fills the others."""
    with xr.open_dataset(files / "truth.nc") as truth:
        values = truth.sst.values.copy()
        some = np.isfinite(values) & (np.random.default_rng(0).uniform(size=values.shape) < 0.1)
        time, lat, lon = np.meshgrid(truth.time, truth.lat, truth.lon, indexing="ij")
        units = truth.sst.units
    frame = pd.DataFrame(
        {"time": time[some], "lat": lat[some], "lon": lon[some], f"sst [{units}]": values[some]}
    )
    pd.concat([frame, frame.head(5).assign(lat=frame.lat + 0.01)]).to_csv(files / "p.csv", index=False)
    said = ran("interpolate", "p.csv", "m.nc", "--grid", "truth.nc", "--model", model_path, cwd=files)
    number = int(some.sum())
    assert "the model takes observations in cells: " in said.err
    assert f" {number + 5} points are averaged in {number} cells of the grid" in said.err
    with xr.open_dataset(files / "m.nc") as out:
        assert (out.sst_flag == 0).sum() == number
        assert np.isfinite(out.sst.values[np.isfinite(values)]).all()
