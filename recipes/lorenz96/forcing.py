"""The forcing F of Lorenz-96, estimated together with the state from gappy, noisy observations alone.

python recipes/lorenz96/forcing.py [--series 10] [--start 7]

The observations are those of the benchmark: 20 of 40 components at every fourth step, with noise of variance
2, over 200 steps. All series share one F. The states start from the shipped model `lorenz96`, a learned prior
and solver that were trained with F = 8 but have no equations.
"""

from __future__ import annotations

import argparse
import time

import torch

import da4dvar
from da4dvar.evaluation.text import as_columns
from da4dvar.simulate import lorenz96
from da4dvar.variational.background import Background
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.estimation import estimate_parameters
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

SEED, TRUE, STEP = 41, 8.0, 0.05
WEIGHTS = {"observation_weight": 0.5, "prior_weight": 5e4}
# Standard deviation of the error of the start at the first time, as in the model `lorenz96-ode`.
FIRST = 1.5


def main(series: int, start: float) -> None:
    ds = lorenz96(series, seed=SEED)
    begun = da4dvar.load("lorenz96").interpolate(ds.x_observed, analysis=True).x
    truth, y, x0 = (
        torch.from_numpy(a.transpose("series", "component", "time").values).double()[:, None]
        for a in (ds.x, ds.x_observed, begun)
    )
    mask, background = y.isfinite(), Background.isotropic(x0[..., 0], FIRST)
    rows = [["F", "estimate", "standard error", "R-score", "CPU s per series"]]
    for name, forcing, learn in (("known", TRUE, False), ("unknown", start, True)):
        clock = time.process_time()
        cost = VariationalCost(Flow(Lorenz96(forcing, learn=learn), STEP), **WEIGHTS)
        if learn:
            found = estimate_parameters(cost, y, mask, x0, background)
            x, told = found.x, [f"{found.parameters.item():.4f}", f"{found.covariance.item() ** 0.5:.4f}"]
        else:
            solver = LevenbergMarquardt(30, (1e-2, 1e-1, 1.0), rollout=True)
            x, told = solver(cost.given(y, mask, background=background), x0).x, ["8", "-"]
        score = (x - truth).square().mean() / truth.square().mean()
        spent = (time.process_time() - clock) / series
        rows.append([name, *told, f"{float(score):.4f}", f"{spent:.1f}"])
    print(f"{series} series of the benchmark, seed {SEED}; F starts at {start:g}")
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--start", type=float, default=7.0)
    given = parser.parse_args()
    main(given.series, given.start)
