"""Cycling against independent windows: errors of the filter and of a fixed-lag smoother of Lorenz-96.

python recipes/lorenz96/cycling.py [--series 4] [--steps 400]

All 40 components are observed at every step, or at every fourth, with noise of variance 1, in steps of 0.05.
Errors are those after step 100, of the filter at the times of observations, and of the smoother 40 steps
before the last observation that it uses. Independent windows have 121 steps and no background, and begin
every 40 steps.
"""

from __future__ import annotations

import argparse
import time

import xarray as xr

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scores.metrics import rmse
from da4dvar.simulate import lorenz96

SEED, SPIN_UP, LAG, WINDOW = 77, 100, 40, 120


def main(series: int, steps: int) -> None:
    model = da4dvar.load("lorenz96-ode")
    rows = [["observed every", "method", "filter", f"lag {LAG}", "CPU s per series"]]
    for every in (1, 4):
        ds = lorenz96(series, steps, SEED, every=every, number=40, noise_variance=1.0)
        seen, observed = ds.x_observed, slice(SPIN_UP, None, every)
        for name, options in (("cycling", {}), ("cycling, model error 0.001", {"model_error": 1e-3})):
            begun = time.process_time()
            out = model.assimilate(seen, lag=LAG, **options).analysis
            spent = time.process_time() - begun
            late = rmse(out.x_filter.isel(time=observed), ds.x.isel(time=observed))
            settled = slice(SPIN_UP, steps - LAG)
            smooth = rmse(out.x.isel(time=settled), ds.x.isel(time=settled))
            rows.append(
                [str(every), name, f"{float(late):.4f}", f"{float(smooth):.4f}", f"{spent / series:.1f}"]
            )
        begun, last, earlier = time.process_time(), [], []
        for end in range(WINDOW, steps, LAG):
            # The last observation is at a multiple of `every`.
            window = slice(end - WINDOW, end + 1)
            out = model.interpolate(seen.isel(time=window), analysis=True)
            last.append((out.x - ds.x).isel(time=-1, drop=True))
            earlier.append((out.x - ds.x).isel(time=-1 - LAG, drop=True))
        spent = time.process_time() - begun
        late, smooth = (float((xr.concat(errors, "window") ** 2).mean() ** 0.5) for errors in (last, earlier))
        rows.append(
            [str(every), "independent windows", f"{late:.4f}", f"{smooth:.4f}", f"{spent / series:.1f}"]
        )
    print(f"RMSE of {series} series of {steps} steps, seed {SEED}")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    main(given.series, given.steps)
