"""Time and memory of `ocean4dvarnet` 1.0.6 on the problem of `field.py`, in its own environment (see README).

python recipes/speed/published.py [--work step]
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from measuring import arguments, best, report, resident
from ocean4dvarnet.models import BaseObsCost, BilinAEPriorCost, ConvLstmGradModel, GradSolver

# As in field.py, which this environment cannot import.
SHAPE = (1, 15, 240, 240)
ITERATIONS, PRIOR, LSTM = 15, 64, 96


def main(work: str, times: int) -> None:
    """Measure a solve or a training step."""
    torch.manual_seed(0)
    solver = GradSolver(
        BilinAEPriorCost(SHAPE[1], PRIOR), BaseObsCost(), ConvLstmGradModel(SHAPE[1], LSTM), ITERATIONS
    )
    seen, truth = torch.randn(SHAPE), torch.randn(SHAPE)
    seen[torch.rand(SHAPE) >= 0.05] = torch.nan
    batch = SimpleNamespace(input=seen, tgt=truth)

    def solve() -> None:
        with torch.no_grad():
            solver(batch)

    def step() -> None:
        solver.zero_grad()
        (solver(batch) - truth).square().mean().backward()

    solver.train(work == "step")
    run = {"solve": solve, "step": step}[work]
    before = resident()
    seconds = best(run, times)
    report({"seconds": seconds, "gib": resident() - before})


if __name__ == "__main__":
    given = arguments(__doc__, ("--work", "solve"), ("--times", 1))
    main(given.work, given.times)
