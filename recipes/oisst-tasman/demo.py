"""Fill a year of sea-surface temperature; write the file, a table and a map (`make demo`).

Real sea-surface temperature of 2011, a year that was not used for training, is sampled along
satellite-like tracks and filled by the model that comes with the package.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import xarray as xr

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.evaluation.figures import maps
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.files.store import add_history, write_dataset
from da4dvar.fields.scores.metrics import rmse
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
DAY = "2011-02-15"


def main(folder: Path, seed: int) -> None:
    folder.mkdir(exist_ok=True)
    everything = xr.open_dataset(DATA).load()
    truth, history = everything.sel(time="2011"), everything.sel(time=slice("1990", "2009"))
    gappy = hide(truth, "tracks", 0.035, seed=seed)
    write_dataset(gappy, folder / "gappy.nc", overwrite=True)
    sea = truth.sst.notnull()
    seen = float(gappy.sst.notnull().sum() / sea.sum())
    print(f"{DATA.name}, 2011: {100 * seen:.1f} % of the sea cells are observed, along tracks")

    began = time.monotonic()
    filled = da4dvar.interpolate(gappy, "oisst-tasman")
    took = time.monotonic() - began
    estimates = {
        "da4dvar, model oisst-tasman": filled,
        "linear in time": Linear().interpolate(gappy),
        "climatology 1990-2009": Climatology(history=history).interpolate(gappy),
    }
    unseen = truth.sst.where(gappy.sst.isnull())
    table = [["method", "", "RMSE on unobserved sea cells [°C]"]]
    table += [[name, "", f"{float(rmse(e.sst, unseen)):.3f}"] for name, e in estimates.items()]
    print(as_columns(table))
    print(f"filled {truth.sizes['time']} days in {took:.1f} s")

    write_dataset(add_history(filled, "recipes/oisst-tasman/demo.py"), folder / "filled.nc", overwrite=True)
    names = list(estimates)  # the model, linear, climatology
    fields = {"truth": truth, "observed that day": gappy} | {n: estimates[n] for n in names[:2]}
    errors = {f"error: {n}": estimates[n].sst - truth.sst for n in (names[2], *names[:2])}
    for error in errors.values():
        error.attrs = {"long_name": "error", "units": "degree_Celsius"}
    figure = maps(
        {n: f.sst.sel(time=DAY) for n, f in fields.items()},
        {n: e.sel(time=DAY) for n, e in errors.items()},
        f"Sea-surface temperature off Tasmania, {DAY}, {100 * seen:.1f} % of the cells observed",
    )
    figure.savefig(folder / "map.png", dpi=110)
    print(f"wrote {folder}/gappy.nc, {folder}/filled.nc and {folder}/map.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    main(given.folder, given.seed)
