"""Times: units, text and numbers of other kinds, holes, disorder, duplicates, jitter."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr
from field.check import Case, Place, fill
from field.shapes import clouds, cycle, degrees, outages, pair, times, walk, waves


def build_04(folder: Path) -> None:
    """Months of which some are not there, eleven of them in a row."""
    months = times("2013-01-01", 84, "MS") + pd.Timedelta(days=15)
    there = np.ones(84, bool)
    there[40:51] = there[[7, 15, 23, 60]] = False
    values = 2 * waves(84, 3, 4, seed=4) + 6 * cycle(84, 12)[:, None, None]
    attributes = {"units": "cm", "grid_mapping": "WGS84"}
    crs = ((), "", {"grid_mapping_name": "latitude_longitude"})
    time = ("time", months, {"standard_name": "time", "bounds": "time_bounds"})
    lwe = (("time", "lat", "lon"), values.astype("f4"), attributes)
    truth = xr.Dataset({"lwe_thickness": lwe, "WGS84": crs}, {"time": time, **degrees(3, 4)})
    truth.to_netcdf(folder / "truth.nc")
    truth.isel(time=there).to_netcdf(folder / "gappy.nc")
    both = truth.isel(time=there).copy(deep=True)
    both.lwe_thickness[5:8, 1, 2] = both.lwe_thickness[40:43, 2, 1] = np.nan
    both.to_netcdf(folder / "both.nc")


def right_04(place: Place) -> str:
    """The months appear, filled and flagged; --times keep leaves the axis as it is."""
    before, truth = place.read("gappy.nc"), place.read("truth.nc").lwe_thickness
    absent = truth.sizes["time"] - before.sizes["time"]
    for source in ("gappy.nc", "both.nc"):
        done = fill(place, "lwe_thickness", source=source, within=None)
        done.notes(rf"\b{absent}\b")
        assert done.after.sizes["time"] == truth.sizes["time"]
        # The labels of the months that were inserted need not be the days that the product would have had.
        new = np.isin(done.after.time.values, before.time.values, invert=True)
        assert np.isin(done.after.lwe_thickness_flag.values[new], (1, 3)).all()
        off = (done.after.lwe_thickness.values - truth.values)[new]
        assert np.sqrt(np.mean(off**2)) < 1.3 * float(truth.std())
    stays = fill(place, source="gappy.nc", options=["--times", "keep"], within=None)
    assert stays.after.sizes["time"] == before.sizes["time"]
    return f"{absent} months inserted and filled"


def build_05(folder: Path) -> None:
    """Months since and years since, which no library decodes in every calendar."""
    truth = 26 + 2 * waves(60, 4, 5, seed=5)
    values = np.where(clouds((60, 4, 5), 0.3, 5), truth, -999.0)
    axis = np.arange(60)
    for name, units, calendar, numbers in (
        ("iri.nc", "months since 1960-01-01", "360", axis + 480.5),
        ("std.nc", "months since 1979-01-01", None, axis),
        ("years.nc", "years since 1948-1-1 00:00:00    ", "noleap", axis),
    ):
        with netCDF4.Dataset(folder / name, "w") as file:
            for dim, label, ticks, unit in (
                ("T", "time", numbers, units),
                ("Y", "latitude", 2.0 * np.arange(4), "degree_north"),
                ("X", "longitude", 180 + 2.0 * np.arange(5), "degree_east"),
            ):
                file.createDimension(dim, len(ticks))
                variable = file.createVariable(dim, "f4", (dim,))
                variable[:], variable.standard_name, variable.units = ticks, label, unit
            if calendar:
                file["T"].calendar = calendar
            sst = file.createVariable("sst", "f4", ("T", "Y", "X"), fill_value=-999.0)
            sst[:], sst.units = values, "Celsius_scale"
    xr.Dataset({"sst": (("T", "Y", "X"), truth)}).to_netcdf(folder / "truth.nc")


def right_05(place: Place) -> str:
    """The steps are understood as months and years, whatever the calendar."""
    for name in ("iri.nc", "std.nc", "years.nc"):
        known = ["truth.nc"] if (place.folder / "truth.nc").exists() else []
        done = fill(place, "sst", source=name, within=0.6 if known else None, added=["T"])
        assert done.after.sizes["T"] == place.read(name).sizes["T"]
    return done.outcome


def build_09(folder: Path) -> None:
    """A week that comes twice, the second time out of order."""
    values = 10 + 5 * cycle(300, 365) + walk(300, 9)
    values = np.where(outages(300, 0.1, 8, 9), values, np.nan)
    again = np.r_[0:200, 193:200, 200:300]
    ds = xr.Dataset({"snw": ("time", values)}, {"time": times("1964-01-01 12:00", 300)})
    ds.isel(time=again).to_netcdf(folder / "gappy.nc")


def right_09(place: Place) -> str:
    """One line that says how to mend it; --times sort does."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["--times sort"])
    line = place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["--times sort"])
    once = place.read("gappy.nc").sortby("time").drop_duplicates("time")
    fill(place, "snw", options=["--times", "sort"], before=once, within=None)
    return line


def build_14(folder: Path) -> None:
    """Days of the standard calendar without any 29 February."""
    days = pd.date_range("2015-09-01", "2016-08-31")
    days = days[~((days.month == 2) & (days.day == 29))]
    values = 12 + 2 * waves(365, 3, 4, seed=14) + 10 * cycle(365, 365)[:, None, None]
    tmax = (("time", "lat", "lon"), values.astype("f4"), {"units": "degrees C"})
    truth = xr.Dataset({"tmax": tmax}, {"time": days, **degrees(3, 4)})
    pair(folder, truth, "tmax", clouds((365, 3, 4), 0.3, 14))


def right_14(place: Place) -> str:
    """Filled by dates; a year without its leap day is named, and not lengthened."""
    done = fill(place, "tmax", within=0.5)
    done.notes("29 February")
    assert done.after.sizes["time"] == done.before.sizes["time"]
    return done.outcome


def build_15(folder: Path) -> None:
    """Hours at which a logger was off and wrote no row."""
    steps = 24 * 40
    values = -5 + 4 * cycle(steps, 24) + walk(steps, 15, 0.95)
    there = np.ones(steps, bool)
    there[300:480] = there[700:706] = there[820] = False
    truth = xr.Dataset(
        {"t_u": ("time", values, {"units": "degrees_Celsius"})}, {"time": times("2022-03-01", steps, "h")}
    )
    seen = np.ones(steps, bool)
    seen[298:300] = seen[480:482] = seen[600:610] = seen[::97] = False
    ds = truth.where(xr.DataArray(seen, dims="time")).isel(time=there)
    ds.to_netcdf(folder / "gappy.nc")
    truth.isel(time=there).to_netcdf(folder / "truth.nc")


def right_15(place: Place) -> str:
    """The hours appear, and their number is said; a file of even steps comes out."""
    done = fill(place, "t_u", within=1.3)
    hours = done.after.indexes["time"]
    absent = len(hours) - done.before.sizes["time"]
    done.notes(rf"\b{absent}\b")
    assert hours.equals(pd.date_range(hours[0], hours[-1], freq="h"))
    return f"{done.outcome}, {absent} hours inserted"


def build_25(folder: Path) -> None:
    """Decimal years with four decimals, one component with gaps and one without."""
    years = np.round(2003.126 + np.arange(700) / 365.25, 4)
    up = 2 + 4 * np.sin(2 * np.pi * years) + walk(700, 25, 0.7)
    truth = xr.Dataset(
        {"u": ("time", up, {"units": "mm"}), "e": ("time", walk(700, 26, 0.5), {"units": "mm"})},
        {"time": years},
    )
    pair(folder, truth, "u", outages(700, 0.12, 15, 25))


def right_25(place: Place) -> str:
    """Filled, with dates for the years and no step more; the complete component is kept."""
    done = fill(place, "u", added=["time"])
    assert done.after.sizes["time"] == done.before.sizes["time"]
    return done.outcome


def build_26(folder: Path) -> None:
    """Years as integers, and many glaciers."""
    years, glaciers = 45, 12
    values = (
        walk(years, 26, 0.4)[:, None] * np.linspace(0.6, 1.4, glaciers)
        + 0.3 * walk(years, 27, 0.1, glaciers)
        - 0.4
    )
    seen = np.stack([outages(years, 0.25, 7, 260 + k) for k in range(glaciers)], 1)
    smb = (("year", "glacier"), values, {"units": "m w.e."})
    names = [f"G{k:02d}" for k in range(glaciers)]
    pair(folder, xr.Dataset({"smb": smb}, {"year": 1976 + np.arange(years), "glacier": names}), "smb", seen)


def right_26(place: Place) -> str:
    """Filled along the years, which stay integers."""
    done = fill(place, "smb", options=["--dim", "time=year"], within=1.4)
    assert done.after.year.dtype.kind == "i"
    return done.outcome


def build_28(folder: Path) -> None:
    """Three years of months, four of them missing."""
    values = 10 + 5 * cycle(36, 12) + 0.5 * walk(36, 28, 0.3)
    seen = np.ones(36, bool)
    seen[[4, 11, 12, 25]] = False
    pair(
        folder,
        xr.Dataset({"q": ("time", values, {"units": "m3/s"})}, {"time": times("2001-01-31", 36, "ME")}),
        "q",
        seen,
    )


def right_28(place: Place) -> str:
    """Too little to learn from, and enough for a classical method."""
    return fill(place, "q", within=1.0).outcome


def build_63(folder: Path) -> None:
    """One time of an hourly series is missing itself."""
    hours = times("2020-01-01", 300, "h").to_numpy().copy()
    hours[100] = np.datetime64("NaT")
    values = np.where(outages(300, 0.15, 9, 63), 10 + 3 * cycle(300, 24), np.nan)
    xr.Dataset({"x": ("time", values)}, {"time": hours}).to_netcdf(folder / "gappy.nc")


def right_63(place: Place) -> str:
    """One line about the time that is missing, the same of both commands."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["no time|NaT"])
    return place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["no time|NaT"])


def build_68(folder: Path) -> None:
    """Times as text."""
    text = [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in times("2020-01-01", 400, "h")]
    values = np.where(outages(400, 0.15, 9, 68), 10 + 3 * cycle(400, 24) + 0.5 * walk(400, 68), np.nan)
    xr.Dataset({"x": ("time", values)}, {"time": text}).to_netcdf(folder / "gappy.nc")


def right_68(place: Place) -> str:
    """Text is read as dates."""
    done = fill(place, "x", within=None, added=["time"])
    assert done.after.sizes["time"] == done.before.sizes["time"]
    assert str(done.after.time.values[1])[:16].replace("T", " ") == "2020-01-01 01:00"
    return done.outcome


def build_72(folder: Path) -> None:
    """Hours and days since 1900 in float32, whose last bit is some minutes."""
    values = 1.5 + cycle(500, 24) + 0.2 * walk(500, 72)
    values = np.where(outages(500, 0.15, 20, 72), values, -999)
    for name, ticks, units in (
        ("gappy.nc", 1034376 + np.arange(500), "hours since 1900-01-01 00:00:00"),
        ("days.nc", 43099 + np.arange(500) / 24, "days since 1900-01-01 00:00:00"),
    ):
        with netCDF4.Dataset(folder / name, "w") as file:
            file.createDimension("time", 500)
            time = file.createVariable("time", "f4", ("time",))
            time[:], time.units = ticks.astype("f4"), units
            file.createVariable("t", "f4", ("time",), fill_value=-999.0)[:] = values


def right_72(place: Place) -> str:
    """The jitter counts as even: no step is inserted."""
    for name in ("gappy.nc", "days.nc"):
        done = fill(place, "t", source=name, within=None)
        assert done.after.sizes["time"] == done.before.sizes["time"]
    return done.outcome


CASES = [
    Case(4, "GRACE with months that are not there", "C D G", build_04, right_04, "gappy.nc both.nc truth.nc"),
    Case(5, "'months since' and 'years since'", "K", build_05, right_05, "iri.nc std.nc years.nc"),
    Case(9, "A week repeated and out of order", "D", build_09, right_09, "gappy.nc"),
    Case(14, "No 29 February in a standard calendar", "", build_14, right_14),
    Case(15, "Logger rows that are not there", "D", build_15, right_15),
    Case(25, "GNSS, decimal years", "", build_25, right_25),
    Case(26, "Glacier mass balance, integer years", "", build_26, right_26),
    Case(28, "36 months, 4 missing", "", build_28, right_28),
    Case(63, "A time that is NaT", "", build_63, right_63, "gappy.nc"),
    Case(68, "Times as ISO text", "", build_68, right_68, "gappy.nc"),
    Case(72, "Times in float32", "", build_72, right_72, "gappy.nc days.nc=72b.nc"),
]
