"""Files of another structure: experiments, ragged arrays, profiles, records, no time, other formats."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from door import ran
from field.check import Case, Place, fill
from field.shapes import clouds, cycle, degrees, outages, pair, times, walk, waves


def build_02(folder: Path) -> None:
    """ERA5 and ERA5T as two slices, each NaN where the other has data."""
    steps, rows, columns, last = 96, 4, 5, 70
    truth = (285 + 3 * waves(steps, rows, columns, seed=2)).astype("f4")
    slices = np.full((steps, 2, rows, columns), np.nan, "f4")
    slices[:last, 0], slices[last:, 1] = truth[:last], truth[last:]
    where = {"latitude": 50 - 0.25 * np.arange(rows), "longitude": 5 + 0.25 * np.arange(columns)}
    hours = times("2023-01-25", steps, "h")
    dims = ("time", "expver", "latitude", "longitude")
    t2m = xr.Dataset(
        {"t2m": (dims, slices, {"units": "K"})}, {"time": hours, "expver": np.array([1, 5], "i4"), **where}
    )
    t2m.latitude.attrs["units"], t2m.longitude.attrs["units"] = "degrees_north", "degrees_east"
    t2m.to_netcdf(folder / "gappy.nc")
    xr.Dataset({"t2m": (("time", "latitude", "longitude"), truth)}).to_netcdf(folder / "truth.nc")


def right_02(place: Place) -> str:
    """The slices are one field, and nothing is invented in either."""
    truth = place.read("truth.nc").t2m.values
    for verb in (["interpolate", "--minutes", place.minutes], ["baseline"]):
        said = ran(verb[0], "gappy.nc", f"{verb[0]}.nc", *verb[1:], cwd=place.folder)
        assert "expver" in said.err
        t2m = place.read(f"{verb[0]}.nc").t2m
        assert t2m.dims == ("time", "latitude", "longitude"), t2m.dims
        assert (t2m.values == truth).all()
    return "one field of both"


def build_10(folder: Path) -> None:
    """Two files that share months, and two that follow each other."""
    values = 10 + 5 * cycle(96, 12) + walk(96, 10, 0.5)
    seen = outages(96, 0.1, 3, 10)
    truth = xr.Dataset({"tas": ("time", values, {"units": "K"})}, {"time": times("2010-01-01", 96, "MS")})
    gappy = pair(folder, truth, "tas", seen)
    gappy.isel(time=slice(0, 60)).to_netcdf(folder / "a.nc")
    gappy.isel(time=slice(48, None)).to_netcdf(folder / "b.nc")


def right_10(place: Place) -> str:
    """One line about the months that both have; files without an overlap join."""
    first, second = place.read("a.nc"), place.read("b.nc")
    second.sel(time=second.time > first.time[-1]).to_netcdf(place.folder / "rest.nc")
    fill(place, "tas", source=["a.nc", "rest.nc"], within=None)
    (place.folder / "filled.nc").unlink()
    place.refuses("baseline", "a.nc", "b.nc", "other.nc", saying=["overlap|monoton|both|share"])
    return place.refuses("interpolate", "a.nc", "b.nc", "other.nc", saying=["overlap|monoton|both|share"])


def build_19(folder: Path) -> None:
    """Daily files of latitude and longitude alone; the day is in an attribute."""
    shape = (12, 6, 7)
    values = np.where(clouds(shape, 0.4, 19), np.exp(waves(*shape, seed=19) / 2 - 1), np.nan)
    for day in range(12):
        ds = xr.Dataset(
            {"chlor_a": (("lat", "lon"), values[day].astype("f4"), {"units": "mg m^-3"})}, degrees(6, 7)
        )
        ds["palette"] = (("rgb", "eightbitcolor"), np.zeros((3, 256), "u1"))
        ds.attrs["time_coverage_start"] = f"2008-01-{day + 1:02d}T00:00:00Z"
        ds.to_netcdf(folder / f"A2008{day + 1:03d}.L3m_DAY_CHL.nc")


def right_19(place: Place) -> str:
    """The files are joined by the days that their attributes state; one that states none is refused."""
    files = place.files("A2008*.nc")
    days = [place.read(name) for name in files]
    before = days[0].assign(chlor_a=xr.concat([day.chlor_a for day in days], "time"))
    done = fill(place, "chlor_a", source="A2008*.nc", before=before, within=None)
    first = np.datetime64(days[0].attrs["time_coverage_start"][:10])
    assert (done.after.time.values.astype("M8[D]") == first + np.arange(len(files))).all()
    for number, day in enumerate(days[:2]):
        day.drop_attrs(deep=False).to_netcdf(place.folder / f"undated{'ab'[number]}.nc")
    undated = ["undateda.nc", "undatedb.nc", "other.nc"]
    place.refuses("baseline", *undated, saying=["no .*time"])
    place.refuses("interpolate", *undated, saying=["no .*time"])
    return done.outcome


def build_20(folder: Path) -> None:
    """What a download is that is no NetCDF file, whatever its name says."""
    ds = xr.Dataset({"t": ("time", np.array([1.0, np.nan, 3.0]))}, {"time": times("2024-01-01", 3)})
    ds.to_netcdf(folder / "inside.nc")
    with zipfile.ZipFile(folder / "zip.nc", "w") as file:
        file.write(folder / "inside.nc", "data_stream-oper_stepType-instant.nc")
    (folder / "inside.nc").unlink()
    (folder / "html.nc").write_text("<!DOCTYPE html><html><title>401 Unauthorized</title></html>")
    (folder / "grib.nc").write_bytes(b"GRIB" + bytes(48) + b"7777")
    (folder / "flux.csv").write_text("TIMESTAMP_START,NEE\n201905010000,-9999\n")
    (folder / "git.nc").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def right_20(place: Place) -> str:
    """One line that says what it is."""
    url = "https://example.org/thredds/dodsC/sst.nc"
    kinds = {
        "zip.nc": "zip",
        "html.nc": "HTML",
        "grib.nc": "GRIB",
        "flux.csv": "CSV|text",
        "git.nc": "LFS",
        url: "URL|address",
    }
    lines = []
    for name, word in kinds.items():
        place.refuses("baseline", name, "filled.nc", saying=[word])
        place.refuses("inspect", name, saying=[word])
        lines.append(place.refuses("interpolate", name, "filled.nc", saying=[word]))
    return f"{len(lines)} lines, the first: {lines[0]}"


def build_36(folder: Path) -> None:
    """Profiles of a float: padded levels, no axis of time but that of the profiles."""
    levels = np.array([[10.0, 20, 40, 80, 160, np.nan], [10.0, 22, 41, np.nan, np.nan, np.nan]])
    dims = ("N_PROF", "N_LEVELS")
    temp = np.where(np.isnan(levels), np.nan, 20 - levels / 20)
    temp[0, 2] = np.nan
    fields = {
        "JULD": (
            "N_PROF",
            [25000.0, 25010.0],
            {"units": "days since 1950-01-01", "standard_name": "time", "axis": "T"},
        ),
        "LATITUDE": ("N_PROF", [-40.0, -40.2], {"units": "degree_north", "standard_name": "latitude"}),
        "LONGITUDE": ("N_PROF", [150.0, 150.4], {"units": "degree_east", "standard_name": "longitude"}),
        "CYCLE_NUMBER": ("N_PROF", np.array([1, 2], "i4"), {"_FillValue": np.int32(99999)}),
        "PRES": (dims, levels, {"units": "decibar", "standard_name": "sea_water_pressure", "axis": "Z"}),
        "TEMP": (dims, temp, {"units": "degree_Celsius", "standard_name": "sea_water_temperature"}),
        "TEMP_QC": (dims, np.full(levels.shape, "1")),
    }
    ds = xr.Dataset(fields, attrs={"featureType": "trajectoryProfile", "Conventions": "Argo-3.2 CF-1.6"})
    ds.to_netcdf(folder / "gappy.nc")


def right_36(place: Place) -> str:
    """Profiles are refused by name: levels are counted, not measured, and padded."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["profile"])
    place.refuses("interpolate", "gappy.nc", "filled.nc", "--dim", "time=N_LEVELS", saying=["profile"])
    return place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["profile"])


def build_37(folder: Path) -> None:
    """Moorings one after the other in one dimension, with the number of rows of each."""
    rows = np.array([40, 25, 35], "i4")
    seconds = np.concatenate([86400.0 * np.arange(n) for n in rows])
    sst = 25 + walk(int(rows.sum()), 37)
    sst[[5, 39, 40, 80]] = np.nan
    fields = {
        "station": ("timeseries", ["0n110w", "0n140w", "5n95w"], {"cf_role": "timeseries_id"}),
        "rowSize": ("timeseries", rows, {"long_name": "Number of Observations", "sample_dimension": "obs"}),
        "T_25": ("obs", sst.astype("f4"), {"units": "degree_C", "coordinates": "time latitude longitude"}),
    }
    where = (
        {"units": "degrees_east", "standard_name": "longitude"},
        {"units": "degrees_north", "standard_name": "latitude"},
    )
    coordinates = {
        "longitude": ("timeseries", [250.0, 220.0, 265.0], where[0]),
        "latitude": ("timeseries", [0.0, 0.0, 5.0], where[1]),
        "time": ("obs", seconds, {"units": "seconds since 1990-01-01", "axis": "T"}),
    }
    ds = xr.Dataset(fields, attrs={"featureType": "TimeSeries", "Conventions": "CF-1.6"})
    del ds.T_25.attrs["coordinates"]
    ds.assign_coords(coordinates).to_netcdf(folder / "gappy.nc")


def right_37(place: Place) -> str:
    """One line, also where the dimension is called the time."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["ragged"])
    place.refuses("interpolate", "gappy.nc", "filled.nc", "--dim", "time=obs", saying=["ragged"])
    return place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["ragged"])


def build_40(folder: Path) -> None:
    """Whole numbers on three axes of time: repeated, missing, and out of order."""
    hours = {"time1": [1, 2, 2], "time2": [1, 2, 100], "time3": [1, 100, 2]}
    unit = {"units": "hours since 1970-01-01 00:00:00", "standard_name": "time"}
    fields, coordinates = {}, {}
    for number, (time, ticks) in enumerate(hours.items(), 1):
        values = np.arange(27, dtype="i4").reshape(3, 3, 3) + number
        fields[f"wind{number}"] = (
            (time, "lat", "lon"),
            values,
            {"standard_name": "eastward_wind", "units": "m s-1"},
        )
        missing = {} if number == 1 else {"_FillValue": np.int32(100)}
        coordinates[time] = (time, np.array(ticks, "i4"), unit | missing)
    coordinates["lat"] = ("lat", np.array([50, 60, 70], "i4"), {"units": "degrees_north"})
    coordinates["lon"] = ("lon", np.array([10, 20, 30], "i4"), {"units": "degrees_east"})
    xr.Dataset(fields, coordinates).to_netcdf(folder / "gappy.nc")


def whole(folder: Path) -> None:
    """Measurements that are whole numbers with a fill value."""
    counts = np.round(400 + 60 * cycle(300, 24) + 10 * walk(300, 40))
    counts[~outages(300, 0.15, 6, 40)] = np.nan
    ds = xr.Dataset({"passers": ("time", counts, {"units": "1"})}, {"time": times("2020-01-01", 300, "h")})
    ds.to_netcdf(folder / "whole.nc", encoding={"passers": {"dtype": "i4", "_FillValue": np.int32(-1)}})


def right_40(place: Place) -> str:
    """The line is about the times, not about the type of the numbers; whole numbers with gaps are filled."""
    whole(place.folder)
    done = fill(place, "passers", source="whole.nc", within=None)
    assert done.after.passers.encoding["dtype"] == "int32"
    (place.folder / "filled.nc").unlink()
    return place.refuses("interpolate", "gappy.nc", "other.nc", saying=["time"])


def build_42(folder: Path) -> None:
    """One day of sea ice."""
    ice = np.clip(50 + 40 * waves(1, 20, 22, seed=42), 0, 100)
    ice[0, ~clouds((1, 20, 22), 0.3, 42)[0]] = np.nan
    ds = xr.Dataset(
        {"concentration": (("time", "nj", "ni"), ice.astype("f4"), {"units": "%"})},
        {"time": times("2016-09-01", 1)},
    )
    ds.to_netcdf(folder / "gappy.nc")


def right_42(place: Place) -> str:
    """What was never observed is left as it is by every method, and that is said."""
    fill(place, within=None).notes("never observed")
    linear = fill(place, "concentration", baseline="linear", output="linear.nc", within=None)
    linear.notes("never observed|not estimable|nothing|no estimate")
    return "nothing filled, and said"


def build_43(folder: Path) -> None:
    """Records of many stations in the order in which they came."""
    random = np.random.default_rng(43)
    records = 60
    fields = {
        "lastRecord": ("maxStaticIds", np.array([58, 59, -1], "i4"), {"_FillValue": np.int32(-1)}),
        "prevRecord": ("recNum", np.arange(records, dtype="i4") - 2),
        "providerId": ("recNum", [f"ST{k % 2}" for k in range(records)]),
        "latitude": (
            "recNum",
            random.uniform(40, 50, records),
            {"units": "degree_N", "standard_name": "latitude"},
        ),
        "observationTime": (
            "recNum",
            1.4e9 + np.sort(random.uniform(0, 3600, records)),
            {"units": "seconds since 1970-1-1"},
        ),
        "riverFlow": (
            "recNum",
            np.where(random.random(records) < 0.2, np.nan, 20.0),
            {"units": "meter^3 / sec"},
        ),
    }
    xr.Dataset(fields).to_netcdf(folder / "gappy.nc", unlimited_dims=["recNum"])


def right_43(place: Place) -> str:
    """Records are refused by name."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["record"])
    return place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["record"])


def build_52(folder: Path) -> None:
    """A swath: lines and pixels, times that are no index, nothing seen at the nadir."""
    lines, pixels = 200, 24
    truth = 0.1 * waves(1, lines, pixels, seed=52)[0]
    values = np.where(np.random.default_rng(52).random(truth.shape) < 0.1, np.nan, truth)
    values[:, 11:13] = values[80:95, 18:] = np.nan
    dims = ("num_lines", "num_pixels")
    seconds = pd.Timestamp("2023-07-26") + pd.to_timedelta(0.31 * np.arange(lines), unit="s")
    lat, lon = np.meshgrid(30 + 0.02 * np.arange(lines), 10 + 0.02 * np.arange(pixels), indexing="ij")
    flags = np.where(np.isnan(values), 100, 0).astype("u1")
    fields = {"ssha_noiseless": (dims, values, {"units": "m"}), "quality_flag": (dims, flags)}
    ds = xr.Dataset(
        fields, {"time": ("num_lines", seconds), "latitude": (dims, lat), "longitude": (dims, lon)}
    )
    ds.to_netcdf(folder / "gappy.nc")
    xr.Dataset({"ssha_noiseless": (dims, truth)}).to_netcdf(folder / "truth.nc")


def right_52(place: Place) -> str:
    """One line about the dimensions; along the track if it is told to."""
    place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["num_lines|swath"])
    return fill(place, "ssha_noiseless", options=["--dim", "time=num_lines"], whole=False, within=0.9).outcome


def build_61(folder: Path) -> None:
    """One data set under many names."""
    shape = (80, 3, 4)
    values = np.where(clouds(shape, 0.25, 61), 12 + 2 * waves(*shape, seed=61), np.nan)
    ds = xr.Dataset(
        {"tmax": (("time", "lat", "lon"), values, {"units": "degrees C"})},
        {"time": times("2015-01-01", 80), **degrees(3, 4)},
    )
    for name in ("store", "store2.zarr"):
        ds.to_zarr(folder / name, zarr_format=2, consolidated=True)
    for name in ("four.nc4", "five.h5", "with space.nc"):
        ds.to_netcdf(folder / name)
    ds.to_netcdf(folder / "classic.cdf", format="NETCDF3_CLASSIC")


def right_61(place: Place) -> str:
    """Each is read, and described, as what it is."""
    names = place.files("*")
    for name in names:
        fill(place, "tmax", source=name, options=["--method", "linear"], within=None)
        assert "tmax" in ran("inspect", name, cwd=place.folder).out
    fill(place, "tmax", source="four.nc4", output="filled.nc4", options=["--method", "linear"], within=None)
    return f"{len(names)} names read"


def build_75(folder: Path) -> None:
    """The two files of a download: instantaneous and accumulated variables."""
    shape = (72, 4, 5)
    coordinates = {"valid_time": times("2024-08-01", 72, "h"), **degrees(4, 5)}
    skt = (("valid_time", "lat", "lon"), 290 + 2 * waves(*shape, seed=75), {"units": "K"})
    truth = xr.Dataset({"skt": skt}, coordinates)
    instant = pair(folder, truth, "skt", clouds(shape, 0.3, 75))
    (folder / "gappy.nc").rename(folder / "instant.nc")
    accumulated = instant.skt.notnull().where(instant.skt.notnull()).assign_attrs(units="m")
    accumulated.to_dataset(name="tp").to_netcdf(folder / "accum.nc")


def right_75(place: Place) -> str:
    """One data set of both variables, each filled."""
    done = fill(place, "skt", "tp", source=["instant.nc", "accum.nc"], within=None)
    assert np.abs(done.after.tp - 1).max() < 0.5
    return done.outcome


def build_77(folder: Path) -> None:
    """Two files of one variable, in celsius and in degC."""
    shape = (120, 3, 4)
    truth = xr.Dataset(
        {"tmax": (("time", "lat", "lon"), 12 + 2 * waves(*shape, seed=77), {"units": "celsius"})},
        {"time": times("2015-01-01", 120), **degrees(3, 4)},
    )
    gappy = pair(folder, truth, "tmax", clouds(shape, 0.3, 77))
    gappy.isel(time=slice(0, 60)).to_netcdf(folder / "a.nc")
    second = gappy.isel(time=slice(60, None))
    second.tmax.attrs["units"] = "degC"
    second.to_netcdf(folder / "b.nc")


def right_77(place: Place) -> str:
    """They are one unit."""
    return fill(place, "tmax", source=["a.nc", "b.nc"], within=None).outcome


CASES = [
    Case(2, "ERA5 and ERA5T: dimension expver", "I", build_02, right_02),
    Case(10, "Overlapping files", "", build_10, right_10, "a.nc b.nc"),
    Case(19, "Daily files without a time dimension", "K", build_19, right_19, "A2008*.nc"),
    Case(
        20,
        "Zip, HTML, GRIB, LFS pointer, CSV, URL",
        "K",
        build_20,
        right_20,
        "zip.nc html.nc grib.nc git.nc flux.csv",
    ),
    Case(36, "Argo profile", "E", build_36, right_36, "gappy.nc=real/argo_md.nc"),
    Case(37, "Moorings as a contiguous ragged array", "E I", build_37, right_37, "gappy.nc=real/dsg_ts.nc"),
    Case(
        40, "Whole numbers; times repeated and missing", "E", build_40, right_40, "gappy.nc=real/iris_mono.nc"
    ),
    Case(42, "One day of sea ice", "", build_42, right_42, ""),
    Case(43, "MADIS records", "E K", build_43, right_43, ""),
    Case(52, "SWOT swath", "", build_52, right_52),
    Case(
        61,
        "Names: .nc4, .h5, .cdf, a store without .zarr",
        "K",
        build_61,
        right_61,
        "store store2.zarr four.nc4=61.nc4 five.h5=61.h5 classic.cdf",
    ),
    Case(
        75,
        "Instantaneous and accumulated variables in two files",
        "",
        build_75,
        right_75,
        "instant.nc accum.nc",
    ),
    Case(77, "celsius and degC in two files", "F", build_77, right_77, "a.nc b.nc"),
]
