"""The forcing F of Lorenz-96, estimated together with the state from gappy, noisy observations alone.

python recipes/lorenz96/forcing.py [--series 10] [--start 7]

The observations are those of the benchmark: 20 of 40 components at every fourth step, with noise of variance
2, over 200 steps. All series share one F. The states of the estimate start from the shipped model `lorenz96`,
a learned prior and solver that were trained with F = 8 but have no equations.

With the true F and with the estimate in its equations, the shipped model `lorenz96-ode` then finds the states
from the same start, by the same ladder and with the same restarts.
"""

from __future__ import annotations

import argparse
import time

import torch
import xarray as xr

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz96
from da4dvar.variational.background import Background
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.estimation import Estimate, estimate_parameters
from da4dvar.variational.priors.flow import Flow

SEED, TRUE, STEP = 41, 8.0, 0.05
WEIGHTS = {"observation_weight": 0.5, "prior_weight": 5e4}
# Standard deviation of the error of the start at the first time, as in the model `lorenz96-ode`.
FIRST = 1.5


def estimated(observed: xr.DataArray, start: float) -> Estimate:
    """Return F and the states that minimise U together."""
    begun = da4dvar.load("lorenz96").interpolate(observed, analysis=True).x
    y, x0 = (
        torch.from_numpy(a.transpose("series", "component", "time").values).double()[:, None]
        for a in (observed, begun)
    )
    cost = VariationalCost(Flow(Lorenz96(start, learn=True), STEP), **WEIGHTS)
    return estimate_parameters(cost, y, y.isfinite(), x0, Background.isotropic(x0[..., 0], FIRST))


def states(observed: xr.DataArray, forcing: float) -> xr.DataArray:
    """Return the states that `lorenz96-ode` finds with F in its equations."""
    model = da4dvar.load("lorenz96-ode")
    model.model.solver.cost.prior.dynamics.forcing = forcing
    return model.interpolate(observed, analysis=True).x


def main(series: int, start: float) -> None:
    ds = lorenz96(series, seed=SEED)
    clock = time.process_time()
    found = estimated(ds.x_observed, start)
    spent = time.process_time() - clock
    forcing, error = found.parameters.item(), found.covariance.item() ** 0.5
    both = ds.x.transpose("series", "component", "time").copy(data=found.x[:, 0].numpy())
    rows = [
        ["F", "estimate", "standard error", "states by", "R-score", "CPU s per series"],
        ["unknown", f"{forcing:.4f}", f"{error:.4f}", "the estimate", *scores(both, ds.x, spent)],
    ]
    for name, value in (("unknown", forcing), ("known", TRUE)):
        clock = time.process_time()
        x = states(ds.x_observed, value)
        spent = time.process_time() - clock
        rows.append([name, f"{value:.4f}", "-", "lorenz96-ode", *scores(x, ds.x, spent)])
    print(f"{series} series of the benchmark, seed {SEED}; F starts at {start:g}")
    print(as_columns(rows))


def scores(x: xr.DataArray, truth: xr.DataArray, seconds: float) -> list[str]:
    """Return the R-score of states and the seconds per series, as text."""
    return [f"{float(r_score(x, truth)):.5f}", f"{seconds / truth.sizes['series']:.1f}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--start", type=float, default=7.0)
    given = parser.parse_args()
    main(given.series, given.start)
