"""Cloud masks for the hours of ERA5: real masks over a sea, enlarged to the grid, each for 4 to 12 hours.

python recipes/real-gaps/era5_clouds.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

HERE = Path(__file__).parent
DATASETS = HERE.parents[1] / "datasets"
SEED = 7


def main() -> None:
    masks = xr.open_dataset(DATASETS / "cloud-masks/cloud_masks_32.nc").observed.values
    air = xr.open_dataset(DATASETS / "era5-t2m-uk/era5_t2m_uk_2019_03.nc")
    hours, rows, columns = (air.sizes[d] for d in ("time", "lat", "lon"))
    enlarged = np.ix_(
        np.arange(len(masks)),
        np.arange(masks.shape[1]),
        np.arange(rows) * masks.shape[2] // rows,
        np.arange(columns) * masks.shape[3] // columns,
    )
    masks = masks[enlarged]
    generator = np.random.default_rng(SEED)
    seen, hour = np.zeros((hours, rows, columns), dtype="int8"), 0
    while hour < hours:
        window = masks[generator.integers(len(masks))]
        window = window[:, :: generator.choice([-1, 1]), :: generator.choice([-1, 1])]
        for clouds in window:
            lasting = int(generator.integers(4, 13))
            seen[hour : hour + lasting] = clouds
            hour += lasting
    attrs = {"long_name": "1 where observed, between real clouds that last 4 to 12 hours", "units": "1"}
    coords = {d: air[d] for d in ("time", "lat", "lon")}
    ds = xr.Dataset({"seen": (("time", "lat", "lon"), seen, attrs)}, coords)
    ds.to_netcdf(HERE / "era5_clouds.nc", encoding={"seen": {"zlib": True, "complevel": 9}})
    print(f"era5_clouds.nc: {100 * seen.mean():.1f} % observed, seed {SEED}")


if __name__ == "__main__":
    main()
