"""Two simulated sensors of one sea, one accurate but sparse, one coarse and biased.

    python recipes/two-sensors/make.py

writes data/two_sensors.nc next to this file (11.5 MB, not kept in the repository):

- `sst_tracks`: the analysis along satellite-like tracks over 3.5 % of the cells, with noise of 0.1 °C;
- `sst_coarse`: its averages over blocks of 4 × 4 cells, on the same grid, 0.5 °C too warm, with noise of
  0.2 °C that is constant within a block, outside real cloud masks: those for training in 1990-2010, those for
  testing in 2011;
- `sst`: the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from da4dvar.fields.gaps.patterns import Tracks, Transplanted

HERE = Path(__file__).parent
DATASETS = HERE.parents[1] / "datasets"
SEED, BLOCK, BIAS = 5, 4, 0.5
FRACTION, TRACK_NOISE, COARSE_NOISE = 0.035, 0.1, 0.2
PARTS = {"training": (("1990", "2010"), slice(0, 100)), "test": (("2011", "2011"), slice(100, 136))}


def coarse(sst: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return averages over the sea cells of each block, with a bias and noise for each block, on the grid."""
    days, rows, columns = sst.shape
    blocks = sst.reshape(days, rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    sea = np.isfinite(blocks)
    count = sea.sum((2, 4))
    mean = np.where(sea, blocks, 0).sum((2, 4)) / np.maximum(count, 1)
    seen = mean + BIAS + COARSE_NOISE * generator.standard_normal(mean.shape)
    enlarged = seen.repeat(BLOCK, 1).repeat(BLOCK, 2)
    return np.where(np.isfinite(sst), enlarged, np.nan).astype("float32")


def observed(part: xr.Dataset, windows: slice, generator: np.random.Generator) -> xr.Dataset:
    """Return a part of the data together with the observations by both sensors."""
    sst = part.sst.transpose("time", "lat", "lon")
    sizes = {str(d): n for d, n in sst.sizes.items()}
    masks = xr.open_dataset(DATASETS / "cloud-masks/cloud_masks_32.nc").observed.load()
    masks = masks.isel(window=windows).rename(day="time", y="lat", x="lon") != 0
    along = Tracks(FRACTION).draw(generator, sizes)
    clear = Transplanted(masks, flip=True).draw(generator, sizes)
    noise = TRACK_NOISE * generator.standard_normal(sst.shape)
    arrays = {
        "sst_tracks": ("SST along tracks", np.where(along, sst.values + noise, np.nan)),
        "sst_coarse": (f"SST averaged over {BLOCK} x {BLOCK} cells", coarse(sst.values, generator)),
    }
    arrays["sst_coarse"] = (arrays["sst_coarse"][0], np.where(clear, arrays["sst_coarse"][1], np.nan))
    units = sst.attrs["units"]
    new = {
        name: (sst.dims, values.astype("float32"), {"units": units, "long_name": long_name})
        for name, (long_name, values) in arrays.items()
    }
    return part[["sst"]].assign(new)


def main(folder: Path) -> None:
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    generator = np.random.default_rng(SEED)
    parts = [
        observed(everything.sel(time=slice(*years)), windows, generator) for years, windows in PARTS.values()
    ]
    ds = xr.concat(parts, "time").assign_attrs(title="Two sensors of the sea off Tasmania")
    packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": np.int16(-32768), "zlib": True}
    folder.mkdir(exist_ok=True)
    path = folder / "two_sensors.nc"
    ds.drop_encoding().to_netcdf(path, encoding={str(name): packed for name in ds.data_vars})
    cells = int(ds.sst.notnull().sum())
    for name in ("sst_tracks", "sst_coarse"):
        difference = ds[name] - ds.sst
        error = float((difference**2).mean()) ** 0.5
        print(
            f"{name}: {100 * int(ds[name].notnull().sum()) / cells:.1f} % of the sea cells, differs from the "
            f"truth by {float(difference.mean()):.3f} °C on average, RMSE {error:.3f}"
        )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, seed {SEED}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE / "data")
    main(parser.parse_args().folder)
