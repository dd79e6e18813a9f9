"""Forecast error of dynamics learned from series of Lorenz-96, for each reach of a component.

python recipes/lorenz96/reach.py [--series 16] [--steps 300]
"""

from __future__ import annotations

import argparse

import torch

from da4dvar.evaluation.text import as_columns
from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.priors.flow import Flow

# The data of the recipes; the dynamics are learned from the first of the training series.
SERIES, SEED, STEP, HELD_OUT = 2064, 96, 0.05, slice(2000, 2064)
REACHES = range(5)


def main(series: int, steps: int) -> None:
    truth = lorenz96(series=SERIES, steps=200, seed=SEED).x.transpose("series", "component", "time")
    x = torch.from_numpy(truth.values)[:, None]
    learned, held_out = x[:series], x[HELD_OUT]
    rows = [["reach", "coefficients", "RMSE, training", "RMSE, held out"]]
    for reach in REACHES:
        torch.manual_seed(0)
        flow = Flow(Bilinear(x.shape[2], reach), STEP)
        reached = learn_dynamics(flow, learned, steps)
        with torch.no_grad():
            error = held_out[..., 1:] - flow.forecast(held_out[..., :-1])
        count = sum(p.numel() for p in flow.parameters())
        rows.append([str(reach), str(count), f"{reached:.2e}", f"{float(error.square().mean().sqrt()):.2e}"])
    print(
        f"error of forecasts over {STEP}; {series} training series, at most {steps} steps of L-BFGS, "
        f"{len(held_out)} held-out series"
    )
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    main(given.series, given.steps)
