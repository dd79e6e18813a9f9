"""Coverage of the 90 % intervals of means over boxes and periods, on data with a known truth.

    python recipes/real-gaps/boxes.py [NAME ...] [--samples 19] [--minutes 8] [--own] [--sla FILE]
    python recipes/real-gaps/boxes.py 2011 --model oisst-tasman [--samples 19] [--others]

A fit sees the observations only; a model was trained on other years. --own adds the draws of optimal
interpolation as they are, without the margins that the errors at hidden points give. --others adds samples of
a model that have the margins of its calibration: the same draws, and the ranks of its ensemble.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from promised import CASES, oisst, sla
from scipy.special import ndtri

import da4dvar
from da4dvar.analysis.analyse import spread
from da4dvar.analysis.calibration import ONE_SIGMA
from da4dvar.analysis.problem import pose_part
from da4dvar.evaluation.text import as_columns, boxes_table
from da4dvar.fields.labels.cf import geographic
from da4dvar.fields.labels.samples import REALIZATION
from da4dvar.fields.sampling import Draw, with_margins
from da4dvar.fields.scores.boxes import box_coverage
from da4dvar.fields.scores.ensembles import energy_score, variogram_score
from da4dvar.fields.windows.reconstruct import reconstruct
from da4dvar.workflows.autofit.covariance import covariance_method

Sets = dict[str, xr.DataArray]


def main(given: argparse.Namespace) -> None:
    wanted = {
        **{
            f"oisst, {sampling}, {year}": lambda sampling=sampling, year=year: oisst(sampling, year)
            for year in ("2009", "2010", "2011")
            for sampling in ("tracks", "clouds")
        },
        "era5": CASES["era5"],
    } | ({"sea level": lambda: sla(given.sla)} if given.sla else {})
    rows = [["data", "filled by", "RMSE", "seconds", "energy", "variogram", "boxes in 85-95 %"]]
    for title, make in wanted.items():
        if given.names and not any(name in title for name in given.names):
            continue
        seen, truth = make()
        (name,) = seen.data_vars
        begin = time.process_time()
        if given.model:
            filled, method = by_model(seen, name, given.model, given.samples, given.others)
        else:
            filled, method = by_fit(seen, name, given.method, given.minutes, given.samples, given.own)
        seconds = time.process_time() - begin
        gaps = truth[name].where(seen[name].isnull())
        error = f"{float(np.sqrt(((filled['estimate'] - gaps) ** 2).mean())):.3g}"
        for label, samples in filled.items():
            if label != "estimate":
                found = coverage_of(samples, seen[name], truth[name])
                inside = [0.85 <= c <= 0.95 for row in found.values() for c in row.values()]
                scores = [f"{score(samples, gaps, 'time'):.3g}" for score in (energy_score, variogram_score)]
                row = [f"{title}, {label}", method, error, f"{seconds:.0f}", *scores]
                rows.append([*row, f"{sum(inside)} of {len(inside)}"])
                print(boxes_table({f"{title}, {label}": found}), flush=True)
    print("\n" + as_columns(rows))


def by_fit(
    seen: xr.Dataset, name: str, method: str, minutes: float, number: int, own: bool
) -> tuple[Sets, str]:
    """Return the estimate and the samples of a fit, and its method."""
    fitted = da4dvar.fit(seen, minutes=minutes, method=method, say=lambda line: None)
    filled = fitted.interpolate(seen, samples=number)
    out = {"estimate": filled[name], "samples": filled[f"{name}_samples"]}
    if own:
        drawn = covariance_method(fitted.results[name], seen[name], "time").samples(seen, number)[name]
        out["own draws"] = drawn.where(seen[name].isnull(), seen[name])
    return out, fitted.method[name]


def by_model(seen: xr.Dataset, name: str, model: str, number: int, others: bool) -> tuple[Sets, str]:
    """Return the estimate and the samples of a model, and its name."""
    loaded = da4dvar.load(model)
    filled = loaded.interpolate(seen, samples=number, std=others)
    out = {"estimate": filled[name], "samples": filled[f"{name}_samples"]}
    if others:
        known = loaded.calibration.variables[name]
        size = filled[f"{name}_std"] / known.factor(ONE_SIGMA)
        first = loaded.first_guess.deviations(loaded.scaling.normalise(seen)[name], standardised=True)
        for label, z in (("margins", first), ("ranks", ranked(loaded, seen, name, number))):
            draw = with_margins(z, known.factor, known.levels[-1])
            errors = [(size * draw(k, 0)).where(seen[name].isnull(), 0.0) for k in range(number)]
            out[label] = xr.concat([filled[name] + error for error in errors], REALIZATION)
    return out, model


def ranked(model: da4dvar.Interpolator, seen: xr.Dataset, name: str, number: int) -> Draw:
    """Return draws of normal scores of the ranks of the members of an ensemble (ensemble copula coupling)."""
    problem = pose_part(model, model.conform(seen))
    grid, kept = problem.grid(model), []

    def run(y: xr.DataArray, k: int) -> list[xr.DataArray]:
        kept.append(reconstruct(y, grid, problem.solve, 16, entries=problem.solve.entries)[0])
        return kept[-1:]

    ensemble = replace(model.calibration.ensemble, members=number)
    spread(model, problem.y, run(problem.y, 0)[0], problem.first, None, ensemble, 0, run)
    members = xr.concat([x.isel(variable=0) for x in kept[1:]], REALIZATION).values
    z = ndtri((members.argsort(0).argsort(0) + 0.5) / number)
    return lambda k, seed: seen[name].copy(data=z[k])


def coverage_of(
    samples: xr.DataArray, seen: xr.DataArray, truth: xr.DataArray
) -> dict[str, dict[str, float]]:
    """Return the coverage for each box and period."""
    space = [str(c.dims[0]) for role in "YX" for c in geographic(truth.coords, role)]
    return box_coverage(samples, truth, seen.notnull(), space, "time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of the names of the data")
    parser.add_argument("--samples", type=int, default=19)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--method", default="optimal_interpolation")
    parser.add_argument("--model", default=None)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--sla", type=Path, default=None)
    main(parser.parse_args())
