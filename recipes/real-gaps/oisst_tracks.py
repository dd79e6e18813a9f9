"""Satellite-like tracks over 22 years of sea-surface temperature, the only data of the recipe `oisst`.

python recipes/real-gaps/oisst_tracks.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from da4dvar.fields.gaps.patterns import Tracks

HERE = Path(__file__).parent
SEED = 35


def main() -> None:
    sst = xr.open_dataset(HERE.parents[1] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc").sst
    drawn = Tracks(0.035).draw(np.random.default_rng(SEED), dict(sst.sizes))
    attrs = {"long_name": "1 where a track crosses", "units": "1"}
    tracks = sst.copy(data=drawn).astype("int8").assign_attrs(attrs)
    tracks.attrs.pop("standard_name", None)
    tracks.encoding = {"zlib": True, "complevel": 9}
    tracks.to_dataset(name="tracks").to_netcdf(HERE / "oisst_tracks.nc")
    print(f"oisst_tracks.nc: {100 * drawn.mean():.2f} % of the cells, seed {SEED}")


if __name__ == "__main__":
    main()
