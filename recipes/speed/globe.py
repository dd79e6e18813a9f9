"""Wall-clock time, peak memory and error of optimal interpolation of a global year within 4 GiB.

python recipes/speed/globe.py --folder FOLDER [--days 365] [--step 1] [--memory 4GiB] [--threads 1]
                              [--only METHOD]

Waves of 0.6 °C (standard deviation) and eddies of 0.5 °C, with a radius of three cells and a memory of ten
days, move on a season, on a quarter of a degree. They are seen with noise of 0.3 °C, about that of an
infrared radiometer, under moving clouds that hide half of the sea; a third is land. `da4dvar interpolate`
fills this year region by region; an interrupted run goes on where it was. Errors are those of the values
under clouds, next to those of linear interpolation. `--step 8` keeps each eighth cell of the grid, for a
trial.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from measuring import arguments
from scipy.ndimage import gaussian_filter

from da4dvar.evaluation.text import as_columns

WAVES, CHUNK = 40, 73
LAND = 0.3  # share of the cells


def make(days: int, step: int, path: Path, seed: int = 0) -> None:
    """Write a year with gaps, and the true values as the variable of a second store."""
    generator = np.random.default_rng(seed)
    lat = np.linspace(-89.875, 89.875, 720)[::step]
    lon = np.arange(0.125, 360, 0.25)[::step]
    shape = lat.size, lon.size

    def smooth(scale: float) -> np.ndarray:
        white = generator.standard_normal(shape, dtype="float32")
        out: np.ndarray = gaussian_filter(white, scale, mode=("nearest", "wrap"))
        return out / out.std()

    # Waves of whole numbers along a circle of latitude, with lengths of 3 to 60 degrees.
    along, across = generator.integers(6, 90, WAVES), generator.uniform(-90, 90, WAVES)
    speed, phase = generator.normal(0, 1, WAVES) / 15, generator.uniform(0, 2 * np.pi, WAVES)
    height = 0.6 * np.sqrt(2 / WAVES)  # of each wave, so that their sum has a standard deviation of 0.6
    rows = np.exp(1j * np.outer(np.radians(lat), across))
    columns = np.exp(1j * np.outer(along, np.radians(lon)))
    eddies, clouds = smooth(3), smooth(6)
    depth = smooth(40 / step)
    sea = depth > np.quantile(depth, LAND)
    season = np.sin(np.radians(lat))[:, None]
    coords = {
        "time": xr.date_range("2001-01-01", periods=days),
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    empty = da.zeros((days, *shape), chunks=(CHUNK, 120, 240), dtype="float32")
    layout = xr.Dataset({"sst": (("time", "lat", "lon"), empty, {"units": "degC"})}, coords)
    for store in (path, truth_of(path)):
        layout.to_zarr(store, mode="w", zarr_format=2, compute=False)
    stores = [zarr.open_group(store, mode="r+")["sst"] for store in (path, truth_of(path))]
    for first in range(0, days, CHUNK):
        length = min(CHUNK, days - first)
        seen, true = (np.empty((length, *shape), "float32") for _ in range(2))
        for k in range(length):
            day = first + k
            eddies = 0.9 * eddies + np.sqrt(1 - 0.9**2) * smooth(3)
            clouds = 0.7 * clouds + np.sqrt(1 - 0.7**2) * smooth(6)
            turned = rows * (height * np.exp(1j * (phase - speed * day)))
            field = 15 + 10 * np.cos(np.radians(lat))[:, None] + (turned @ columns).real
            field = field + 3 * season * np.sin(2 * np.pi * (day - 30) / 365) + 0.5 * eddies
            true[k] = np.where(sea, field, np.nan)
            noisy = field + 0.3 * generator.standard_normal(shape, dtype="float32")
            seen[k] = np.where(sea & (clouds < 0), noisy, np.nan)
        for store, values in zip(stores, (seen, true), strict=True):
            store[first : first + length] = values


def truth_of(path: Path) -> Path:
    """Return the store of the true values."""
    return path.with_name(f"truth-{path.name}")


def filled(path: Path, out: Path, method: str, memory: str, threads: int) -> tuple[float, float]:
    """Fill the year, and return the wall-clock time in s and the peak memory in GiB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-W", "ignore", "-m", "da4dvar", "interpolate", str(path), str(out)]
    command += ["--method", method, "--memory", memory, "--resume", "--overwrite"]
    began = time.monotonic()
    _, status, usage = os.wait4(os.posix_spawn(sys.executable, command, environment), 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(code)
    return time.monotonic() - began, usage.ru_maxrss / 2**20


def error(path: Path, out: Path) -> list[float]:
    """Return the RMSE in °C of values at sea under clouds: all, and those within 60° and beyond."""
    stores = [zarr.open_group(store, mode="r")["sst"] for store in (path, truth_of(path), out)]
    far = np.abs(zarr.open_group(path, mode="r")["lat"][:]) > 60
    total, count = np.zeros(2), np.zeros(2)
    for first in range(0, stores[0].shape[0], CHUNK):
        seen, true, got = (store[first : first + CHUNK] for store in stores)
        for k, rows in enumerate((~far, far)):
            under = np.isnan(seen[:, rows]) & np.isfinite(true[:, rows])
            difference = (got[:, rows] - true[:, rows])[under].astype("float64")
            if np.isnan(difference).any():
                sys.exit(f"{out}: {np.isnan(difference).sum()} values at sea are not filled")
            total[k], count[k] = total[k] + np.sum(difference**2), count[k] + difference.size
    return [float(np.sqrt(total.sum() / count.sum())), *np.sqrt(total / count).tolist()]


def main(folder: Path, days: int, step: int, memory: str, threads: int, only: str) -> None:
    """Make the year if it is absent, fill it by each method, and print a table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "globe.zarr"
    if not path.exists():
        make(days, step, path)
    table = [["method", "values", "wall-clock [s]", "peak memory [GiB]", "RMSE [°C]", "to 60°", "beyond"]]
    for method in ("linear", "optimal_interpolation"):
        if only and method != only:
            continue
        out = folder / f"{method}.zarr"
        seconds, most = filled(path, out, method, memory, threads)
        sizes = zarr.open_group(out, mode="r")["sst"].shape
        line = ["×".join(map(str, sizes)), f"{seconds:.0f}", f"{most:.2f}"]
        table.append([method, *line, *(f"{rmse:.3f}" for rmse in error(path, out))])
        print("  ".join(table[-1]), flush=True)
    print("\n" + as_columns(table))


if __name__ == "__main__":
    options = {
        "--folder": "globe",
        "--days": 365,
        "--step": 1,
        "--memory": "4GiB",
        "--threads": 1,
        "--only": "",
    }
    given = arguments(__doc__, *options.items())
    main(Path(given.folder), given.days, given.step, given.memory, given.threads, given.only)
