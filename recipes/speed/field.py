"""Time and memory of one solve or training step of a field of usual size: 1 × 15 × 240 × 240, 15 iterations.

python recipes/speed/field.py [--work step] [--precision bfloat16] [--checkpoint]

The prior has the layers of `ocean4dvarnet` 1.0.6 (3 × 3 throughout, 64 channels) and the LSTM has 96
channels, so that the products are the same. `published.py` runs that package on the same problem. The output,
in JSON, is the time in seconds, the FLOPs, and the memory in GiB above that at the start.
"""

from __future__ import annotations

import torch
from flops import Flops
from measuring import arguments, best, report, resident
from torch import Tensor, nn

from da4dvar.cli.memory import keep_freed_memory
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.lstm import ConvLSTM

SHAPE = (1, 15, 240, 240)
ITERATIONS, PRIOR, LSTM = 15, 64, 96


class BilinearAutoEncoder(nn.Module):
    """Φ(x) = D [B₁ z, (B₂ z)²], z = C₂ ReLU(C₁ x), each a 3 × 3 convolution."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = [(channels, width), (width, width), (width, width), (width, width), (2 * width, channels)]
        maps = [nn.Conv2d(a, b, 3, padding=1) for a, b in sizes]
        self.lift, self.hidden, self.linear, self.root, self.project = maps

    def forward(self, x: Tensor) -> Tensor:
        z = self.hidden(torch.relu(self.lift(x)))
        return self.project(torch.cat([self.linear(z), self.root(z).square()], dim=1))


def problem(
    shape: tuple[int, ...] = SHAPE, prior: int = PRIOR, lstm: int = LSTM, iterations: int = ITERATIONS
) -> tuple[VariationalModel, Tensor, Tensor]:
    """Return a model with random weights and layers of some widths, observations and their mask."""
    torch.manual_seed(0)
    network = BilinearAutoEncoder(shape[1], prior)
    solver = ConvLSTM(shape[1], ("zero", "zero"), width=lstm, iterations=iterations, output="convolutional")
    y, mask = torch.randn(shape), torch.rand(shape) < 0.05
    return VariationalModel(VariationalCost(network), solver), y, mask


def main(work: str, precision: str, checkpoint: bool, times: int) -> None:
    """Measure a solve or a training step."""
    model, y, mask = problem()
    x0 = torch.zeros(SHAPE)
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")

    def solve() -> None:
        with torch.no_grad(), mixed:
            model(y, mask, x0)

    def step() -> None:
        model.zero_grad()
        with mixed:
            x = model(y, mask, x0, recompute=checkpoint).x
        (x - y).square().mean().backward()

    if work == "solve":
        model.requires_grad_(False)
    run = {"solve": solve, "step": step}[work]
    before = resident()
    with Flops() as counter:
        run()
    seconds = best(run, times, warm=False)
    report({"seconds": seconds, "gib": resident() - before, "gflop": counter.total / 1e9})


if __name__ == "__main__":
    keep_freed_memory()
    given = arguments(
        __doc__, ("--work", "solve"), ("--precision", "float32"), ("--checkpoint", False), ("--times", 1)
    )
    main(given.work, given.precision, given.checkpoint, given.times)
