"""Largest throughput of the machine, and growth of the cost with windows and iterations.

python recipes/speed/machine.py

The largest throughput is that of the best of several plain convolutions of the sizes of the field problem.
The growth is the time per cell and iteration of a learned solver, for 1 to 64 windows and 5 to 40
iterations.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from field import SHAPE
from learned import learned_solver
from measuring import arguments, best, report

from da4dvar.cli.memory import keep_freed_memory


def throughput(times: int) -> float:
    """Return the GFLOP/s of the fastest plain convolution."""
    side, found = SHAPE[-1], []
    for channels, outputs in ((111, 384), (64, 64), (128, 256), (256, 256)):
        x, weight = torch.randn(1, channels, side, side), torch.randn(outputs, channels, 3, 3)
        with torch.no_grad():
            seconds = best(lambda x=x, weight=weight: F.conv2d(x, weight, padding=1), times)
        found.append(2 * 9 * channels * outputs * side**2 / seconds / 1e9)
    return max(found)


def growth(times: int) -> dict[str, float]:
    """Return the microseconds per cell, channel and iteration."""
    model = learned_solver().frozen()
    out = {}
    for windows, iterations in ((1, 10), (4, 10), (16, 10), (64, 10), (16, 5), (16, 20), (16, 40)):
        model.solver.iterations = iterations
        y = torch.randn(windows, 15, 32, 32)
        mask = torch.rand(y.shape) < 0.05
        parts = list(zip(y.split(16), mask.split(16), strict=True))

        def solve(parts: list = parts) -> None:
            with torch.no_grad():
                for some, seen in parts:
                    model(some, seen, torch.zeros_like(some))

        seconds = best(solve, times)
        out[f"{windows} windows, {iterations} iterations"] = 1e6 * seconds / y.numel() / (iterations + 0.5)
    return out


if __name__ == "__main__":
    keep_freed_memory()
    given = arguments(__doc__, ("--times", 5))
    report({"GFLOP/s": throughput(given.times)} | growth(given.times))
