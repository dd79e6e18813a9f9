"""Whether `da4dvar interpolate` keeps to its minutes: wall-clock time and peak memory on four files.

python recipes/speed/minutes.py [--folder FOLDER] [--only world]

Three years of `oisst-tasman` under clouds, two simulated fields under clouds in NetCDF, and a simulated year
of the whole earth in Zarr, in float32, which is filled within 2 GiB. Files that exist are not made again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from classical import clouded
from measuring import arguments

from da4dvar.evaluation.text import as_columns
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets"
# Name, shape and suffix of the file, and options.
FILES = {
    "three years": ("1096 × 32 × 32", "nc", ["--minutes", "5"]),
    "regional": ("91 × 128 × 344", "nc", ["--minutes", "5"]),
    "year": ("365 × 60 × 80", "nc", ["--minutes", "0.5"]),
    "world": ("365 × 720 × 1440", "zarr", ["--minutes", "10", "--memory", "2GiB"]),
}


def made(name: str, path: Path) -> None:
    """Write a file with gaps."""
    if name == "three years":
        every = xr.open_dataset(DATA / "oisst-tasman/oisst_tasman_1990_2011.nc")
        masks = f"{DATA}/cloud-masks/cloud_masks_32.nc:observed"
        dims = {"day": "time", "y": "lat", "x": "lon"}
        truth = every.sel(time=slice("2006", "2008")).load()
        hide(truth, "transplanted", 1.0, masks=masks, dim=dims, seed=5).to_netcdf(path)
    elif name == "world":
        earth().to_zarr(path, mode="w", zarr_format=2)
    else:
        clouded(*map(int, FILES[name][0].split(" × ")))[0].to_netcdf(path)


def earth() -> xr.Dataset:
    """Return a year of waves on a quarter of a degree, with continents, under moving clouds; lazy."""
    shape, chunks = (365, 720, 1440), (73, 120, 240)
    lat, lon = (np.linspace(-89.875, 89.875, 720), np.arange(0.125, 360, 0.25))

    def block(block_info: dict | None = None) -> np.ndarray:
        assert block_info is not None
        ranges = block_info[None]["array-location"]
        t, y, x = np.ix_(
            *(axis[a:b] for axis, (a, b) in zip((np.arange(365), lat, lon), ranges, strict=True))
        )
        y, x = np.radians(y), np.radians(x)
        field = 15 + 10 * np.cos(y) + 3 * np.sin(2 * np.pi * (t - 30) / 365) * np.sin(y)
        field = field + 2 * np.sin(4 * x + t / 20) * np.cos(3 * y) + np.sin(40 * x - t / 8 + 30 * y)
        clouds = np.sin(7 * x + 0.7 * t) * np.cos(8 * y - t / 4) + 0.5 * np.sin(23 * x + 17 * y + 1.2 * t)
        land = np.sin(3 * x) * np.cos(2 * y) > 0.6
        return np.where((clouds > 0.3) | land, np.nan, field).astype("float32")

    values = da.map_blocks(block, chunks=da.core.normalize_chunks(chunks, shape), dtype="float32")
    coords = {
        "time": xr.date_range("2001-01-01", periods=365),
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    return xr.Dataset({"sst": (("time", "lat", "lon"), values, {"units": "degC"})}, coords)


def run(path: Path, out: Path, options: list[str]) -> tuple[int, float, float]:
    """Fill a file, and return the exit code, the wall-clock time in s and the peak memory in GiB."""
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-W", "ignore", "-m", "da4dvar", "interpolate", str(path), str(out)]
    began = time.monotonic()
    process = os.posix_spawn(sys.executable, [*command, *options, "--overwrite"], environment)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss / 2**20


def main(folder: Path, only: str) -> None:
    """Measure each file, and print a table."""
    rows = [["file", "values", "options", "wall-clock [s]", "peak memory [GiB]", "outcome"]]
    for name, (shape, suffix, options) in FILES.items():
        if only and name != only:
            continue
        path, out = folder / f"{name.replace(' ', '-')}.{suffix}", folder / f"out.{suffix}"
        if not path.exists():
            made(name, path)
        print(f"== {name}", flush=True)
        code, seconds, memory = run(path, out, options)
        outcome = "filled" if code == 0 else f"exit code {code}"
        rows.append([name, shape, " ".join(options), f"{seconds:.0f}", f"{memory:.2f}", outcome])
    print("\n" + as_columns(rows))


if __name__ == "__main__":
    given = arguments(__doc__, ("--folder", ""), ("--only", ""))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        main(folder, given.only)
