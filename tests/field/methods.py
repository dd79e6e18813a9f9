"""Methods: observed values, empty and sparse series, real records, Python, the time that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from door import ran
from field.check import Case, Place, fill, flagged, kept
from field.shapes import clouds, cycle, degrees, outages, pair, times, walk, waves

import da4dvar
from da4dvar.errors import Da4dvarError


def build_27(folder: Path) -> None:
    """A complete grid with a few cells missing."""
    shape = (80, 10, 12)
    random = np.random.default_rng(27)
    seen = np.ones(shape, bool)
    seen[tuple(random.integers(0, size, 25) for size in shape)] = False
    truth = xr.Dataset(
        {"t": (("time", "lat", "lon"), waves(*shape, seed=27).astype("f4"))},
        {"time": times("2020-01-01", 80), **degrees(10, 12)},
    )
    pair(folder, truth, "t", seen)


def right_27(place: Place) -> str:
    """Filled; thousands of values are not too few."""
    return fill(place, "t", within=0.5).outcome


def build_29(folder: Path) -> None:
    """Stations of which one is empty, one has a single value, and one is constant."""
    steps = 400
    values = (20 + 6 * walk(steps, 29, 0.95))[:, None] + 0.7 * walk(steps, 30, 0.8, 6)
    values[:, 5] = 7
    seen = np.stack([outages(steps, 0.2, 12, 290 + k) for k in range(6)], 1)
    seen[:, [2, 4]] = False
    seen[100, 4] = True
    pm = (("time", "site"), values, {"units": "ug m-3"})
    pair(
        folder,
        xr.Dataset({"pm25": pm}, {"time": times("2018-01-01", steps, "3h"), "site": list("abcdef")}),
        "pm25",
        seen,
    )


def right_29(place: Place) -> str:
    """The empty one stays empty, and that is said; the others are filled."""
    done = fill(place, "pm25", within=None)
    done.notes("never observed")
    after, site = done.after, "site"
    assert after.pm25.isel({site: 2}).isnull().all()
    assert after.pm25.isel({site: [0, 1, 3, 5]}).notnull().all()
    assert np.abs(after.pm25.isel({site: 5}) - 7).max() < 0.01
    return "filled, but for the empty station"


def build_31(folder: Path) -> None:
    """Stations on a calendar without leap days, their names as a text coordinate, two variables."""
    days = 730
    dates = xr.date_range("1950-01-01", periods=days, calendar="noleap", use_cftime=True)
    tasmax = 10 * cycle(days, 365) + 3 * walk(days, 31, 0.8, 3).T
    rain = np.clip(4 * walk(days, 32, 0.3, 3).T, 0, None)
    seen = np.stack([outages(days, 0.05, 20, 310 + k) for k in range(3)])
    dims = ("location", "time")
    fields = {
        "tasmax": (
            dims,
            np.where(seen, tasmax, np.nan).astype("f4"),
            {"units": "degC", "standard_name": "air_temperature"},
        ),
        "pr": (
            dims,
            np.where(seen, rain, np.nan).astype("f4"),
            {"units": "mm day-1", "standard_name": "precipitation_flux"},
        ),
    }
    where = {
        "lat": ("location", [49.2, 67.8, 48.6], {"units": "degrees_north"}),
        "lon": ("location", [-123.0, -115.0, -78.0], {"units": "degrees_east"}),
    }
    coordinates = {
        "location": ["Vancouver", "Kugluktuk", "Amos"],
        "time": ("time", dates, {"axis": "T"}),
        **where,
    }
    xr.Dataset(fields, coordinates).to_netcdf(folder / "gappy.nc")


def right_31(place: Place) -> str:
    """Both are filled, with flags; no rain is negative."""
    done = fill(place, "tasmax", "pr", within=None)
    assert done.after.pr.min() >= 0
    return done.outcome


def build_32(folder: Path) -> None:
    """Daily discharge of years, a fifth of it missing in long runs."""
    days = 1500
    flow = np.exp(4.5 + 1.2 * cycle(days, 365.25, -1.5) + 0.5 * walk(days, 32, 0.97)).astype("f4")
    ds = xr.Dataset(
        {
            "discharge": (
                "time",
                flow,
                {"units": "m3 s-1", "standard_name": "water_volume_transport_in_river_channel"},
            )
        },
        {"time": times("1990-01-01", days)},
    )
    ds.where(xr.DataArray(outages(days, 0.2, 60, 32), dims="time")).to_netcdf(folder / "gappy.nc")


def right_32(place: Place) -> str:
    """Whoever wins, what was observed comes back to the bit, with flags, and nothing is negative."""
    done = fill(place, "discharge", within=None)
    seasonal = fill(place, "discharge", options=["--method", "climatology"], within=None)
    for each in (done, seasonal):
        assert each.after.discharge.min() >= 0
        assert each.after.discharge.max() >= each.before.discharge.max()
    return done.outcome


def build_53(folder: Path) -> None:
    """A box over the date line, and the same with longitudes that go on."""
    shape = (24, 4, 10)
    values, seen = 25 + waves(*shape, seed=53), clouds(shape, 0.35, 53)
    east = 175.0 + np.arange(10)
    for name, lon in (("straight.nc", east), ("gappy.nc", np.where(east > 180, east - 360, east))):
        sst = (("time", "lat", "lon"), values.astype("f4"), {"units": "degC"})
        where = {
            "lat": ("lat", np.arange(4) - 2.0, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        }
        gappy = pair(
            folder, xr.Dataset({"sst": sst}, {"time": times("2010-01-01", 24), **where}), "sst", seen
        )
        gappy.to_netcdf(folder / name)


def right_53(place: Place) -> str:
    """The columns beside each other are neighbours."""
    same = [
        fill(
            place,
            "sst",
            source=source,
            truth="truth.nc",
            baseline="optimal_interpolation",
            output=f"of_{source}",
            within=None,
        ).after.sst.values
        for source in ("gappy.nc", "straight.nc")
    ]
    # The points at which the covariance is fitted are drawn in the order of the longitudes.
    assert np.sqrt(np.mean((same[0] - same[1]) ** 2)) < 0.1 * same[0].std()
    return fill(place, "sst").outcome


def build_59(folder: Path) -> None:
    """Sea level along tracks: a few per cent of the cells are seen."""
    shape = (40, 16, 16)
    truth, random = 0.15 * waves(*shape, seed=59, period=80), np.random.default_rng(59)
    seen = np.zeros(shape, bool)
    for day in range(40):
        for start in random.uniform(-6, 16, 1 + day % 2):
            row = np.arange(16)
            column = np.round(start + 0.4 * (row if day % 3 else row[::-1])).astype(int)
            inside = (column >= 0) & (column < 16)
            seen[day, row[inside], column[inside]] = True
    sla = (("time", "lat", "lon"), truth, {"units": "m"})
    pair(
        folder,
        xr.Dataset({"sla": sla}, {"time": times("2017-01-01", 40), **degrees(16, 16, 33, -60)}),
        "sla",
        seen,
    )


def right_59(place: Place) -> str:
    """Filled, no worse than the mean, and quick."""
    return fill(place, "sla", within=1.3, whole=False).outcome


def build_60(folder: Path) -> None:
    """What one holds in a session."""
    shape = (40, 5, 6)
    truth = xr.Dataset(
        {"sst": (("time", "lat", "lon"), 15 + waves(*shape, seed=60), {"units": "degC"})},
        {"time": times("2011-03-01", 40), **degrees(5, 6)},
    )
    pair(folder, truth, "sst", clouds(shape, 0.3, 60))


def right_60(place: Place) -> str:
    """Data sets, arrays, names and masks are taken; what is not taken is one line."""
    ds, short = place.read("gappy.nc"), {"minutes": place.minutes, "method": "linear"}
    seen = ds.sst.notnull()
    for filled in (
        da4dvar.fill(ds, **short),
        ds.da4dvar.fill(**short),
        ds.da4dvar.fill(variable="sst", **short),
        da4dvar.fill(place.read("truth.nc"), mask=seen, **short),
        ds.da4dvar.fill(max_gap="30D", limit_area="inside", dim=["time", "lat", "lon"], **short),
        da4dvar.fill(ds.chunk(time=7), **short),
    ):
        kept(ds.sst, filled.sst, seen, True)
        flagged(filled.compute(), "sst", seen)
    array = ds.sst.da4dvar.fill(**short)
    one = array.sst if isinstance(array, xr.Dataset) else array
    kept(ds.sst, one, seen, True)
    fitted = da4dvar.fit(ds, **short)
    assert fitted.scores
    assert fitted.method
    kept(ds.sst, fitted.interpolate(ds).sst, seen, True)
    for wrong in (
        lambda: da4dvar.fill("gappy.nc"),
        lambda: da4dvar.fit("gappy.nc"),
        lambda: da4dvar.fill(ds.sst.values),
        lambda: ds.da4dvar.fill(variable="ssst", **short),
        lambda: ds.da4dvar.fill(method="linaer"),
        lambda: ds.da4dvar.fill(mask=3, **short),
        lambda: ds.da4dvar.fill(bounds=3, **short),
        lambda: ds.da4dvar.fill(dim=3, **short),
        lambda: ds.da4dvar.fill(max_gap="a while", **short),
        lambda: ds.da4dvar.fill(maxgap="5D", **short),
        lambda: ds.da4dvar.fill(minutes="soon"),
        lambda: fitted.save(place.folder / "fitted.safetensors"),
        lambda: ds.stack(place=("lat", "lon")).da4dvar.interpolate("oisst-tasman"),
        lambda: ds.isel(time=0).da4dvar.fill(**short),
    ):
        line = one_line(wrong)
    return f"filled and fitted; {line}"


def one_line(wrong: Callable[[], object]) -> str:
    """Return the line with which a call is refused."""
    with pytest.raises((Da4dvarError, TypeError)) as refusal:
        wrong()
    (line,) = str(refusal.value).splitlines()
    return line


def build_66(folder: Path) -> None:
    """Hours with a daily cycle."""
    steps = 24 * 20
    values = 10 + 5 * cycle(steps, 24) + walk(steps, 66, 0.95)
    truth = xr.Dataset(
        {"t2m": ("time", values, {"units": "degC"})}, {"time": times("2021-06-01", steps, "h")}
    )
    pair(folder, truth, "t2m", outages(steps, 0.12, 6, 66))


def right_66(place: Place) -> str:
    """Optimal interpolation follows the short lags, at least as well as a line, and its error bars hold."""
    truth = place.read("truth.nc").t2m
    hidden = place.read("gappy.nc").t2m.isnull()
    rms = {}
    for method, options in (("linear", []), ("optimal_interpolation", ["--std"])):
        options = ["--method", method, *options]
        after = fill(place, "t2m", options=options, within=None, output=f"{method}.nc").after
        rms[method] = float(np.sqrt(((after.t2m - truth).where(hidden) ** 2).mean()))
    assert rms["optimal_interpolation"] < 1.2 * rms["linear"], rms
    ratio = rms["optimal_interpolation"] / float(np.sqrt((after.t2m_std.where(hidden) ** 2).mean()))
    assert 0.4 < ratio < 2.5, f"the error is {ratio:.1f} times the standard error"
    return f"linear {rms['linear']:.2f}, this {rms['optimal_interpolation']:.2f}, {ratio:.1f} standard errors"


def build_73(folder: Path) -> None:
    """Forecasts by reference time and step, with the valid time in two dimensions."""
    days, steps, rows, columns = 30, 3, 4, 5
    field = 285 + 3 * waves(days + steps, rows, columns, seed=73)
    values = np.stack([field[k : k + days] for k in range(steps)], 1)
    reference, step = times("2021-01-01", days), np.arange(steps)
    valid = reference.to_numpy()[:, None] + step * np.timedelta64(1, "D").astype("m8[ns]")
    where = degrees(rows, columns)
    coordinates = {
        "time": ("time", reference, {"standard_name": "forecast_reference_time"}),
        "step": ("step", step, {"units": "days", "standard_name": "forecast_period"}),
        "valid_time": (("time", "step"), valid, {"standard_name": "time"}),
        "latitude": ("latitude", where["lat"].values, {"units": "degrees_north"}),
        "longitude": ("longitude", where["lon"].values, {"units": "degrees_east"}),
        "surface": 0.0,
    }
    t2m = (("time", "step", "latitude", "longitude"), values.astype("f4"), {"units": "K"})
    pair(
        folder,
        xr.Dataset({"t2m": t2m}, coordinates),
        "t2m",
        np.random.default_rng(73).random(values.shape) < 0.8,
    )


def right_73(place: Place) -> str:
    """Filled along the reference time, with every label kept."""
    return fill(place, "t2m", within=0.5).outcome


def build_79(folder: Path) -> None:
    """A cube that takes longer than the time that is asked for, if every method has its way."""
    shape = (200, 24, 32)
    sst = (("time", "lat", "lon"), waves(*shape, seed=79).astype("f4"), {"units": "degC"})
    pair(
        folder,
        xr.Dataset({"sst": sst}, {"time": times("2019-01-01", 200), **degrees(24, 32)}),
        "sst",
        clouds(shape, 0.35, 79),
    )


def right_79(place: Place) -> str:
    """The run ends within 1.2 times the minutes and 10 s."""
    start = time.monotonic()
    done = fill(place, "sst", within=None)
    seconds = time.monotonic() - start
    limit = 72 * place.minutes + 10
    assert seconds < limit, f"{seconds:.0f} s, expected {limit:.0f} s"
    return f"{done.outcome} in {seconds:.0f} s"


def build_81(folder: Path) -> None:
    """Means of months by level, packed in whole numbers with a fill value that is NaN."""
    shape, dims = (12, 2, 5, 6), ("month", "level", "latitude", "longitude")
    values = np.stack([waves(12, 5, 6, seed=81 + k) for k in range(2)], 1) * 1e3 + 5e4
    values[np.random.default_rng(81).random(shape) < 0.15] = np.nan
    fields = {
        "z": (dims, values.astype("f4"), {"units": "m**2 s**-2"}),
        "u": (dims, (values / 1e4).astype("f4"), {"units": "m s**-1"}),
    }
    where = degrees(5, 6)
    coordinates = {
        "month": ("month", np.arange(1, 13)),
        "level": ("level", np.array([200, 500]), {"units": "millibars"}),
        "latitude": ("latitude", where["lat"].values, {"units": "degrees_north"}),
        "longitude": ("longitude", where["lon"].values, {"units": "degrees_east"}),
    }
    xr.Dataset(fields, coordinates).to_netcdf(folder / "gappy.nc")


def right_81(place: Place) -> str:
    """Filled along the months."""
    ran("inspect", "gappy.nc", cwd=place.folder)
    fill(place, "z", "u", baseline="linear", options=["--dim", "time=month"], within=None, output="linear.nc")
    return fill(place, "z", "u", options=["--dim", "time=month"], within=None).outcome


CASES = [
    Case(27, "Thousands of cells, a few NaN", "N", build_27, right_27),
    Case(29, "Empty, constant and one-value stations", "L", build_29, right_29),
    Case(
        31,
        "Stations on a noleap calendar, text coordinate",
        "A N",
        build_31,
        right_31,
        "gappy.nc=real/ahccd.nc",
    ),
    Case(32, "River discharge", "A", build_32, right_32, "gappy.nc=real/qobs_hysets.nc"),
    Case(53, "Across the date line", "", build_53, right_53, "gappy.nc straight.nc truth.nc"),
    Case(59, "Sea level along tracks, 4 % observed", "N", build_59, right_59),
    Case(60, "Python: arrays, names, masks, fit", "J", build_60, right_60, ""),
    Case(66, "Optimal interpolation of hours with a daily cycle", "L", build_66, right_66, ""),
    Case(73, "Forecasts by reference time and step", "B", build_73, right_73),
    Case(79, "A cube and little time", "N", build_79, right_79, "gappy.nc"),
    Case(81, "Months by level, fill value NaN", "", build_81, right_81, ""),
]
