"""Everything on one GPU in less than nine minutes: what it takes, and what could make it faster.

python recipes/speed/gpu.py [--device cuda] [--quick] [--minutes 9] [--output gpu.md]

A training step and a solve of 8 × 15 × 240 × 240, as such, in TF32 and bfloat16, with channels last, with the
gradient of U by `torch.func.grad`, the same compiled, and captured in a CUDA graph; a year of daily fields,
with an ensemble; and the ladder of Lorenz-96. The first row of each work is the plain one, with which the
others are compared in time, memory and result. The table, in Markdown, is written after each row, by default
to `gpu.md` in the folder that the environment variable OUT names, or here. A row that fails says why.
`--quick` is small enough for a processor, which shows that the script works.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from field import SHAPE, problem
from lorenz import RUNGS, STEP, WEIGHTS, observed
from measuring import arguments, markdown, resident
from torch import Tensor
from year import DATA

from da4dvar.api import load
from da4dvar.errors import first_line
from da4dvar.fields.files.store import open_dataset
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.device import device_of, exactly
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import per_sample
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.lstm import SMALLEST_SQUARE
from da4dvar.workflows.twin import hide

Work = Callable[[], Tensor]
Iteration = Callable[..., tuple[Tensor, Tensor, Tensor]]
HEAD = ["work", "how", "s", "times faster", "GiB", "relative difference"]


@dataclass
class Table:
    """Rows of the table, written to a file after each."""

    device: torch.device
    path: Path
    until: float
    rows: list[list[str]] = field(default_factory=lambda: [HEAD])
    plain: dict[str, tuple[float, Tensor]] = field(default_factory=dict)

    def add(self, work: str, how: str, make: Callable[[], Work], times: int = 2) -> None:
        """Measure one way to do a work; the first way is the plain one."""
        try:
            if time.monotonic() > self.until:
                raise TimeoutError("the minutes are over")
            cells = self._measured(work, make(), times)
        except Exception as failure:  # whatever fails, the other rows are worth having
            cells = [f"failed: {type(failure).__name__}: {first_line(failure)[:120]}", "", "", ""]
        self.rows.append([work, how, *cells])
        print("  ".join(self.rows[-1]), flush=True)
        title = f"{named(self.device)}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
        self.path.write_text(f"{title}\n\n{markdown(self.rows)}\n", encoding="utf-8")
        gc.collect()
        torch.cuda.empty_cache()

    def _measured(self, work: str, run: Work, times: int) -> list[str]:
        run()  # compiles, and chooses algorithms
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            found = run()
            if cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        gib = torch.cuda.max_memory_allocated() / 2**30 if cuda else resident()
        first, usual = self.plain.setdefault(work, (min(seconds), found.detach().float().cpu().clone()))
        apart = float((found.detach().float().cpu() - usual).norm() / usual.norm())
        return [f"{min(seconds):.4f}", f"{first / min(seconds):.2f}", f"{gib:.2f}", f"{apart:.1e}"]


def named(device: torch.device) -> str:
    """Return the name of a GPU or of the processor."""
    return torch.cuda.get_device_name() if device.type == "cuda" else f"cpu ({platform.machine()})"


class Unrolled:
    """The iterations of the learned solver of `field.py`, with the gradient of U by `torch.func.grad`.

    Each iteration is a function of tensors, which can be compiled, its derivative included.
    """

    def __init__(self, model: VariationalModel, y: Tensor, mask: Tensor, compiled: bool = False) -> None:
        self.solver, self.cost = model.solver, model.cost.given(y, mask)
        self.gradient = torch.func.grad(lambda x: self.cost(x).sum())
        self.step: Iteration = torch.compile(self.iteration, dynamic=False) if compiled else self.iteration

    def iteration(self, x: Tensor, h: Tensor, c: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x(k+1), h(k+1) and c(k+1)."""
        h, c = self.solver.cell(alpha * self.gradient(x), h, c)
        return x - self.solver.update(h), h, c

    def __call__(self, x: Tensor) -> Tensor:
        """Return the estimate, starting at x(0)."""
        h = c = x.new_zeros(len(x), self.solver.width, *x.shape[2:])
        square = self.gradient(x).detach().square().flatten(1).mean(1)
        alpha = per_sample((square + SMALLEST_SQUARE).rsqrt(), x)
        for _ in range(self.solver.iterations):
            x, h, c = self.step(x, h, c, alpha)
        return x


class Field:
    """A solve and a training step of a field, as functions that return an estimate or the gradients."""

    def __init__(self, device: torch.device, quick: bool) -> None:
        sizes = ((2, 3, 24, 24), 8, 8, 3) if quick else ((8, *SHAPE[1:]),)
        model, y, mask = problem(*sizes)
        self.device, self.model = device, model.to(device)
        self.y, self.mask = y.to(device), mask.to(device)

    def mode(self, how: str) -> AbstractContextManager[Any]:
        """Return the context of a precision."""
        if how == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext() if how == "tf32" else exactly(self.device)

    def solver(self, unrolled: bool, compiled: bool, last: bool) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """Return a function from x(0) to the estimate, and x(0)."""
        torch.compiler.reset()
        layout = torch.channels_last if last else torch.contiguous_format
        model = self.model.to(memory_format=layout)
        y, mask = (a.contiguous(memory_format=layout) for a in (self.y, self.mask))
        x0 = torch.zeros_like(y)
        if unrolled or compiled:
            return Unrolled(model, y, mask, compiled), x0
        return lambda x: model(y, mask, x).x, x0

    def solve(
        self, how: str = "", unrolled: bool = False, compiled: bool = False, last: bool = False
    ) -> Work:
        """Return a solve."""
        run, x0 = self.solver(unrolled, compiled, last)

        def work() -> Tensor:
            with torch.no_grad(), self.mode(how):
                return run(x0)

        return work

    def step(self, how: str = "", unrolled: bool = False, compiled: bool = False, last: bool = False) -> Work:
        """Return a training step without the optimiser, which gives the gradients of all weights."""
        run, x0 = self.solver(unrolled, compiled, last)

        def work() -> Tensor:
            self.model.zero_grad()
            with self.mode(how):
                (run(x0) - self.y).square().mean().backward()
            return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])

        return work

    def graph(self, how: str = "") -> Work:
        """Return a solve that is captured in a CUDA graph."""
        run = self.solve(how, unrolled=True)
        if self.device.type != "cuda":
            raise RuntimeError("CUDA graphs need a GPU")
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = run()

        def work() -> Tensor:
            graph.replay()
            return found

        return work


def year(device: torch.device, quick: bool, **options: Any) -> Work:
    """Return the interpolation of a year of daily fields in memory."""
    model, truth = load("oisst-tasman"), open_dataset(DATA).sel(time="2010-01" if quick else "2010").load()
    seen = hide(truth, "tracks", 0.035, seed=11)
    name = "sst_std" if options.get("std") else "sst"

    def work() -> Tensor:
        found: xr.Dataset = model.interpolate(seen, device=device.type, **options)
        return torch.from_numpy(found[name].fillna(0.0).values)

    return work


def ladder(device: torch.device, series: int, iterations: int) -> Work:
    """Return Levenberg-Marquardt on series of Lorenz-96, in float64."""
    _, y, mask, x0 = (a.to(device) for a in observed(series))
    y, x0, prior = y.double(), x0.double(), Flow(Lorenz96(), STEP)
    model = VariationalCost(prior, observation_weight=WEIGHTS[0], prior_weight=WEIGHTS[1]).to(device)
    cost, solver = model.given(y, mask), LevenbergMarquardt(iterations, RUNGS)

    def work() -> Tensor:
        with torch.no_grad():
            return solver(cost, x0).x

    return work


def ways(make: Callable[..., Work]) -> Iterator[tuple[str, Callable[[], Work]]]:
    """Yield the ways to do a work with the learned solver that need no compiler."""
    yield "float32", make
    yield "TF32", partial(make, "tf32")
    yield "bfloat16", partial(make, "bfloat16")
    yield "channels last", partial(make, last=True)
    yield "channels last, bfloat16", partial(make, "bfloat16", last=True)
    yield "torch.func.grad", partial(make, unrolled=True)


def compiled(make: Callable[..., Work]) -> Iterator[tuple[str, Callable[[], Work]]]:
    """Yield the ways to do a work whose iterations are compiled, which takes up to a minute for each."""
    yield "compiled", partial(make, compiled=True)
    yield "compiled, bfloat16", partial(make, "bfloat16", compiled=True)
    yield "compiled, channels last, bfloat16", partial(make, "bfloat16", compiled=True, last=True)


def main(device: str, quick: bool, minutes: float, output: str) -> None:
    """Measure every row; those that compile come last, as their time is not known."""
    place = Path(output) if output else Path(os.environ.get("OUT", ".")) / "gpu.md"
    at = device_of(device)
    table = Table(at, place, time.monotonic() + 60 * minutes)
    small = Field(at, quick)
    works, days = {"solve": small.solve, "training step": small.step}, "a month" if quick else "a year"
    for name, make in works.items():
        for how, way in ways(make):
            table.add(name, how, way)
    table.add(days, "16 windows at once", partial(year, at, quick, batch_size=16))
    table.add(days, "default", partial(year, at, quick))
    table.add(days, "default, bfloat16", partial(year, at, quick, precision="bfloat16"))
    if at.type == "cuda":
        table.add(days, "on the processor", partial(year, torch.device("cpu"), quick), times=1)
    table.add(f"{days}, ensemble of 8", "default", partial(year, at, quick, std=True, members=8), times=1)
    series, iterations = (2, 10) if quick else (256, 30)
    table.add("ladder, Lorenz-96", f"{series} series", partial(ladder, at, series, iterations), times=1)
    table.add("solve", "CUDA graph", small.graph)
    table.add("solve", "CUDA graph, bfloat16", partial(small.graph, "bfloat16"))
    for name, make in works.items():
        for how, way in compiled(make):
            table.add(name, how, way)


if __name__ == "__main__":
    given = arguments(__doc__, ("--device", "auto"), ("--quick", False), ("--minutes", 9.0), ("--output", ""))
    main(given.device, given.quick, given.minutes, given.output)
