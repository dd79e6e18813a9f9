"""Samples of `lorenz96-ode`: spread against errors, coverage of 90 % intervals of values and means, scores.

python recipes/lorenz96/samples.py [--series 64] [--samples 39] [--noise 2] [--model-error 0.0045]

The data are those of the benchmark, by default, and the samples draws from the Laplace posterior, which vary
at observations as well. For comparison, the values of the samples are exchanged at random between samples,
for each component and time alone: these samples are as wide and not correlated. Scores are those of the 40
components at one time. --noise is the variance of the noise, and --model-error the standard deviation of the
error of the dynamics in a step, by default that of the model. A series is lost if its U is above 1.5 times
the number of its observations.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
import xarray as xr

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.labels.samples import REALIZATION
from da4dvar.fields.scores.boxes import inside_by_rank
from da4dvar.fields.scores.ensembles import energy_score, rank_histogram, variogram_score
from da4dvar.fields.scores.metrics import rmse
from da4dvar.fields.scores.probabilistic import spread_skill
from da4dvar.simulate import lorenz96

LEVEL, SIDES, LENGTHS, END, LOST = 0.9, (1, 4, 8, 40), (1, 5, 20), 20, 1.5


def covered(samples: xr.DataArray, truth: xr.DataArray) -> str:
    """Return how often the truth is in the interval of the samples."""
    known = truth.notnull().values
    below = (samples < truth).sum(REALIZATION).values[known]
    return f"{100 * inside_by_rank(below, samples.sizes[REALIZATION], LEVEL).mean():.1f} %"


def main(series: int, number: int, seed: int, noise: float, error: float | None) -> None:
    ds = lorenz96(series=series, steps=200, seed=seed, noise_variance=noise)
    model = da4dvar.load("lorenz96-ode")
    if error is not None:
        model.model.solver.minimised(model.model.cost).log_weights.data[1] = -2 * math.log(error)
    filled = model.interpolate(ds.x_observed.to_dataset(name="x"), samples=number, analysis=True)
    estimate, samples, truth = filled.x, filled.x_samples.load(), ds.x
    seen, step = ds.x_observed.notnull(), xr.DataArray(np.arange(truth.sizes["time"]), dims="time")
    level = (filled.observation_term + filled.prior_term).values.ravel() / seen.sum(["time", "component"])
    print(f"{series} series, seed {seed}, {number} samples of each")
    each = [float(covered(samples.isel(series=k), truth.isel(series=k)).split()[0]) for k in range(series)]
    lost, uncertain = int((level > LOST).sum()), np.std(each, ddof=1) / series**0.5
    print(f"lost: {lost}; standard error of the mean coverage of a series: {uncertain:.1f} %")
    spread = samples.std(REALIZATION, ddof=1)
    rows = [["values", "RMSE", "spread / RMSE", "in 90 %"]]
    for name, where in {
        "observed": seen,
        "not observed, at these times": ~seen & seen.any("component"),
        "at other times": seen.notnull() & ~seen.any("component"),
        f"first and last {END} steps": seen.notnull() & (abs(step - step.mean()) > step.mean() - END),
        "all": seen.notnull(),
    }.items():
        true = truth.where(where)
        ratio = float(spread_skill(spread, estimate, true))
        rows.append([name, f"{float(rmse(estimate, true)):.3f}", f"{ratio:.2f}", covered(samples, true)])
    print(as_columns(rows))
    mixed = samples.copy(data=np.random.default_rng(0).permuted(samples.values, axis=0))
    kinds = {"samples": samples, "without correlation": mixed}
    rows = [["means in 90 %", "over", *(f"{n} step{'s' if n > 1 else ''}" for n in LENGTHS)]]
    for kind, side in itertools.product(kinds, SIDES):
        drawn, true = (each.coarsen(component=side).mean() for each in (kinds[kind], truth))
        shares = (covered(drawn.rolling(time=n).mean(), true.rolling(time=n).mean()) for n in LENGTHS)
        rows.append([kind, f"{side} component{'s' if side > 1 else ''}", *shares])
    print(as_columns(rows))
    rows = [["scores", "energy", "variogram"]]
    for kind, drawn in kinds.items():
        pair = [each.stack(case=("series", "time")).reset_index("case") for each in (drawn, truth)]
        rows.append([kind, *(f"{score(*pair, 'case'):.4f}" for score in (energy_score, variogram_score))])
    print(as_columns(rows))
    print("ranks, per cent:", *(f"{100 * share:.1f}" for share in rank_histogram(samples, truth)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in {"series": 64, "samples": 39, "seed": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--noise", type=float, default=2.0)
    parser.add_argument("--model-error", type=float)
    main(*vars(parser.parse_args()).values())
