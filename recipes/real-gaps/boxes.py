"""Coverage of the 90 % intervals of means over boxes and periods, on data with a known truth.

    python recipes/real-gaps/boxes.py [NAME ...] [--samples 19] [--minutes 8] [--own] [--sla FILE]

A fit sees the observations only. --own adds the draws of optimal interpolation as they are, without the
margins that the errors at hidden points give.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr
from promised import CASES, oisst, sla

import da4dvar
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.evaluation.text import as_columns, boxes_table
from da4dvar.fields.labels.cf import geographic
from da4dvar.fields.scores.boxes import box_coverage
from da4dvar.workflows.autofit.covariance import covariance_method


def main(names: list[str], number: int, minutes: float, method: str, own: bool, path: Path | None) -> None:
    wanted = {
        "oisst, tracks, 2009": CASES["oisst, tracks, one year"],
        "oisst, clouds, 2009": CASES["oisst, clouds, one year"],
        "oisst, tracks, 2010": lambda: oisst("tracks", "2010"),
        "oisst, clouds, 2010": lambda: oisst("clouds", "2010"),
        "era5": CASES["era5"],
    } | ({"sea level": lambda: sla(path)} if path else {})
    rows, coverages = [["data", "filled by", "RMSE", "seconds", "boxes in 85-95 %"]], {}
    for title, make in wanted.items():
        if names and not any(name in title for name in names):
            continue
        seen, truth = make()
        begin = time.process_time()
        fitted = da4dvar.fit(seen, minutes=minutes, method=method, say=lambda line: None)
        filled = fitted.interpolate(seen, samples=number)
        seconds = time.process_time() - begin
        for name, result in fitted.results.items():
            sets = {title: filled[f"{name}_samples"]}
            if own:
                sets[f"{title}, own draws"] = own_draws(
                    covariance_method(result, seen[name], "time"), seen[name], number
                )
            for label, samples in sets.items():
                found = coverage_of(samples, seen[name], truth[name])
                coverages[label] = found
                inside = [0.85 <= c <= 0.95 for row in found.values() for c in row.values()]
                error = (filled[name] - truth[name]).where(seen[name].isnull())
                row = [
                    label,
                    fitted.method[name],
                    f"{float(np.sqrt((error**2).mean())):.3g}",
                    f"{seconds:.0f}",
                ]
                rows.append([*row, f"{sum(inside)} of {len(inside)}"])
                print(boxes_table({label: found}), flush=True)
    print("\n" + as_columns(rows))


def own_draws(method: OptimalInterpolation, seen: xr.DataArray, number: int) -> xr.DataArray:
    """Return draws of optimal interpolation in the gaps."""
    return method.samples(seen.to_dataset(), number)[seen.name].where(seen.isnull(), seen)


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
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--sla", type=Path, default=None)
    given = parser.parse_args()
    main(given.names, given.samples, given.minutes, given.method, given.own, given.sla)
