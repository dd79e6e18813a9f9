"""Gain from stencils and from a batched block-tridiagonal solver, for Lorenz-96.

python recipes/speed/lorenz.py [--series 256] [--ladder]

- By default: 256 series, the true equations as prior, an LSTM with 20 iterations, and the right-hand side
  either as shifts or as convolutions of one channel.
- With `--ladder`: the ladder of Levenberg-Marquardt, batched or with a sparse solve for each series.
"""

from __future__ import annotations

import time

import ladder
import numpy as np
import torch
import torch.nn.functional as F
from measuring import arguments, best, report
from torch import Tensor, nn

from da4dvar.cli.memory import keep_freed_memory
from da4dvar.fields.initial import start
from da4dvar.simulate import lorenz96
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import ConvLSTM

STEP, WEIGHTS, RUNGS, ITERATIONS = 0.05, (0.5, 0.5e5), (1e-4, 1e-3, 1e-2, 1e-1, 1.0), 30


class Convolved(nn.Module):
    """Lorenz-96 as convolutions of one channel along the components, as in published code."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.zeros(3, 1, 5, 1)
        for k, tap in enumerate((3, 0, 1)):
            taps[k, 0, tap] = 1.0
        self.register_buffer("taps", taps)

    def forward(self, x: Tensor) -> Tensor:
        around = torch.cat([x[:, :, -2:], x, x[:, :, :2]], dim=2)
        ahead, behind2, behind = (F.conv2d(around, tap[None]) for tap in self.taps)
        return (ahead - behind2) * behind - x + 8.0


def observed(series: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the truth, noisy observations of half the components every four steps, their mask, and x(0)."""
    truth = lorenz96(series=series, steps=200, seed=5).x.transpose("series", "component", "time").values
    generator = np.random.default_rng(5)
    mask = np.zeros(truth.shape, dtype=bool)
    for k in range(series):
        for t in range(0, 200, 4):
            mask[k, generator.permutation(40)[:20], t] = True
    y = np.where(mask, truth + np.sqrt(2) * generator.standard_normal(truth.shape), np.nan).astype("float32")
    x0 = start(y[:, None], "linear", 3)
    return tuple(torch.from_numpy(a) for a in (truth[:, None], np.nan_to_num(y)[:, None], mask[:, None], x0))


def learned(series: int, times: int) -> dict[str, float]:
    """Return the seconds of a solve with either right-hand side, and the difference of the solutions."""
    _, y, mask, x0 = observed(series)
    torch.manual_seed(0)
    solver = ConvLSTM(1, ("periodic", "zero"), width=32, iterations=20, feed="terms", downsampling=(1, 4))
    found, seconds = {}, {}
    for name, dynamics in (("shifts", Lorenz96()), ("convolutions", Convolved())):
        cost = VariationalCost(Flow(dynamics, STEP)).requires_grad_(False).given(y, mask)
        with torch.no_grad():
            seconds[name] = best(lambda cost=cost: solver(cost, x0), times)
            found[name] = solver(cost, x0).x
    apart = float((found["shifts"] - found["convolutions"]).abs().max())
    return {f"{name}, s": s for name, s in seconds.items()} | {"solves apart": apart}


def climbed(series: int) -> dict[str, float]:
    """Return the seconds of both ladders in float64, and the difference of the solutions."""
    truth, y, mask, x0 = (a.double() if a.is_floating_point() else a for a in observed(series))
    prior = Flow(Lorenz96(), STEP)
    cost = VariationalCost(prior, observation_weight=WEIGHTS[0], prior_weight=WEIGHTS[1]).given(y, mask)
    solver = LevenbergMarquardt(ITERATIONS, RUNGS)
    began, spent = time.perf_counter(), time.process_time()
    batched = solver(cost, x0).x[:, 0].numpy()
    middle, half = time.perf_counter(), time.process_time()
    single = np.stack(
        [
            ladder.climb(
                y[k, 0].numpy(), mask[k, 0].numpy(), x0[k, 0].numpy(), STEP, WEIGHTS, RUNGS, ITERATIONS
            )
            for k in range(series)
        ]
    )
    end, all_spent = time.perf_counter(), time.process_time()
    wrong = [float(np.mean((x - truth[:, 0].numpy()) ** 2)) for x in (batched, single)]
    return {
        "batched, s": middle - began,
        "sparse, s": end - middle,
        "batched, processor seconds": half - spent,
        "sparse, processor seconds": all_spent - half,
        "ladders apart": float(np.sqrt(np.mean((batched - single) ** 2))),
        "error, batched": wrong[0],
        "error, sparse": wrong[1],
    }


if __name__ == "__main__":
    keep_freed_memory()
    given = arguments(__doc__, ("--series", 256), ("--times", 3), ("--ladder", False))
    report(climbed(given.series) if given.ladder else learned(given.series, given.times))
