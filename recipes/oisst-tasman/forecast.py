"""Forecasts of sea-surface temperature for one to five days, by a model without dynamics.

python recipes/oisst-tasman/forecast.py [--starts 8]

The model fills windows of 15 days. For a forecast, the last days have no observations; those of the 45 days
before are used. Persistence keeps the last analysis of the model, or its anomaly from the climatology.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.evaluation.text import as_columns
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
PAST, AHEAD = 45, 5


def forecasts(model: da4dvar.Interpolator, past: xr.Dataset, normal: xr.Dataset) -> dict[str, xr.DataArray]:
    """Forecasts of the days of `normal`, the climatology, after its first day."""
    found = model.forecast(past, AHEAD)
    padded = xr.concat([past, found[["sst"]] * np.nan], "time")
    last = model.interpolate(past, analysis=True).sst.isel(time=-1, drop=True)
    usual, ahead = normal.sst.isel(time=0, drop=True), normal.sst.isel(time=slice(1, None))
    return {
        "da4dvar, model oisst-tasman": found.sst,
        "its first guess, optimal interpolation": model.guess(padded).sst.isel(time=slice(-AHEAD, None)),
        "persistence of the analysis": last.broadcast_like(ahead),
        "persistence of its anomaly": ahead + (last - usual),
        "climatology 1990-2009": ahead,
    }


def main(starts: int, seed: int) -> None:
    everything = xr.open_dataset(DATA).load()
    truth, history = everything.sel(time="2011"), everything.sel(time=slice("1990", "2009"))
    gappy = hide(truth, "tracks", 0.035, seed=seed)
    model = da4dvar.load("oisst-tasman")
    normal = Climatology(history=history).interpolate(truth[["sst"]] * np.nan)
    errors: dict[str, list[np.ndarray]] = {}
    for start in np.linspace(PAST, truth.sizes["time"] - AHEAD - 1, starts).astype(int):
        past = gappy.isel(time=slice(start - PAST, start))
        after = truth.sst.isel(time=slice(start, start + AHEAD))
        around = normal.isel(time=slice(start - 1, start + AHEAD))
        for name, found in forecasts(model, past, around).items():
            error = (found.transpose(*after.dims).values - after.values) ** 2
            errors.setdefault(name, []).append(np.nanmean(error, axis=(1, 2)))
    rows = [["method", "", *(f"day {k}" for k in range(1, AHEAD + 1))]]
    for name, each in errors.items():
        rows.append([name, "", *(f"{value:.3f}" for value in np.mean(each, axis=0) ** 0.5)])
    print(
        f"RMSE on sea cells [°C], {starts} forecasts in 2011 from tracks over 3.5 % of the cells, seed {seed}"
    )
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    given = parser.parse_args()
    main(given.starts, given.seed)
