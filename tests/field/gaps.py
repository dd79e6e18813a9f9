"""Marks of a gap: valid ranges, undeclared or misspelt fill values, several of them, quality levels, land."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
from field.check import Case, Place, fill
from field.shapes import clouds, cycle, degrees, outages, times, walk, waves


def axes(file: netCDF4.Dataset, **sizes: int) -> None:
    """Days, and degrees north and east."""
    for name, size in sizes.items():
        file.createDimension(name, size)
        variable = file.createVariable(name, "f4", (name,))
        variable[:] = np.arange(size) * (1 if name == "time" else 0.25)
        units = {"time": "days since 2012-03-01", "lat": "degrees_north", "lon": "degrees_east"}
        variable.units = units.get(name, "1")


def packed(
    file: netCDF4.Dataset, name: str, dims: str, counts: np.ndarray, fill_value: int, **attributes: object
) -> None:
    """A variable of counts, written as they are."""
    variable = file.createVariable(name, counts.dtype, dims.split(), fill_value=fill_value)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attributes)
    variable[:] = counts


def build_06(folder: Path) -> None:
    """Clouds are -32767, below valid_min; and -9999 outside of valid_range, with no fill value at all."""
    shape = (36, 6, 7)
    truth = 14 + 4 * waves(*shape, seed=6)
    seen = clouds(shape, 0.3, 6)
    counts = np.where(seen, np.round(100 * truth), -32767).astype("i2")
    counts[0, 0, 0] = -32768
    limits = {"valid_min": np.int16(-300), "valid_max": np.int16(4500)}
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        axes(file, time=36, lat=6, lon=7)
        packed(
            file,
            "sst",
            "time lat lon",
            counts,
            -32768,
            scale_factor=0.01,
            add_offset=0.0,
            units="degree_Celsius",
            **limits,
        )
    coordinates = {"time": times("2012-03-01", 36), **degrees(6, 7)}
    sst = (("time", "lat", "lon"), truth, {"units": "degree_Celsius"})
    xr.Dataset({"sst": sst}, coordinates).to_netcdf(folder / "truth.nc")
    marked = np.where(seen, truth, -9999).astype("f4")
    marked[3, 4, 5] = np.nan
    chl = (("time", "lat", "lon"), marked, {"units": "mg m-3", "valid_range": np.array([0, 100], "f4")})
    ds = xr.Dataset({"chl": chl}, coordinates)
    ds.to_netcdf(folder / "float.nc", encoding={"chl": {"_FillValue": None}})


def right_06(place: Place) -> str:
    """What lies outside of the valid range is a gap."""
    done = fill(place, "sst", gap=lambda a: ~(a > -3.001))
    assert done.after.sst.min() > -3.01
    fill(place, "sst", gap=lambda a: ~(a > -3.001), baseline="linear")
    # Its truth is that of sst, under another name.
    other = fill(place, "chl", source="float.nc", gap=lambda a: ~(a >= 0), within=None)
    assert other.after.chl.min() > -1
    return done.outcome


def build_07(folder: Path) -> None:
    """Half-hourly fluxes with -9999 and no attribute; in a second file, one of them has NaN."""
    steps = 48 * 20
    day = np.clip(-cycle(steps, 48, 1.6), 0, None)
    ta, nee = 14 + 6 * cycle(steps, 48, -2) + walk(steps, 7, 0.97), 3 - 20 * day + walk(steps, 8, 0.3)
    seen = {"NEE": outages(steps, 0.2, 40, 7), "TA": outages(steps, 0.1, 20, 8)}
    truth = xr.Dataset(
        {"NEE": ("time", nee), "TA": ("time", ta)}, {"time": times("2019-05-01 00:30", steps, "30min")}
    )
    truth.to_netcdf(folder / "truth.nc")
    marked = truth.copy()
    for name, there in seen.items():
        marked[name] = truth[name].where(xr.DataArray(there, dims="time"), -9999.0)
    marked["NEE_QC"] = ("time", np.where(seen["NEE"], 0.0, -9999.0))
    plain = {name: {"_FillValue": None} for name in marked.data_vars}
    marked.to_netcdf(folder / "gappy.nc", encoding=plain)
    marked["TA"] = marked.TA.where(marked.TA > -9000)
    marked.to_netcdf(folder / "mixed.nc", encoding={name: plain[name] for name in ("NEE", "NEE_QC")})


def right_07(place: Place) -> str:
    """The mark is recognised and reported, and can be declared to be a value."""
    for source in ("gappy.nc", "mixed.nc"):
        done = fill(place, "NEE", "TA", source=source, gap=lambda a: ~(a > -9000), within=1.5)
        done.notes("-9999")
    kept = fill(place, source="gappy.nc", options=["--fill-value", "none", "--method", "linear"], within=None)
    assert (kept.after.NEE == -9999).any()
    declared = fill(
        place,
        "NEE",
        "TA",
        gap=lambda a: ~(a > -9000),
        options=["--fill-value", "-9999", "--method", "linear"],
        within=1.6,
    )
    return done.outcome + f"; --fill-value -9999 {declared.outcome}"


def build_08(folder: Path) -> None:
    """Land is 0, clouds are NaN, and the fill value is yet another number."""
    shape = (40, 8, 9)
    truth = 18 + 2 * waves(*shape, seed=8)
    land = np.zeros(shape[1:], bool)
    land[:3, :4] = True
    gappy = np.where(clouds(shape, 0.35, 8), truth, np.nan)
    gappy[:, land] = 0
    coordinates = {"time": times("2005-06-01", 40), **degrees(8, 9)}
    dims, units = ("time", "lat", "lon"), {"units": "degC"}
    xr.Dataset({"sst": (dims, np.where(land, np.nan, truth), units)}, coordinates).to_netcdf(
        folder / "truth.nc"
    )
    ds = xr.Dataset({"sst": (dims, gappy.astype("f4"), units)}, coordinates)
    ds.to_netcdf(folder / "gappy.nc", encoding={"sst": {"_FillValue": np.float32(9.96921e36)}})


def right_08(place: Place) -> str:
    """Clouds over the sea are filled, and land does not draw the sea to 0."""
    return fill(place, "sst", within=0.5).outcome


def build_18(folder: Path) -> None:
    """Levels of quality 0 to 5; what is below 4 is there, and wrong."""
    shape = (36, 7, 8)
    truth = 290 + 2 * waves(*shape, seed=18)
    seen, good = clouds(shape, 0.25, 18), clouds(shape, 0.45, 18)
    level = np.where(good, 5, np.where(seen, 1, 0)).astype("i1")
    sst = np.where(level == 1, truth - 6, np.where(level == 0, np.nan, truth))
    dims = ("time", "lat", "lon")
    flags = {
        "flag_values": np.arange(6, dtype="i1"),
        "flag_meanings": "no_data bad worst low acceptable best",
    }
    attributes = {"units": "kelvin", "standard_name": "sea_surface_skin_temperature"}
    coordinates = {"time": times("2016-09-01", 36), **degrees(7, 8, -20, 150)}
    ds = xr.Dataset(
        {"sea_surface_temperature": (dims, sst, attributes), "quality_level": (dims, level, flags)},
        coordinates,
    )
    counts = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768}
    ds.to_netcdf(
        folder / "gappy.nc",
        encoding={"sea_surface_temperature": counts, "quality_level": {"dtype": "i1", "_FillValue": -128}},
    )
    xr.Dataset({"sea_surface_temperature": (dims, truth)}, coordinates).to_netcdf(folder / "truth.nc")


def right_18(place: Place) -> str:
    """--mask takes an expression; a plain mask of several levels gets a note."""
    name, level = "sea_surface_temperature", place.read("gappy.nc").quality_level
    for options in ({}, {"baseline": "linear"}):
        done = fill(
            place, name, options=["--mask", "quality_level>=4"], gap=lambda a: ~(level >= 4), **options
        )
    plain = fill(
        place,
        name,
        options=["--mask", "quality_level", "--method", "linear"],
        gap=lambda a: a.isnull(),
        within=None,
    )
    plain.notes("quality_level")
    return done.outcome


def build_56(folder: Path) -> None:
    """_FillValue and missing_value both, and a list of them."""
    steps = 240
    truth, seen = 12 + 3 * cycle(steps, 50) + 0.5 * walk(steps, 56, 0.8), outages(steps, 0.2, 8, 56)
    values = np.where(seen, truth, -999.0).astype("f4")
    values[5::41] = 9.96921e36
    for name, marks in (("gappy.nc", np.float32(-999)), ("list.nc", np.array([-999, -888], "f4"))):
        with netCDF4.Dataset(folder / name, "w") as file:
            file.createDimension("time", steps)
            time = file.createVariable("time", "f8", ("time",))
            time[:], time.units, time.delta_t = (
                6.0 * np.arange(steps),
                "hours since 1-1-1 00:00:0.0",
                "0000-00-00 06:00:00",
            )
            u = file.createVariable("u", "f4", ("time",), fill_value=np.float32(9.96921e36))
            u.set_auto_mask(False)
            u.missing_value, u.units = marks, "m/s"
            if name == "list.nc":
                values[7:9] = -888
            u[:] = values
    xr.Dataset({"u": ("time", truth)}).to_netcdf(folder / "truth.nc")


def right_56(place: Place) -> str:
    """All of them are gaps, and Python says nothing of its own."""
    for name in ("gappy.nc", "list.nc"):
        done = fill(place, "u", source=name, gap=lambda a: ~((a > -800) & (a < 1e30)))
        assert done.after.u.min() > -100
    return done.outcome


def build_57(folder: Path) -> None:
    """Bytes that count as unsigned, as those of GOES."""
    shape = (36, 6, 7)
    truth, seen = 212 + 4 * waves(*shape, seed=57), clouds(shape, 0.3, 57)
    counts = np.where(seen, np.clip(np.round((truth - 200) / 0.1), 0, 254), 255).astype("u1").view("i1")
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        for name, size in (("time", 36), ("y", 6), ("x", 7)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time[:], time.units = 600.0 * np.arange(36), "seconds since 2000-01-01 12:00:00"
        scale = {"scale_factor": np.float32(0.1), "add_offset": np.float32(200), "units": "K"}
        packed(file, "CMI", "time y x", counts, -1, **{"_Unsigned": "true"}, **scale)
    xr.Dataset({"CMI": (("time", "y", "x"), truth)}).to_netcdf(folder / "truth.nc")


def right_57(place: Place) -> str:
    """The values are those between 200 and 225.4 K."""
    done = fill(place, "CMI")
    assert done.after.CMI.min() > 195
    assert done.after.CMI.max() < 230
    return done.outcome


def build_65(folder: Path) -> None:
    """Reflectivity that is minus infinity where there is no echo."""
    steps = 300
    values = 10 + 3 * walk(steps, 65)
    values = np.where(values > 9, values, -np.inf)
    values[~outages(steps, 0.1, 9, 65)] = np.nan
    ds = xr.Dataset({"dbz": ("time", values, {"units": "dBZ"})}, {"time": times("2020-01-01", steps, "h")})
    ds.to_netcdf(folder / "gappy.nc")


def right_65(place: Place) -> str:
    """One line, of every command that fills."""
    place.refuses("baseline", "gappy.nc", "filled.nc", saying=["infin"])
    return place.refuses("interpolate", "gappy.nc", "filled.nc", saying=["infin", "dbz"])


def build_67(folder: Path) -> None:
    """Packed chlorophyll; valid_min is a count, and one value is near the end of the packed range."""
    shape = (40, 6, 7)
    truth = np.exp(0.7 * waves(*shape, seed=67) - 1.2)
    seen = clouds(shape, 0.35, 67)
    truth[10, 2, 2], seen[10, 2, 2] = 32.0, True
    counts = np.where(seen, np.round(1000 * truth), -1).astype("i2")
    limits = {"valid_min": np.int16(1), "valid_max": np.int16(32767)}
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        axes(file, time=40, lat=6, lon=7)
        packed(
            file,
            "chl",
            "time lat lon",
            counts,
            -1,
            scale_factor=0.001,
            add_offset=0.0,
            units="mg m-3",
            **limits,
        )
    xr.Dataset({"chl": (("time", "lat", "lon"), truth)}).to_netcdf(folder / "truth.nc")


def right_67(place: Place) -> str:
    """A reader that masks by the attributes, as netCDF4 does, masks nothing that was written."""
    done = fill(place, "chl", within=1.9)
    assert done.after.chl.min() >= 0
    with netCDF4.Dataset(place.folder / "filled.nc") as file:
        masked = int(np.ma.getmaskarray(file["chl"][:]).sum())
    assert masked == int(done.after.chl.isnull().sum()), f"netCDF4 masks {masked} values"
    return done.outcome


def build_71(folder: Path) -> None:
    """missing_value as text, and a misspelt attribute."""
    steps = 500
    truth, seen = 1.5 + cycle(steps, 12.42) + 0.1 * walk(steps, 71), outages(steps, 0.15, 15, 71)
    values = np.where(seen, truth, -9999).astype("f4")
    for name, attribute, value in (
        ("text.nc", "missing_value", "-9999"),
        ("misspelt.nc", "fill_value", np.float32(-9999)),
    ):
        with netCDF4.Dataset(folder / name, "w") as file:
            file.createDimension("time", steps)
            time = file.createVariable("time", "f8", ("time",))
            time[:], time.units = np.arange(steps) / 24, "days since 1990-01-01"
            level = file.createVariable("sea_level", "f4", ("time",))
            level.set_auto_maskandscale(False)
            level[:], level.units = values, "m"
            level.setncattr(attribute, value)
    xr.Dataset({"sea_level": ("time", truth)}).to_netcdf(folder / "truth.nc")


def right_71(place: Place) -> str:
    """Both are understood as what they were meant to be."""
    for name in ("text.nc", "misspelt.nc"):
        done = fill(place, "sea_level", source=name, gap=lambda a: ~(a > -9000), within=1.6)
        assert done.after.sea_level.min() > -100
    return done.outcome


CASES = [
    Case(
        6,
        "Clouds outside of valid_min and valid_range",
        "C",
        build_06,
        right_06,
        "gappy.nc float.nc truth.nc",
    ),
    Case(7, "Flux tower, -9999 without an attribute", "C", build_07, right_07, "gappy.nc mixed.nc truth.nc"),
    Case(8, "Sea-surface temperature that is 0 on land", "", build_08, right_08),
    Case(18, "GHRSST, quality levels 0 to 5", "C", build_18, right_18),
    Case(
        56,
        "_FillValue and missing_value both, and a list",
        "C",
        build_56,
        right_56,
        "gappy.nc list.nc truth.nc",
    ),
    Case(57, "Unsigned bytes of GOES", "", build_57, right_57),
    Case(65, "Minus infinity for no echo", "", build_65, right_65, "gappy.nc"),
    Case(67, "valid_min in packed counts", "C", build_67, right_67),
    Case(
        71,
        "missing_value as text, attribute fill_value",
        "C",
        build_71,
        right_71,
        "text.nc misspelt.nc truth.nc",
    ),
]
