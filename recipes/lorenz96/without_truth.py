"""Equations of Lorenz-96 learned from gappy, noisy series alone, without truth, as a neural ODE.

python recipes/lorenz96/without_truth.py [--series 16] [--test 32]

The observations are those of the benchmark: 20 of 40 components at every fourth step, with noise of variance
2, over 200 steps. As in neural-ode-lstm.toml, only the dimension, the periodicity and the reach of the system
are known: the right-hand side is quadratic, with 21 coefficients, which start at random. They are estimated
together with the states, which start from linear interpolation in time.

The states of other series are then found with these equations, with equations that are learned from as many
complete series, and with the true ones, each by the same solver from the same start: linear interpolation, or
the shipped model `lorenz96`, which was trained with truth.
"""

from __future__ import annotations

import argparse
import time

import torch
import xarray as xr
from torch import Tensor

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.fields.initial import start
from da4dvar.fields.scores.metrics import r_score
from da4dvar.simulate import lorenz96
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.estimation import estimate_parameters
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

TRAINING, TESTING, STEP = 96, 20, 0.05
# The change of a state in one step is of order 1, so that the prior weight grows from 1 to 5e4.
WEIGHT, LADDER = 5e4, (2e-5, 2e-4, 2e-3, 1e-2, 1e-1, 1.0)
# Without truth, a sample starts at linear interpolation and climbs the whole ladder.
STARTS = {"linear interpolation": LADDER, "lorenz96": (1e-2, 1e-1, 1.0)}


def tensor(values: xr.DataArray) -> Tensor:
    """Return series as a tensor, shape (series, 1, component, time)."""
    return torch.from_numpy(values.transpose("series", "component", "time").values).double()[:, None]


def interpolated(y: Tensor) -> Tensor:
    """Return linear interpolation in time."""
    return torch.from_numpy(start(y.numpy(), "linear", -1))


def cost(flow: Flow) -> VariationalCost:
    """Return U with nearly exact dynamics."""
    return VariationalCost(flow, observation_weight=0.5, prior_weight=WEIGHT)


def unknown() -> Flow:
    """Return a flow whose equations are still to be learned."""
    torch.manual_seed(0)
    return Flow(Bilinear(40, reach=2).double(), STEP)


def without_truth(y: Tensor) -> Flow:
    """Return equations that are learned from observations alone."""
    flow = unknown()
    estimate_parameters(cost(flow), y, y.isfinite(), interpolated(y), ladder=LADDER)
    return flow


def with_truth(complete: Tensor) -> Flow:
    """Return equations that are learned from complete series."""
    flow = unknown()
    learn_dynamics(flow, complete, 200)
    return flow


def main(series: int, test: int) -> None:
    training, testing = lorenz96(series, seed=TRAINING), lorenz96(test, seed=TESTING)
    truth, y = tensor(testing.x), tensor(testing.x_observed)
    begun = da4dvar.load("lorenz96").interpolate(testing.x_observed, analysis=True).x
    starts = dict(zip(STARTS, (interpolated(y), tensor(begun)), strict=True))
    rows = [["equations", "forecast RMSE", *(f"R-score from {name}" for name in STARTS), "CPU s to learn"]]
    for name, learned in (
        ("learned without truth", lambda: without_truth(tensor(training.x_observed))),
        ("learned from complete series", lambda: with_truth(tensor(training.x))),
        ("true", lambda: Flow(Lorenz96(), STEP)),
    ):
        clock = time.process_time()
        flow = learned()
        spent, scores = time.process_time() - clock, []
        with torch.no_grad():
            ahead = (flow.forecast(truth[..., :-1]) - truth[..., 1:]).square().mean().sqrt()
        for ladder, x0 in zip(STARTS.values(), starts.values(), strict=True):
            solver = LevenbergMarquardt(10 * len(ladder), ladder, rollout=True)
            x = solver(cost(flow).given(y, y.isfinite()), x0).x
            scores.append(float(r_score(*(xr.DataArray(states.numpy()) for states in (x, truth)))))
        rows.append([name, f"{ahead:.4f}", *(f"{score:.4f}" for score in scores), f"{spent:.0f}"])
    print(f"{series} series of seed {TRAINING} to learn from, {test} of seed {TESTING} to test on")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--test", type=int, default=32)
    given = parser.parse_args()
    main(given.series, given.test)
