"""Scores in 2011 of the error bars of the shipped model, which its recipe calibrates on 2010.

    python recipes/oisst-tasman/uncertainty.py [--days 01-01 12-31]

They are compared under tracks and under clouds with the standard errors of optimal interpolation.
"""

from __future__ import annotations

import argparse

import xarray as xr
from measure import DATASETS, gappy

import da4dvar
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.evaluation.uncertainty import LEVELS, UncertaintyScore, table_of, uncertainty_score


def main(first: str, last: str) -> None:
    """Score both on the unobserved cells of 2011."""
    with xr.open_dataset(DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc") as everything:
        year = everything.sel(time="2011").load()
    part = slice(f"2011-{first}", f"2011-{last}")
    model = da4dvar.load("oisst-tasman")
    scores: dict[str, dict[str, UncertaintyScore]] = {"oisst-tasman": {}, "optimal_interpolation": {}}
    for sampling in ("tracks", "clouds"):
        truth, seen = year.sel(time=part), gappy(year, sampling, 11).sel(time=part)
        filled = {
            "oisst-tasman": model.interpolate(seen, interval=LEVELS, seed=5),
            "optimal_interpolation": OptimalInterpolation().interpolate(seen),
        }
        observed = seen.sst.notnull()
        hidden = truth.sst.notnull() & ~observed & observed.any("time")
        here = hidden.transpose(*truth.sst.dims).values
        for name, estimate in filled.items():
            score = uncertainty_score(estimate, "sst", truth.sst, here)
            if score is not None:
                scores[name][f"sst, {sampling}"] = score
    print(table_of(scores))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", nargs=2, default=["01-01", "12-31"], metavar=("FIRST", "LAST"))
    given = parser.parse_args()
    main(*given.days)
