"""Error bars of the shipped model, calibrated on one year and scored on the next.

    python recipes/oisst-tasman/uncertainty.py [--days 01-01 12-31] [--members 8]

Beside them stand those that optimal interpolation states itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import xarray as xr

import da4dvar
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.ensemble import Ensemble
from da4dvar.experiment import hide
from da4dvar.uncertainty_scores import LEVELS, table_of, uncertainty_score

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"


def main(first: str, last: str, members: int) -> None:
    """Calibrate on 2010, score on 2011, both under tracks over 3.5 % of the cells."""
    with xr.open_dataset(DATA) as everything:
        years = {y: everything.sel(time=slice(f"{y}-{first}", f"{y}-{last}")).load() for y in (2010, 2011)}
    seen = {year: hide(truth, "tracks", 0.035, seed=year - 2009) for year, truth in years.items()}
    model = da4dvar.load("oisst-tasman").calibrate(seen[2010], years[2010], ensemble=Ensemble(members))
    filled = {
        "oisst-tasman": model.interpolate(seen[2011], interval=LEVELS, seed=5),
        "optimal_interpolation": OptimalInterpolation().interpolate(seen[2011]),
    }
    truth, observed = years[2011].sst, seen[2011].sst.notnull()
    hidden = truth.notnull() & ~observed & observed.any("time")
    here = hidden.transpose(*truth.dims).values
    scores = {
        n: {"sst, unobserved": score}
        for n, f in filled.items()
        if (score := uncertainty_score(f, "sst", truth, here)) is not None
    }
    print(table_of(scores))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", nargs=2, default=["01-01", "12-31"], metavar=("FIRST", "LAST"))
    parser.add_argument("--members", type=int, default=8)
    given = parser.parse_args()
    main(*given.days, given.members)
