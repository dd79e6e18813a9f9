"""The table in this recipe's README: errors of all methods on the same hidden cells of a year.

    python recipes/oisst-tasman/measure.py [--year 2011] [--model oisst-tasman]

The test year is 2011. The observation error of the EOF interpolation and the overlap of the windows were
chosen on 2010, with the same command.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.evaluation.figures import maps
from da4dvar.evaluation.text import as_columns
from da4dvar.modelfile.shipped import find
from da4dvar.workflows.twin import hide

HERE = Path(__file__).parent
DATASETS = HERE.parents[1] / "datasets"
SEEDS = (11, 12, 13)
METHODS = dict[str, Callable[[xr.Dataset], xr.Dataset]]


def gappy(
    truth: xr.Dataset, sampling: str, seed: int, density: float = 0.035, windows: str = "100:135"
) -> xr.Dataset:
    """Sample a year along tracks, or under cloud masks, by default those that were not used for training."""
    if sampling == "tracks":
        return hide(truth, "tracks", density, seed=seed)
    return hide(
        truth,
        "transplanted",
        1.0,
        masks=f"{DATASETS}/cloud-masks/cloud_masks_32.nc:observed",
        select_masks={"window": windows},
        dim={"day": "time", "y": "lat", "x": "lon"},
        seed=seed,
    )


def methods(history: xr.Dataset, model: str, error: float, overlap: float | None) -> METHODS:
    """Return all methods, fitted to the training years."""
    ours = da4dvar.load(model)
    if overlap is not None:
        ours.layout = replace(ours.layout, overlap={**ours.layout.overlap, "time": overlap})
    eofs = {
        f"EOF optimal interpolation, {n} modes": EofInterpolation(modes=n, error=error, history=history)
        for n in (30, 80)
    }
    return {
        f"da4dvar, model {Path(model).stem}": ours.interpolate,
        **({} if ours.first_guess is None else {"its first guess": ours.guess}),
        # Only the background is that of the training years: the covariance is fitted to the gappy year.
        "optimal interpolation": OptimalInterpolation(history=history).interpolate,
        **{name: eof.interpolate for name, eof in eofs.items()},
        "linear in time": Linear().interpolate,
        "climatology 1990-2009": Climatology(history=history).interpolate,
    }


def main(
    year: str, model: str, error: float, overlap: float | None, figure: Path | None, record: bool
) -> None:
    everything = xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc").load()
    history, truth = everything.sel(time=slice("1990", "2009")), everything.sel(time=year)
    fitted = methods(history, model, error, overlap)
    rows = [["method", "", "tracks", "clouds"], *([n, ""] for n in fitted)]
    seen = {}
    for sampling in ("tracks", "clouds"):
        errors: dict[str, list[float]] = {name: [] for name in fitted}
        for seed in SEEDS:
            sampled = gappy(truth, sampling, seed)
            seen[sampling] = float(sampled.sst.notnull().sum() / truth.sst.notnull().sum())
            unseen = truth.sst.where(sampled.sst.isnull())
            for name, interpolate in fitted.items():
                # Cells that a method leaves empty are scored with the climatology.
                estimate = interpolate(sampled).sst
                fallback = fitted["climatology 1990-2009"](sampled).sst
                difference = estimate.fillna(fallback) - unseen
                errors[name].append(float(np.sqrt((difference**2).mean())))
        for row in rows[1:]:
            row.append(f"{np.mean(errors[row[0]]):.3f} ± {np.std(errors[row[0]]):.3f}")
    print(f"RMSE on unobserved sea cells of {year} [°C], mean and spread over mask seeds {SEEDS}")
    print("observed sea cells: " + ", ".join(f"{k} {100 * v:.1f} %" for k, v in seen.items()))
    print(as_columns(rows))
    if record:
        interpolator = da4dvar.load(model)
        tested = {f"test_rmse_{s}": float(c.split()[0]) for s, c in zip(seen, rows[1][2:], strict=True)}
        where = f"{year}, degC, mask seeds {SEEDS}, recipes/oisst-tasman/measure.py"
        interpolator.replaced(scores={**interpolator.scores, **tested, "test": where}).save(find(model))
    if figure is not None:
        draw(truth, fitted, figure)


def draw(truth: xr.Dataset, fitted: METHODS, path: Path, day: str = "2011-09-20") -> None:
    """Draw the truth, the observations and the estimates of the three best methods on one day."""
    sampled = gappy(truth, "tracks", SEEDS[0])
    names = [n for n in fitted if "80 modes" in n or n.startswith(("da4dvar", "linear"))]
    filled = {n: fitted[n](sampled).sst.sel(time=day) for n in names}
    here = truth.sst.sel(time=day)
    errors = {f"error: {n}": f - here for n, f in filled.items()}
    for error in errors.values():
        error.attrs = {"long_name": "error", "units": "degree_Celsius"}
    fields = {"truth": here, "observed that day": sampled.sst.sel(time=day)} | filled
    title = f"Sea-surface temperature off Tasmania, {day}, from tracks over 3.5 % of the cells"
    maps(fields, errors, title).savefig(path, dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--year", default="2011")
    parser.add_argument("--model", default="oisst-tasman")
    parser.add_argument("--error", type=float, default=0.5, help="observation error of the EOF method")
    parser.add_argument(
        "--overlap", type=float, help="overlap of the windows in time, instead of that of the model"
    )
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--record", action="store_true", help="write the scores into the model file")
    given = parser.parse_args()
    main(given.year, given.model, given.error, given.overlap, given.figure, given.record)
