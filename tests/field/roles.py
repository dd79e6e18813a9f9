"""Which variables are fields: bounds, vertices, positions, flags and statics are carried along untouched."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
from door import ran
from field.check import Case, Place, carried, fill, pointed
from field.shapes import clouds, cycle, degrees, outages, pair, times, walk, waves


def hidden(place: Place, *options: object) -> None:
    """Hide a part of truth.nc with `da4dvar gaps`, which leaves alone what is no field."""
    ran(
        "gaps",
        "truth.nc",
        "hidden.nc",
        "--kind",
        "random",
        "--fraction",
        0.8,
        "--overwrite",
        *options,
        cwd=place.folder,
    )
    pointed(place.folder / "hidden.nc")


def build_01(folder: Path) -> None:
    """Bounds that are variables of numbers, a scalar height, a calendar without leap days."""
    steps, rows, columns = 48, 5, 6
    months = xr.date_range("2000-01-16", periods=steps, freq="MS", calendar="noleap", use_cftime=True)
    lat, lon = np.linspace(-50, 50, rows), np.linspace(0, 300, columns)
    values = 280 + 4 * waves(steps, rows, columns, seed=1) + 10 * cycle(steps, 12)[:, None, None]
    tas = (("time", "lat", "lon"), values.astype("f4"), {"units": "K", "standard_name": "air_temperature"})
    truth = xr.Dataset(
        {
            "tas": tas,
            "lat_bnds": (("lat", "bnds"), np.stack([lat - 12.5, lat + 12.5], 1)),
            "lon_bnds": (("lon", "bnds"), np.stack([lon - 30, lon + 30], 1)),
        },
        {
            "time": ("time", months, {"axis": "T", "standard_name": "time", "bounds": "time_bnds"}),
            "lat": ("lat", lat, {"units": "degrees_north", "axis": "Y", "bounds": "lat_bnds"}),
            "lon": ("lon", lon, {"units": "degrees_east", "axis": "X", "bounds": "lon_bnds"}),
            "height": ((), 2.0, {"units": "m", "axis": "Z"}),
        },
    )
    mark = np.float32(1e20)
    truth.tas.encoding = {"_FillValue": mark, "missing_value": mark, "coordinates": "height"}
    pair(folder, truth, "tas", clouds((steps, rows, columns), 0.3, 1))


def right_01(place: Place) -> str:
    """Filled, scored and hidden, with the bounds kept."""
    done = fill(place, "tas", within=0.9)
    fill(place, "tas", baseline="linear", output="linear.nc", within=None)
    hidden(place)
    carried(place.read("truth.nc"), place.read("hidden.nc"), ["tas"])
    return done.outcome


def build_03(folder: Path) -> None:
    """The new layout of the CDS: valid_time, a scalar number, expver as text along the time."""
    steps, rows, columns = 96, 5, 6
    values = 290 + 2 * waves(steps, rows, columns, seed=3) + 3 * cycle(steps, 24)[:, None, None]
    truth = xr.Dataset(
        {
            "skt": (
                ("valid_time", "latitude", "longitude"),
                values.astype("f4"),
                {"units": "K", "GRIB_paramId": 235},
            )
        },
        {
            "valid_time": ("valid_time", times("2024-08-01", steps, "h"), {"standard_name": "time"}),
            "number": ((), 0, {"units": "1", "standard_name": "realization"}),
            "expver": ("valid_time", np.where(np.arange(steps) < 60, "0001", "0005")),
            "latitude": ("latitude", 50 - 0.25 * np.arange(rows), {"units": "degrees_north"}),
            "longitude": ("longitude", 5 + 0.25 * np.arange(columns), {"units": "degrees_east"}),
        },
    )
    pair(folder, truth, "skt", clouds((steps, rows, columns), 0.3, 3))


def right_03(place: Place) -> str:
    """Filled and flagged; number and expver are there."""
    return fill(place, "skt").outcome


def build_16(folder: Path) -> None:
    """WRF: dimensions without coordinates, times as characters, positions with a time dimension."""
    steps, rows, columns = 60, 5, 6
    truth, seen = 285 + 3 * waves(steps, rows, columns, seed=16), clouds((steps, rows, columns), 0.3, 16)
    hours = times("2018-10-15", steps, "h").strftime("%Y-%m-%d_%H:%M:%S")
    grid = ("Time", "south_north", "west_east")
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        for name, size in zip((*grid, "DateStrLen"), (None, rows, columns, 19), strict=True):
            file.createDimension(name, size)
        file.createVariable("Times", "S1", ("Time", "DateStrLen"))[:] = netCDF4.stringtochar(
            np.array(hours, "S19")
        )
        places = np.meshgrid(np.linspace(40, 41, rows), np.linspace(-5, -4, columns), indexing="ij")
        for name, values, units in zip(
            ("XLAT", "XLONG"), places, ("degree_north", "degree_east"), strict=True
        ):
            variable = file.createVariable(name, "f4", grid)
            variable[:], variable.units = np.broadcast_to(values, truth.shape), units
        xtime = file.createVariable("XTIME", "f4", ("Time",))
        xtime[:], xtime.units = 60 * np.arange(steps), "minutes since 2018-10-15 00:00:00"
        t2 = file.createVariable("T2", "f4", grid, fill_value=1e20)
        t2[:], t2.units, t2.coordinates = np.where(seen, truth, 1e20), "K", "XLONG XLAT XTIME"
    xr.Dataset({"T2": (grid, truth)}).to_netcdf(folder / "truth.nc")


def right_16(place: Place) -> str:
    """Filled with --dim time=Time; the times as characters, XTIME and the positions are there."""
    return fill(place, "T2", options=["--dim", "time=Time"]).outcome


def build_17(folder: Path) -> None:
    """An ocean on its native grid: positions and vertices in two and three dimensions, land."""
    steps, rows, columns = 48, 6, 7
    values = 16 + 2 * waves(steps, rows, columns, seed=17)
    values[:, 2:4, 3:5] = np.nan
    j, i = np.mgrid[0:rows, 0:columns]
    lat, lon = 50 + j + 0.1 * i, -20 + i - 0.1 * j
    corners = {
        "latitude": lat[..., None] + [-0.5, -0.5, 0.5, 0.5],
        "longitude": lon[..., None] + [-0.5, 0.5, 0.5, -0.5],
    }
    months = xr.date_range("1990-01-16", periods=steps, freq="MS", calendar="noleap", use_cftime=True)
    tos = (
        ("time", "j", "i"),
        values.astype("f4"),
        {"units": "degC", "standard_name": "sea_surface_temperature"},
    )
    vertices = {f"vertices_{name}": (("j", "i", "vertices"), corner) for name, corner in corners.items()}
    coordinates = {"time": ("time", months, {"axis": "T"}), "j": np.arange(rows), "i": np.arange(columns)}
    for name, place, units in (("latitude", lat, "degrees_north"), ("longitude", lon, "degrees_east")):
        coordinates[name] = (
            ("j", "i"),
            place,
            {"units": units, "standard_name": name, "bounds": f"vertices_{name}"},
        )
    pair(
        folder,
        xr.Dataset({"tos": tos, **vertices}, coordinates),
        "tos",
        clouds((steps, rows, columns), 0.3, 17),
    )


def right_17(place: Place) -> str:
    """The sea is filled, land stays empty, positions and vertices are kept."""
    done = fill(place, "tos")
    assert (done.after.tos_flag == 2).all("time").any(), "land has no flag 2"
    fill(place, "tos", baseline="linear", output="linear.nc", whole=False)
    hidden(place)
    return done.outcome


def build_21(folder: Path) -> None:
    """Soil moisture beside flags, bit masks, a mode and the time of each observation."""
    shape = (40, 5, 6)
    dims, random = ("time", "lat", "lon"), np.random.default_rng(21)
    truth, seen = np.clip(0.25 + 0.08 * waves(*shape, seed=21), 0.01, 0.6), clouds(shape, 0.3, 21)

    def observed(values: np.ndarray, **attributes: object) -> tuple[object, ...]:
        return dims, np.where(seen, values, np.nan), attributes

    words = {"flag": "none snow vegetation", "sensor": "AMSR2 ASCATA", "mode": "ascending descending"}
    days = np.arange(40)[:, None, None] + 15461 + random.uniform(-0.4, 0.4, shape)
    ds = xr.Dataset(
        {
            "sm": observed(truth, units="m3 m-3", long_name="Volumetric Soil Moisture"),
            "sm_uncertainty": observed(0.02 + 0.01 * random.random(shape), units="m3 m-3"),
            "flag": observed(
                random.choice([0, 1, 2], shape),
                flag_values=np.array([0, 1, 2], "i1"),
                flag_meanings=words["flag"],
            ),
            "sensor": observed(
                random.choice([16, 64, 80], shape),
                flag_masks=np.array([16, 64], "i4"),
                flag_meanings=words["sensor"],
            ),
            "mode": observed(
                random.choice([1, 2], shape), flag_values=np.array([1, 2], "i1"), flag_meanings=words["mode"]
            ),
            "t0": observed(
                days, units="days since 1970-01-01 00:00:00 UTC", long_name="Observation Timestamp"
            ),
        },
        {"time": times("2012-05-01", 40), **degrees(5, 6, 47)},
    )
    codes = {
        "flag": ("i1", 127),
        "sensor": ("i2", 0),
        "mode": ("i1", 0),
        "t0": ("f8", -9999.0),
        "sm": ("f4", -9999.0),
    }
    ds.to_netcdf(
        folder / "gappy.nc",
        encoding={n: {"dtype": kind, "_FillValue": mark} for n, (kind, mark) in codes.items()},
    )
    xr.Dataset({"sm": (dims, truth)}, ds.coords).to_netcdf(folder / "truth.nc")


def right_21(place: Place) -> str:
    """Soil moisture is filled; codes, bit masks and times of observation are carried along."""
    done = fill(place, "sm", within=0.8)
    fill(place, "sm", baseline="linear", output="linear.nc", within=1.0, whole=False)
    assert not {"flag_flag", "sensor_flag", "mode_flag", "t0_flag"} & set(done.after.variables)
    return done.outcome


def build_24(folder: Path) -> None:
    """Hourly sea level of two stations in whole millimetres, with the names of the stations."""
    steps = 24 * 20
    levels = [
        1200
        + 900 * cycle(steps, 12.42, phase)
        + 350 * cycle(steps, 12, phase)
        + 40 * walk(steps, 24 + station, 0.97)
        for station, phase in enumerate((0.0, 0.8))
    ]
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        for name, size in (("record_id", 2), ("time", None), ("station_name_strlen", 20)):
            file.createDimension(name, size)
        file.createVariable("record_id", "i2", ("record_id",))[:] = [570, 571]
        time = file.createVariable("time", "f8", ("time",))
        time[:], time.units, time.axis = 78527 + np.arange(steps) / 24, "days since 1800-01-01 00:00:00", "T"
        level = file.createVariable("sea_level", "i2", ("record_id", "time"), fill_value=-32767)
        level.units, level.platform = "millimeters", "station_name"
        level[:] = [
            np.where(outages(steps, 0.12, 24, 240 + k), np.round(x), -32767) for k, x in enumerate(levels)
        ]
        for name, values, units in (
            ("lat", [21.3, 19.7], "degrees_north"),
            ("lon", [202.1, 204.9], "degrees_east"),
        ):
            variable = file.createVariable(name, "f4", ("record_id",))
            variable[:], variable.units = values, units
        names = file.createVariable("station_name", "S1", ("record_id", "station_name_strlen"))
        names[:] = netCDF4.stringtochar(np.array(["Alpha Harbour", "Beta Bay"], "S20"))
    xr.Dataset({"sea_level": (("record_id", "time"), np.array(levels))}).to_netcdf(folder / "truth.nc")


def right_24(place: Place) -> str:
    """Observed millimetres come back to the bit in whole numbers; names and positions are there."""
    done = fill(place, "sea_level", within=1.6)
    assert done.after.sea_level.encoding["dtype"] == "int16"
    fill(place, "sea_level", baseline="linear", output="linear.nc", within=None)
    # The analysis of every hour is a choice, and its change of the observed hours is printed.
    options = ["--analysis", "--method", "climatology"]
    changed = fill(place, "sea_level", options=options, exact=False, output="analysis.nc", within=None)
    assert "observed" in (changed.said.out + changed.said.err)
    return done.outcome


def build_45(folder: Path) -> None:
    """Members of an ensemble, with a grid mapping as a coordinate."""
    dims = ("member", "time")
    tas, pr = 12 + 5 * walk(64, 45, 0.9, 6).T, np.clip(walk(64, 46, 0.6, 6).T - 0.5, 0, None) / 50
    pole = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    where = {"grid_mapping": "rotated_pole"}
    fields = {
        "tas": (dims, tas.astype("f4"), {"units": "deg_C", **where}),
        "pr": (dims, pr.astype("f4"), {"units": "m", **where}),
    }
    xr.Dataset(fields, {"time": times("2018-06-01", 64, "6h"), "rotated_pole": pole}).to_netcdf(
        folder / "truth.nc"
    )


def right_45(place: Place) -> str:
    """Hidden, filled, and the grid mapping kept."""
    hidden(place)
    return fill(place, "tas", source="hidden.nc", added=["pr"], within=1.0).outcome


def build_46(folder: Path) -> None:
    """A mesh of faces, whose nodes have positions and which has no gap."""
    steps, faces, nodes = 6, 24, 38
    fields = {
        "theta": (
            ("time_counter", "face"),
            290 + walk(steps, 46, 0.9, faces).astype("f4"),
            {"mesh": "mesh", "location": "face"},
        ),
        "mesh": (
            (),
            0,
            {"cf_role": "mesh_topology", "topology_dimension": 2, "node_coordinates": "node_x node_y"},
        ),
        "node_x": (
            "node",
            np.linspace(-180, 180, nodes),
            {"units": "degrees_east", "standard_name": "longitude"},
        ),
        "node_y": (
            "node",
            np.linspace(-90, 90, nodes),
            {"units": "degrees_north", "standard_name": "latitude"},
        ),
        "face_nodes": (
            ("face", "corner"),
            np.arange(faces * 4).reshape(faces, 4) % nodes,
            {"cf_role": "face_node_connectivity"},
        ),
    }
    xr.Dataset(fields, {"time_counter": times("2016-01-01", steps)}).to_netcdf(folder / "gappy.nc")


def right_46(place: Place) -> str:
    """Nothing to fill is said, and the file comes back whole."""
    done = fill(place, within=None)
    done.notes("no gap")
    fill(place, baseline="linear", output="linear.nc", within=None)
    return "no gap; copied"


def build_47(folder: Path) -> None:
    """A rotated pole, positions in two dimensions, bounds of the time, land that was never observed."""
    steps, rows, columns = 20, 8, 9
    values = np.exp(waves(steps, rows, columns, seed=47)) * 1e-5
    values[:, :2, :3] = np.nan
    rlat, rlon = np.linspace(-2, 2, rows), np.linspace(-2, 2, columns)
    lat, lon = np.meshgrid(50 + rlat, 10 + rlon, indexing="ij")
    days = 2922.5 + np.arange(steps)
    fields = {
        "pr": (
            ("time", "rlat", "rlon"),
            values.astype("f4"),
            {"units": "kg m-2 s-1", "standard_name": "precipitation_flux", "grid_mapping": "rotated_pole"},
        ),
        "rotated_pole": (
            (),
            "",
            {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 18.0},
        ),
        "time_bnds": (("time", "nv"), np.stack([days - 0.5, days + 0.5], 1)),
    }
    coordinates = {
        "time": ("time", days, {"axis": "T", "units": "days since 1950-01-01", "bounds": "time_bnds"}),
        "rlat": ("rlat", rlat, {"axis": "Y", "standard_name": "grid_latitude", "units": "degrees"}),
        "rlon": ("rlon", rlon, {"axis": "X", "standard_name": "grid_longitude", "units": "degrees"}),
        "lat": (("rlat", "rlon"), lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": (("rlat", "rlon"), lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    xr.Dataset(fields, coordinates).to_netcdf(
        folder / "truth.nc", encoding={"pr": {"_FillValue": np.float32(1e30)}}
    )


def right_47(place: Place) -> str:
    """Hidden and filled; the pole, the positions and the bounds are there."""
    hidden(place)
    done = fill(place, "pr", source="hidden.nc", baseline="linear", within=None)
    assert done.after.pr.min() >= 0
    return fill(place, "pr", source="hidden.nc", output="best.nc", within=1.5, whole=False).outcome


def build_48(folder: Path) -> None:
    """A column amount beside an averaging kernel that has one dimension twice."""
    values = 400 + 4 * cycle(300, 365) + 0.5 * walk(300, 48, 0.8)
    with netCDF4.Dataset(folder / "gappy.nc", "w") as file:
        file.createDimension("time", 300)
        file.createDimension("level", 6)
        time = file.createVariable("time", "f8", ("time",))
        time[:], time.units = np.arange(300), "days since 2015-01-01"
        xco2 = file.createVariable("xco2", "f4", ("time",), fill_value=-999.0)
        xco2[:], xco2.units = np.where(outages(300, 0.2, 9, 48), values, -999), "ppm"
        file.createVariable("avk", "f4", ("level", "level"), fill_value=-999.0)[:] = np.eye(6)
    xr.Dataset({"xco2": ("time", values)}).to_netcdf(folder / "truth.nc")


def right_48(place: Place) -> str:
    """The amount is filled, and the kernel is as it was."""
    done = fill(place, "xco2", within=1.0)
    fill(place, "xco2", baseline="linear", output="linear.nc", within=None)
    return done.outcome


def build_55(folder: Path) -> None:
    """Discharge of basins by date, and attributes of the basins, one of them with a gap."""
    days, basins = 400, 4
    flow = np.exp(0.5 + cycle(days, 365) + 0.5 * walk(days, 55, 0.95, basins).T)
    seen = np.stack([outages(days, 0.15, 15, 550 + k) for k in range(basins)])
    fields = {
        "qobs": (("basin", "date"), flow, {"units": "mm/d"}),
        "prcp": (("basin", "date"), np.random.default_rng(55).gamma(0.5, 5, flow.shape)),
        "area": ("basin", np.linspace(50, 900, basins)),
        "slope_fdc": ("basin", np.array([0.1, np.nan, 0.3, 0.2])),
    }
    names = [f"{1013500 + k:08d}" for k in range(basins)]
    pair(folder, xr.Dataset(fields, {"date": times("1990-10-01", days), "basin": names}), "qobs", seen)


def right_55(place: Place) -> str:
    """Discharge is filled and stays positive; the statics keep their own gap."""
    done = fill(place, "qobs", within=0.9)
    assert done.after.qobs.min() >= 0
    return done.outcome


def build_74(folder: Path) -> None:
    """Output of a rainfall-runoff model: complete rain, discharge with gaps, and one that is all gap."""
    days = 300
    q = 20 + 6 * cycle(days, 120)[:, None] + walk(days, 74, 0.95, 2)
    fields = {
        "precip": ("time", np.random.default_rng(74).gamma(0.5, 4, days), {"units": "mm d**-1"}),
        "q_obs": (("time", "nbasins"), q, {"units": "m**3 s**-1"}),
        "q_in": (("time", "nbasins"), np.full(q.shape, np.nan), {"units": "m**3 s**-1"}),
        "basin_name": ("nbasins", ["upper", "lower"]),
    }
    seen = np.stack([outages(days, 0.15, 10, 740 + k) for k in range(2)], 1)
    pair(folder, xr.Dataset(fields, {"time": times("2000-01-01", days)}), "q_obs", seen)


def right_74(place: Place) -> str:
    """The discharge that can be filled is filled, whatever the others are like."""
    done = fill(place, "q_obs", within=0.9)
    done.notes("q_in")
    return done.outcome


CASES = [
    Case(1, "CMIP6-like file with float bounds", "E O", build_01, right_01),
    Case(3, "New CDS layout: valid_time, number, expver along time", "A", build_03, right_03),
    Case(16, "WRF: Time, south_north, west_east", "O", build_16, right_16),
    Case(17, "CMIP6 ocean, 2-D positions, vertices", "E O", build_17, right_17),
    Case(21, "ESA CCI soil moisture: flag, sensor, mode, t0", "E", build_21, right_21),
    Case(24, "UHSLC hourly sea level", "B E O", build_24, right_24),
    Case(45, "Ensemble hindcast", "A", build_45, right_45, "truth.nc=real/geps.nc"),
    Case(46, "LFRic mesh", "E", build_46, right_46, ""),
    Case(47, "Rotated pole", "", build_47, right_47, "truth.nc=real/rotpole.nc"),
    Case(48, "Column amounts beside avk(level, level)", "E G J", build_48, right_48),
    Case(55, "CAMELS: qobs(basin, date) and static attributes", "E", build_55, right_55),
    Case(74, "Raven output: one variable all NaN", "", build_74, right_74, ""),
]
