"""Maps of points that lie on no grid: six examples, each with its scores; see README.md."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from da4dvar.evaluation.text import boxes_table
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.points import Points, from_dataset
from da4dvar.fields.scores.boxes import box_coverage
from da4dvar.workflows.points.mapped import Mapped, map_points

ERA5 = Path(__file__).parents[2] / "datasets/era5-t2m-uk/era5_t2m_uk_2019_03.nc"
DAY = np.timedelta64(1, "D")


def rmse(error: np.ndarray) -> float:
    """Root mean square of the values that are there."""
    return float(np.sqrt(np.nanmean(np.square(error))))


def quiet(line: str) -> None:
    """Say nothing."""


def timed(points, grid: xr.Dataset, method: str, **options) -> tuple[Mapped, float]:
    """A map of one method, and the seconds of processor time that it took with its scores."""
    begin = time.process_time()
    mapped = map_points(points, grid, method=method, minutes=60, say=quiet, **options)
    return mapped, time.process_time() - begin


def along_tracks(truth: xr.DataArray, cells: Points, seed: int = 0) -> Points:
    """Points every 7 km along the lines through the cells of each pass, at one hour, with noise of 2 cm."""
    generator = np.random.default_rng(seed)
    numbers, parts = cells.tracks(), []
    for number in np.unique(numbers):
        own = cells.isel(numbers == number)
        if len(own) < 8:
            continue
        slope, offset = np.polyfit(own.lat, own.lon, 1)
        lat = np.arange(own.lat.min(), own.lat.max(), 0.063) + generator.uniform(0, 0.06)
        when = own.time[0] + (generator.uniform(0, 24) * 3600e9 * np.ones(lat.size)).astype("m8[ns]")
        at = {
            n: ("obs", v) for n, v in (("time", when), ("latitude", lat), ("longitude", offset + slope * lat))
        }
        value = truth.interp({n: xr.DataArray(v, dims=d) for n, (d, v) in at.items()}).values
        value = value + 0.02 * generator.standard_normal(lat.size)
        parts.append((value, when, lat, offset + slope * lat))
    value, when, lat, lon = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.isfinite(value)
    return Points("sla", value[kept], when[kept], lat[kept], lon[kept], attrs={"units": "m"})


def coarse(grid: xr.DataArray, degrees: float) -> xr.Dataset:
    """A grid of a resolution over the same sea, as an empty file whose land is not marked."""
    places = {}
    for name, units in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        low, high = float(grid[name][0]), float(grid[name][-1])
        places[name] = (
            name,
            np.arange(low + degrees / 2 - 0.0625, high + degrees, degrees),
            {"units": units},
        )
    return xr.Dataset(coords={"time": grid.time, **places})


def sla(path: str) -> None:
    """Sea level along simulated tracks, given as points and given binned."""
    ds = load_dataset(path).isel(time=slice(0, 30))
    truth, cells = ds.sla_true, from_dataset(ds, "sla", say=quiet)["sla"]
    unseen = truth.notnull().values & ds.sla.isnull().values
    exact = along_tracks(truth, cells)
    for title, points in (("cells of the file", cells), ("points every 7 km", exact)):
        print(f"{title}: {len(points)} points; RMSE of {unseen.sum()} unobserved values of the sea [cm]")
        rows = [
            ("points", "optimal_interpolation", ds[["sla_true"]]),
            ("cells of 1/4 degree", "binned_optimal_interpolation", coarse(truth, 0.25)),
        ]
        for given, method, grid in rows:
            mapped, seconds = timed(points, grid, method, std=True, interval=0.9)
            own = mapped.data
            if own.sla.shape != truth.shape:
                own = own.interp_like(truth, kwargs={"fill_value": "extrapolate"})
            error = (own.sla - truth).values[unseen]
            held = (own.sla_lower_90 <= truth) & (truth <= own.sla_upper_90)
            found = mapped.scores["sla"]
            promised = found.rmse_of_field if found.noise else found.rmse[method][0]
            print(
                f"  {given:22}{method:30}{100 * rmse(error):6.2f}  promised {100 * promised:5.2f}"
                f"  in the 90 % interval {100 * held.values[unseen].mean():5.1f} %  {seconds:5.0f} s",
                flush=True,
            )


def boxes(path: str) -> None:
    """Coverage of means over boxes and periods by the samples of a map of the points every 7 km."""
    ds = load_dataset(path).isel(time=slice(0, 30))
    truth, cells = ds.sla_true, from_dataset(ds, "sla", say=quiet)["sla"]
    points, table = along_tracks(truth, cells), {}
    for method in ("optimal_interpolation", "neighbours", "binned_optimal_interpolation"):
        mapped, seconds = timed(points, ds[["sla_true"]], method, samples=19)
        space = ["latitude", "longitude"]
        table[method] = box_coverage(mapped.data.sla_samples, truth, ds.sla.notnull(), space, "time")
        print(f"{method}: {seconds:.0f} s", flush=True)
    print(boxes_table(table))


def moorings(path: str) -> None:
    """Sea-surface temperature of moorings in a contiguous ragged array."""
    points = from_dataset(load_dataset(path), "T_25", say=quiet)["T_25"]
    begin = time.process_time()
    mapped = map_points(points, resolution=2.5, every="5D", minutes=60, say=print)
    print(f"{len(points)} points of {len(np.unique(points.platform))} moorings; {dict(mapped.data.sizes)}")
    print(mapped.table())
    print(f"standard deviation of the values: {points.value.std():.3g}; {time.process_time() - begin:.0f} s")


def argo(path: str) -> None:
    """Two profiles of a float: the coarse one is predicted from the fine one."""
    points = from_dataset(load_dataset(path), "TEMP", mask="TEMP_QC==1,2", say=quiet)["TEMP"]
    mapped = map_points(points, resolution=10, minutes=60, say=print)
    print(f"{len(points)} points; {dict(mapped.data.sizes)}")
    print(mapped.table())
    ends = np.flatnonzero(np.diff(points.depth) < 0)[0] + 1
    fine, other = points.isel(np.arange(ends)), points.isel(np.arange(ends, len(points)))
    levels = xr.Dataset(coords={"PRES": ("PRES", np.unique(other.depth), {"axis": "Z"})})
    grown = map_points(fine, levels, method="optimal_interpolation", minutes=60, std=True, say=quiet).data
    held = grown.sel(PRES=other.depth)
    linear = np.interp(other.depth, fine.depth, fine.value)
    print(f"{len(other)} levels of the second profile from {len(fine)} of the first, RMSE [degree C]:")
    print(f"  optimal interpolation {rmse(held.TEMP.values - other.value):.4f}")
    print(f"  linear interpolation  {rmse(linear - other.value):.4f}")


def casts(path: str) -> None:
    """All casts of a float on levels: every fourth is withheld, and compared with the map at its place."""
    said: list[str] = []
    points = from_dataset(
        load_dataset(path), {"TEMP": "TEMP_ADJUSTED"}, mask="TEMP_ADJUSTED_QC==1", say=said.append
    )["TEMP"]
    when, cast = np.unique(points.time, return_inverse=True)
    withheld = cast % 4 == 2
    levels = [10.0, 50.0, 100.0, 200.0, 500.0]
    mapped = map_points(
        points.isel(~withheld),
        resolution=0.5,
        every="5D",
        levels=levels,
        minutes=60,
        std=True,
        interval=0.9,
        say=said.append,
    )
    print(next(line for line in said if "counts as" in line))
    print(mapped.table())
    # Values of each cast at the levels, and of the map at its time and place.
    at_levels = np.array(
        [
            np.interp(levels, own.depth[order], own.value[order], left=np.nan, right=np.nan)
            for own in (points.isel(cast == k) for k in range(when.size))
            for order in (np.argsort(own.depth),)
        ]
    )
    first = np.unique(cast, return_index=True)[1]
    place = {n: xr.DataArray(v[first], dims="cast") for n, v in (("lat", points.lat), ("lon", points.lon))}
    bars = mapped.data[["TEMP", "TEMP_lower_90", "TEMP_upper_90"]].sel(place, method="nearest")
    found = bars.interp(time=xr.DataArray(when, dims="cast")).transpose("cast", ...)
    out = np.arange(when.size) % 4 == 2
    days = (when - when[0]) / DAY
    linear = np.stack([np.interp(days, days[~out], column[~out]) for column in at_levels.T], 1)
    print(f"{out.sum()} of {when.size} casts withheld; RMSE at levels of {levels} [degree C]:")
    for name, value in (("map", found.TEMP.values), ("linear in time between casts", linear)):
        each = [rmse(column) for column in (value - at_levels)[out].T]
        print(f"  {name:30}" + "".join(f"{one:8.3f}" for one in each))
    low, high = found.TEMP_lower_90.values, found.TEMP_upper_90.values
    held = ((low <= at_levels) & (at_levels <= high))[out]
    print("  in the 90 % interval [%]      " + "".join(f"{100 * one:8.0f}" for one in held.mean(0)))


def era5(path: str) -> None:
    """A thousand random stations that predict the other cells, next to kriging by scikit-learn."""
    field = load_dataset(path).t2m.isel(time=slice(0, 48, 6))
    lat, lon = (a.values.ravel() for a in xr.broadcast(field.lat, field.lon))
    values = field.values.reshape(field.sizes["time"], -1)
    station = np.zeros(lat.size, bool)
    station[np.random.default_rng(0).permutation(lat.size)[:1000]] = True
    number = len(values)
    points = Points(
        "t2m",
        values[:, station].ravel().astype("float64"),
        np.repeat(field.time.values, 1000),
        np.tile(lat[station], number),
        np.tile(lon[station], number),
        platform=np.tile([f"station {k}" for k in range(1000)], number),
        attrs={"units": "K"},
    )
    print(f"1000 stations at {number} times; RMSE of the other {(~station).sum()} cells [K]")
    grid = field.to_dataset()
    mapped, seconds = timed(points, grid, "optimal_interpolation", std=True, interval=0.9)
    own = mapped.data.transpose("time", "lat", "lon")
    error = own.t2m.values.reshape(values.shape) - values
    held = (own.t2m_lower_90 <= field) & (field <= own.t2m_upper_90)
    inside = held.values.reshape(values.shape)[:, ~station].mean()
    promised = mapped.scores["t2m"].rmse["optimal_interpolation"][0]
    print(
        f"  {'optimal interpolation':30}{rmse(error[:, ~station]):7.3f}  promised {promised:6.3f}"
        f"  in the 90 % interval {100 * inside:5.1f} %  {seconds:5.0f} s",
        flush=True,
    )
    begin = time.process_time()
    kilometres = np.column_stack([111.2 * lat, 111.2 * np.cos(np.radians(54.0)) * lon])
    kernel, estimates = ConstantKernel(10.0) * Matern(200.0, nu=1.5) + WhiteKernel(0.1), []
    for k, y in enumerate(values):
        # The kernel is fitted at the first time, as an optimisation takes long.
        kriging = GaussianProcessRegressor(
            kernel, normalize_y=True, optimizer="fmin_l_bfgs_b" if k == 0 else None
        )
        kriging.fit(kilometres[station], y[station])
        kernel = kriging.kernel_
        estimates.append(kriging.predict(kilometres))
    error = np.array(estimates) - values
    print(
        f"  {'kriging by scikit-learn':30}{rmse(error[:, ~station]):7.3f}{'':48}"
        f"{time.process_time() - begin:5.0f} s"
    )


EXAMPLES = {"sla": sla, "boxes": boxes, "moorings": moorings, "argo": argo, "casts": casts, "era5": era5}


def main() -> None:
    """Run one example on the file that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", choices=list(EXAMPLES))
    parser.add_argument("path", nargs="?", default=str(ERA5), help="file of the data")
    given = parser.parse_args()
    EXAMPLES[given.example](given.path)


if __name__ == "__main__":
    main()
