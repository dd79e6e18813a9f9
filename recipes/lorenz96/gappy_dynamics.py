"""A neural ODE of Lorenz-96, learned from gappy, noisy series alone.

python recipes/lorenz96/gappy_dynamics.py [--series 16] [--seed 142] [--error 0.35]

The observations are those of the benchmark: 20 of 40 components at every fourth step, with noise of variance
2, over 200 steps. The dynamics are bilinear in a component and its two neighbours on each side, with 21
coefficients for all components. They are first fitted to optimal interpolation of the series, and then
estimated together with the states. No true state is used but for the scores.
"""

from __future__ import annotations

import argparse
import time

import torch
import xarray as xr
from torch import Tensor

from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz96
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.estimation import estimate_parameters
from da4dvar.variational.priors.flow import Flow

STEP, VARIANCE, COMPONENTS, REACH = 0.05, 2.0, 40, 2


def tensor(array: xr.DataArray) -> Tensor:
    """Return series as a tensor of shape (series, 1, component, time)."""
    return torch.from_numpy(array.transpose("series", "component", "time").values).double()[:, None]


def main(series: int, seed: int, error: float) -> None:
    """Learn the dynamics, and print the error of their forecasts and of the states."""
    ds, clock = lorenz96(series, seed=seed), time.process_time()
    truth, y = tensor(ds.x), tensor(ds.x_observed)
    x0 = tensor(OptimalInterpolation(space=("component",)).interpolate(ds[["x_observed"]]).x_observed)
    torch.manual_seed(0)
    flow = Flow(Bilinear(COMPONENTS, reach=REACH), STEP).double()
    rows = [["dynamics", "forecast RMSE", "R-score of the states", "CPU s"]]

    def add(name: str, x: Tensor) -> None:
        """Add a row: RMSE of forecasts of the true states over one step, and R-score."""
        with torch.no_grad():
            ahead = (flow.forecast(truth[..., :-1]) - truth[..., 1:]).square().mean().sqrt()
        score = r_score(*(xr.DataArray(states.numpy()) for states in (x, truth)))
        spent = time.process_time() - clock
        rows.append([name, f"{ahead:.4f}", f"{float(score):.4f}", f"{spent:.0f}"])

    learn_dynamics(flow, x0, 200)
    add("fitted to optimal interpolation", x0)
    cost = VariationalCost(flow, observation_weight=1 / VARIANCE, prior_weight=error**-2)
    found = estimate_parameters(cost, y, y.isfinite(), x0, iterations=8, ladder=(1.0,))
    add("estimated together with the states", found.x)
    print(f"{series} series, seed {seed}, error of the dynamics in a step {error:g}")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--seed", type=int, default=142)
    parser.add_argument("--error", type=float, default=0.35)
    given = parser.parse_args()
    main(given.series, given.seed, given.error)
