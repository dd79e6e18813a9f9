"""Values: bounds, directions, scales, units, and the labels by which two files are compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr
from door import ran
from field.check import Case, Place, fill
from field.shapes import clouds, cycle, degrees, outages, pair, times, walk, waves

TASMAN = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"


def tasman(days: int) -> xr.DataArray:
    """Sea-surface temperature off Tasmania, which the shipped model knows."""
    with xr.open_dataset(TASMAN) as ds:
        sst = ds.sst.sel(time=slice("2011-03-01", None)).isel(time=slice(0, days))
        return sst.drop_attrs().load()


def build_11(folder: Path) -> None:
    """Wind around north: from 350 to 10 degrees and back."""
    direction = (360 + 25 * cycle(600, 37) + 12 * walk(600, 11)) % 360
    attributes = {"units": "degree", "standard_name": "wind_from_direction"}
    truth = xr.Dataset({"wd": ("time", direction, attributes)}, {"time": times("2020-01-01", 600, "h")})
    pair(folder, truth, "wd", outages(600, 0.15, 9, 11))


def turned(place: Place, source: str, *options: object) -> float:
    """Error in the gaps around the circle, in degrees."""
    done = fill(place, "wd", source=source, options=options, within=None)
    assert done.after.wd.min() >= 0
    assert done.after.wd.max() <= 360
    off = (done.after.wd - place.read("truth.nc").wd + 180) % 360 - 180
    return float(np.sqrt((off.where(done.before.wd.isnull()) ** 2).mean()))


def right_11(place: Place) -> str:
    """Filled around the circle, which the standard name says, or --circular."""
    named = turned(place, "gappy.nc")
    plain = place.read("gappy.nc")
    plain.wd.attrs = {"units": "1"}
    plain.to_netcdf(place.folder / "plain.nc")
    said = turned(place, "plain.nc", "--circular", "wd", "--method", "linear")
    assert max(named, said) < 30, f"{named:.0f} and {said:.0f} degrees off"
    return f"filled, {named:.0f} degrees off"


def build_12(folder: Path) -> None:
    """Hourly rain; one day is empty everywhere."""
    steps, rows, columns = 24 * 16, 3, 4
    random = np.random.default_rng(12)
    wet = (walk(steps, 12, 0.93) > 0.9)[:, None, None]
    rain = np.where(wet, random.gamma(0.6, 3, (steps, rows, columns)), 0)
    seen = clouds((steps, rows, columns), 0.06, 12)
    seen[24 * 9 : 24 * 10] = False
    attributes = {"units": "kg/m^2", "standard_name": "precipitation_amount", "cell_methods": "time: sum"}
    apcp = (("time", "lat", "lon"), rain.astype("f4"), attributes)
    pair(
        folder,
        xr.Dataset(
            {"APCP_surface": apcp}, {"time": times("2024-05-20", steps, "h"), **degrees(rows, columns)}
        ),
        "APCP_surface",
        seen,
    )


def right_12(place: Place) -> str:
    """No rain is negative, dry hours stay dry, and --max-gap leaves the day empty."""
    name = "APCP_surface"
    done = fill(place, name, within=None)
    assert done.after[name].min() >= 0
    empty = (
        done.before[name]
        .isnull()
        .all(("lat", "lon") if "lat" in done.before.dims else ("latitude", "longitude"))
    )
    for options in ({"options": ["--max-gap", "6h"]}, {"options": ["--max-gap", "6h"], "baseline": "linear"}):
        short = fill(place, name, within=None, **options)
        assert short.after[name].sel(time=empty).isnull().all(), "the empty day was filled"
        assert (short.after[f"{name}_flag"].sel(time=~empty) == 1).any()
    return "filled, nothing negative; --max-gap 6h leaves the day"


def build_13(folder: Path) -> None:
    """Snow depth, which is never negative, and soil moisture with a valid range."""
    days, stations = 730, 4
    year = np.cos(2 * np.pi * (np.arange(days) - 20) / 365)[:, None]
    snow = np.clip(60 * year - 15 + 5 * walk(days, 13, 0.95, stations), 0, None)
    sm = np.clip(0.12 + 0.11 * year + 0.03 * walk(days, 14, 0.9, stations), 0.005, 0.6)
    seen = xr.DataArray(
        np.stack([outages(days, 0.2, 25, 130 + k) for k in range(stations)], 1), dims=("time", "station")
    )
    dims = ("time", "station")
    fields = {
        "snow_depth": (dims, snow, {"units": "cm", "standard_name": "surface_snow_thickness"}),
        "sm": (dims, sm, {"units": "m3 m-3", "valid_range": [0.0, 0.6]}),
    }
    coordinates = {
        "time": times("2016-01-01", days),
        "station": ["A1", "B2", "C3", "D4"],
        "latitude": ("station", [46.0, 46.2, 46.5, 46.7], {"units": "degrees_north"}),
        "longitude": ("station", [7.0, 7.3, 8.0, 8.5], {"units": "degrees_east"}),
    }
    truth = xr.Dataset(fields, coordinates)
    truth.to_netcdf(folder / "truth.nc")
    truth.where(seen).transpose(*dims).to_netcdf(folder / "gappy.nc")


def right_13(place: Place) -> str:
    """Both are filled within their bounds, by each method; --bounds narrows them."""
    done = fill(place, "snow_depth", "sm", within=0.9)
    # Fitted trends and cycles fall below zero in summer.
    fitted = fill(place, "snow_depth", "sm", options=["--method", "climatology"], within=None)
    for after in (done.after, fitted.after):
        assert after.snow_depth.min() >= 0
        assert after.sm.min() >= 0
        assert after.sm.max() <= 0.6
    narrow = fill(
        place, "snow_depth", "sm", options=["--bounds", "sm=0.05:0.3", "--method", "linear"], within=None
    )
    new = narrow.after.sm.where(narrow.after.sm_flag != 0)
    assert new.min() >= 0.05
    assert new.max() <= 0.3
    return done.outcome


def build_22(folder: Path) -> None:
    """Daily files as NOAA gives them: a level of size 1, whole numbers, the unit Celsius."""
    sst = tasman(18)
    seen = xr.DataArray(clouds(sst.shape, 0.4, 22), dims=sst.dims)
    fields = {"sst": sst.where(seen), "err": sst * 0 + 0.2, "ice": sst * np.nan}
    ds = xr.Dataset({name: values.expand_dims("zlev", 1) for name, values in fields.items()})
    ds = ds.assign_coords(zlev=("zlev", [0.0], {"units": "meters", "positive": "down", "axis": "Z"}))
    for name in fields:
        ds[name].encoding = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 0.0, "_FillValue": -999}
        ds[name].attrs = {
            "units": "%" if name == "ice" else "Celsius",
            "valid_min": np.int16(-300),
            "valid_max": np.int16(4500),
        }
    for day in range(ds.sizes["time"]):
        ds.isel(time=[day]).to_netcdf(folder / f"oisst-avhrr-v02r01.{day:03d}.nc")
    sst.to_dataset(name="sst").to_netcdf(folder / "truth.nc")


def right_22(place: Place) -> str:
    """The shipped model fills them in their own unit, packing and shape; err and ice stop nobody."""
    files = place.files("oisst*.nc")
    before, truth = place.read(*files), place.read("truth.nc").sst
    said = ran("interpolate", "oisst*.nc", "filled.nc", "--model", "oisst-tasman", cwd=place.folder)
    after = place.read("filled.nc")
    assert after.sst.dims == before.sst.dims
    assert after.sst.attrs["units"] == "Celsius"
    assert after.sst.encoding["dtype"] == "int16"
    seen, sea = before.sst.notnull(), truth.notnull()
    assert (after.sst.values[seen.values] == before.sst.values[seen.values]).all(), said.err
    off = (after.sst.isel(zlev=0) - truth).where(sea & before.sst.isel(zlev=0).isnull())
    rms = float(np.sqrt((off**2).mean()))
    assert rms < 0.35, f"{rms:.2f} K off"
    lost = {"err", "ice", "zlev"} - set(after.variables)
    assert not lost, f"dropped: {lost}"
    fill(
        place,
        "sst",
        source=files,
        before=before,
        options=["--method", "linear"],
        output="linear.nc",
        within=None,
    )
    return f"filled by the shipped model, {rms:.2f} K off"


def build_30(folder: Path) -> None:
    """One field in three scales."""
    shape = (50, 6, 7)
    values, seen = 5 + waves(*shape, seed=30), clouds(shape, 0.3, 30)
    coordinates = {"time": times("2010-01-01", 50), **degrees(6, 7)}
    for name, scaled in (("one", values), ("tiny", 1e-12 * values), ("big", 101325 + 300 * (values - 5))):
        truth = xr.Dataset({"x": (("time", "lat", "lon"), scaled)}, coordinates)
        pair(folder, truth, "x", seen)
        (folder / "gappy.nc").rename(folder / f"{name}.nc")
        (folder / "truth.nc").rename(folder / f"{name}_truth.nc")


def right_30(place: Place) -> str:
    """The same skill in each."""
    for name in ("one", "tiny", "big"):
        done = fill(place, "x", source=f"{name}.nc", truth=f"{name}_truth.nc", within=0.7)
    return done.outcome


def build_54(folder: Path) -> None:
    """A truth and estimates of it, 0.1 off, at coordinates that are rounded, shifted, fewer or elsewhere."""
    lat, lon = 28.1 + 0.1 * np.arange(6), 10.1 + 0.1 * np.arange(7)
    truth = xr.Dataset(
        {"sst": (("time", "lat", "lon"), waves(20, 6, 7, seed=54))},
        {"time": times("2010-01-01", 20), "lat": lat, "lon": lon},
    )
    estimate = truth + 0.1
    for name, ds in {
        "truth64": truth,
        "est32": estimate.assign_coords(lat=lat.astype("f4"), lon=lon.astype("f4")),
        "estpart": estimate.isel(time=slice(5, None)),
        "flipped": estimate.isel(lat=slice(None, None, -1)),
        "noon": estimate.assign_coords(time=times("2010-01-01 12:00", 20)),
        "lon360": estimate.assign_coords(lon=lon + 360),
    }.items():
        ds.to_netcdf(folder / f"{name}.nc")


def right_54(place: Place) -> str:
    """Rounding and turns of 360 degrees do not matter, a part is named, other times are refused."""
    cells = place.read("truth64.nc").sst.size
    for name, part in (("est32.nc", cells), ("flipped.nc", cells), ("estpart.nc", cells * 3 // 4)):
        said = ran("evaluate", name, "truth64.nc", "--json", cwd=place.folder)
        scores = json.loads(said.out)["sst"]["all"]
        assert scores["cells"] == part, f"{name}: {scores['cells']} cells of {part}"
        assert abs(scores["rmse"] - 0.1) < 1e-6
        if part < cells:
            assert "75" in said.err or str(part) in said.err, f"{name}: nothing is said: {said.err!r}"
    turned = json.loads(ran("evaluate", "lon360.nc", "truth64.nc", "--json", cwd=place.folder).out)["sst"][
        "all"
    ]
    assert turned["cells"] == cells
    line = place.refuses("evaluate", "noon.nc", "truth64.nc", saying=["time"])
    return f"{cells} cells matched; {line}"


def build_62(folder: Path) -> None:
    """Kelvin without a unit, for a model in degrees Celsius."""
    sst = tasman(16) + 273.15
    sst = sst.where(xr.DataArray(clouds(sst.shape, 0.4, 62), dims=sst.dims))
    sst.to_dataset(name="sst").to_netcdf(folder / "gappy.nc")


def right_62(place: Place) -> str:
    """The values are far from what the model knows, which is refused unless --force is given."""
    model = ("--model", "oisst-tasman")
    line = place.refuses("interpolate", "gappy.nc", "filled.nc", *model, saying=["sst", "unit", "--force"])
    ran("interpolate", "gappy.nc", "filled.nc", *model, "--force", cwd=place.folder)
    return line


CASES = [
    Case(11, "Wind direction", "H", build_11, right_11),
    Case(12, "A missing day of hourly rain", "B H", build_12, right_12),
    Case(13, "Snow depth and soil moisture", "A H", build_13, right_13),
    Case(
        22,
        "NOAA OISST v2.1 daily files for the shipped model",
        "F G",
        build_22,
        right_22,
        "oisst-avhrr*.nc truth.nc",
    ),
    Case(
        30,
        "1e-12 and 101325",
        "",
        build_30,
        right_30,
        "one.nc one_truth.nc tiny.nc tiny_truth.nc big.nc big_truth.nc",
    ),
    Case(
        54,
        "evaluate, float32 against float64 coordinates",
        "M",
        build_54,
        right_54,
        "truth64.nc est32.nc estpart.nc flipped.nc noon.nc lon360.nc",
    ),
    Case(62, "Kelvin without units for the shipped model", "F", build_62, right_62, "gappy.nc"),
]
