"""Forecasts of Lorenz-96 from gappy, noisy observations, with true and with learned dynamics.

python recipes/lorenz96/forecast.py [--series 16]

The observations are those of the benchmark: 20 of 40 components at every fourth step, with noise of
variance 2. They are assimilated for 160 steps, and the forecast of the next 80 is compared with the truth.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import xarray as xr

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.fields.scores.metrics import rmse
from da4dvar.fields.scores.probabilistic import crps_gaussian
from da4dvar.interpolator import Interpolator
from da4dvar.layout import Layout
from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

SEED, TRAINING_SEED, ANALYSED, AHEAD, STEP = 31, 96, 160, 80, 0.05
LEADS = (1, 4, 8, 20, 40, 80)
# A forecast is valid until its error exceeds this part of the standard deviation of the climate.
VALID = 0.5


def learned(series: xr.DataArray) -> Interpolator:
    """A model whose dynamics are quadratic and were learned from complete series."""
    torch.manual_seed(0)
    flow = Flow(Bilinear(series.sizes["component"], reach=2), STEP)
    x = torch.from_numpy(series.transpose("series", "component", "time").values)[:, None]
    learn_dynamics(flow, x, steps=300)
    model = Interpolator(
        flow,
        LevenbergMarquardt(rollout=True),
        Layout(["x"], axes=["component", "time"], periodic=["component"]),
        Unscaled(),
        observation_weight=0.5,
        prior_weight=5e4,
        learn_weights=False,
        observation_error=2**0.5,
    )
    return model.prepare(series.to_dataset(name="x"))


def main(count: int) -> None:
    training = lorenz96(series=16, steps=200, seed=TRAINING_SEED).x
    ds = lorenz96(series=count, steps=ANALYSED + AHEAD, seed=SEED)
    seen, truth = ds.x_observed.isel(time=slice(ANALYSED)), ds.x.isel(time=slice(ANALYSED, None))
    mean, std = float(training.mean()), float(training.std())
    forecasts: dict[str, xr.Dataset] = {}
    for name, model in {"true": da4dvar.load("lorenz96-ode"), "learned": learned(training)}.items():
        found = model.assimilate(seen)
        forecasts[f"{name} dynamics"] = model.forecast(found.analysis, AHEAD, found.background)
        if name == "true":
            last = found.analysis.x.isel(time=-1, drop=True).broadcast_like(truth)
            forecasts["persistence"] = xr.Dataset({"x": last, "x_std": 0 * last})
    level = xr.full_like(truth, mean)
    forecasts["climatology"] = xr.Dataset({"x": level, "x_std": 0 * level + std})
    print(f"{count} series, seed {SEED}; {ANALYSED} steps of {STEP} analysed, standard deviation {std:.2f}")
    for title, score in (("RMSE", rmse), ("CRPS", None)):
        rows = [[title, *(f"step {lead}" for lead in LEADS)]]
        for name, found in forecasts.items():
            x, spread, true = (a.transpose("series", "time", "component").drop_vars("time") for a in (
                found.x, found.x_std, truth
            ))  # fmt: skip
            each = score(x, true, ["series", "component"]) if score else crps_gaussian(
                x, spread, true, ["series", "component"]
            )  # fmt: skip
            rows.append([name, *(f"{float(each[lead - 1]):.3f}" for lead in LEADS)])
        print(as_columns(rows))
    longest = AHEAD * STEP
    print(f"valid time: until the RMSE of a series exceeds {VALID} standard deviations, at most {longest:g}")
    for name, found in forecasts.items():
        error = rmse(found.x.drop_vars("time"), truth.drop_vars("time"), ["component"]).transpose(
            "series", "time"
        )
        bad = error.values > VALID * std
        times = STEP * np.where(bad.any(1), bad.argmax(1), AHEAD)
        print(f"{name:18} {times.mean():.2f} ± {times.std(ddof=1) / count**0.5:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=16)
    main(parser.parse_args().series)
