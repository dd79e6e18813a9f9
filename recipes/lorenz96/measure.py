"""The table of this recipe's README: R-scores on 256 test series.

python recipes/lorenz96/measure.py [--model lorenz96] [--figure example.png]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.evaluation import as_columns
from da4dvar.fields.metrics import r_score
from da4dvar.modelfile import find
from da4dvar.plots import image_rows
from da4dvar.simulate import lorenz96

SERIES, SEED = 256, 20
INTERIOR = slice(20, 180)


def main(model: str, figure: Path | None, record: bool) -> None:
    ds = lorenz96(series=SERIES, steps=200, seed=SEED)
    seen = xr.Dataset({"x": ds.x_observed})
    estimates, seconds = {}, {}
    for name, interpolate in {
        f"da4dvar, model {Path(model).stem}": lambda: da4dvar.interpolate(seen, model),
        "linear in time": lambda: Linear().interpolate(seen),
        "climatology": lambda: Climatology().interpolate(seen),
    }.items():
        began = time.monotonic()
        estimates[name] = interpolate().x
        seconds[name] = (time.monotonic() - began) / SERIES
    rows = [["method", "", "R-score", "steps 20-179", "s a series"]]
    for name, x in estimates.items():
        of_series = r_score(x, ds.x, ["time", "component"])
        error = float(of_series.std() / np.sqrt(SERIES))
        inside = r_score(x.isel(time=INTERIOR), ds.x.isel(time=INTERIOR))
        rows.append(
            [
                name,
                "",
                f"{float(r_score(x, ds.x)):.4f} ± {error:.4f}",
                f"{float(inside):.4f}",
                f"{seconds[name]:.3f}",
            ]
        )
    print(f"{SERIES} test series of 200 steps, seed {SEED}; ± is the standard error over the series")
    print(as_columns(rows))
    if figure is not None:
        draw(ds, estimates, figure)
    if record:
        ours = r_score(next(iter(estimates.values())), ds.x, ["time", "component"])
        interpolator = da4dvar.load(model)
        interpolator.scores["test_r_score"] = round(float(ours.mean()), 5)
        interpolator.scores["test_r_score_std_over_series"] = round(float(ours.std()), 5)
        interpolator.scores["test"] = f"{SERIES} series, seed {SEED}, recipes/lorenz96/measure.py"
        interpolator.save(find(model))


def draw(ds: xr.Dataset, estimates: dict[str, xr.DataArray], path: Path) -> None:
    """One series: truth, observations, estimates, and the error of the first."""
    names = list(estimates)[:2]
    panels = {"truth": ds.x, "observed": ds.x_observed} | {n: estimates[n] for n in names}
    series = {n: p.isel(series=0).transpose("component", "time") for n, p in panels.items()}
    title = "Lorenz-96: 20 of 40 components seen every 4 steps, with noise of variance 2"
    image_rows(series, title, error_of=names[0]).savefig(path, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lorenz96")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--record", action="store_true", help="write the score into the model file")
    given = parser.parse_args()
    main(given.model, given.figure, given.record)
