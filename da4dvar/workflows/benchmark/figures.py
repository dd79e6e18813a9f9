"""Figures of a benchmark: energy pathways, and samples with the estimates of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.problem import whole_inputs, whole_samples
from da4dvar.config.registry import build
from da4dvar.evaluation.figures import columns_of_images, gallery, pathways
from da4dvar.interpolator import Interpolator
from da4dvar.variational.cost import VariationalCost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from da4dvar.workflows.benchmark.rows import Benchmark, Row


def draw_pathways(benchmark: Benchmark, rows: Sequence[Row], seen: xr.Dataset, truth: xr.Dataset) -> Figure:
    """Plot U against the error of the reconstruction along the iterations of each solver. Paper, Fig. 1.

    U is that of the `cost` in the table ``[pathways]`` for all rows, or of each row's own cost without it,
    averaged over a few samples. If the table holds a solver `descent`, it is also run on the own cost of each
    row, for comparison with the learned solver.
    """
    table = benchmark.tables["pathways"]
    first = {seen[next(iter(seen))].dims[0]: slice(0, table["samples"])}
    cost = build("cost", table["cost"]) if "cost" in table else None
    descent = build("solver", table["descent"]) if "descent" in table else None
    lines = {}
    for row in rows:
        model = row.interpolator()
        if model is not None:
            lines[row.name] = pathway(model, cost, seen.isel(first), truth.isel(first))
            if descent is not None:
                lines[f"{row.name}, descent"] = pathway(
                    model.with_solver(descent), cost, seen.isel(first), truth.isel(first)
                )
    return pathways(lines, f"{title_of(benchmark)}\nEnergy pathways")


def title_of(benchmark: Benchmark) -> str:
    """Return the title of a figure: that of the benchmark, with the variant of its test set if any."""
    title = str(benchmark.tables.get("title", ""))
    return title if benchmark.variant is None else f"{title} (variant: {benchmark.variant})"


def pathway(
    model: Interpolator, cost: VariationalCost | None, seen: xr.Dataset, truth: xr.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Return U and the R-score of the iterates of a model, each of shape (iteration + 1,).

    U is that of `cost`, or of the model itself if `cost` is None.
    """
    windows, solve = whole_samples(model, seen)
    y, mask = (torch.from_numpy(a) for a in solve.inputs(windows)[:2])
    x = torch.from_numpy(whole_inputs(model, truth).y)
    energy: list[float] = []
    error: list[float] = []

    def watch(iterate: Tensor) -> None:
        if cost is not None:
            energy.append(float(cost.given(y, mask)(iterate).mean()))
        error.append(float((iterate - x).square().mean() / x.square().mean()))

    _, found = solve.minimise(windows, watch)
    return np.array(energy) if cost is not None else found.cost.mean(1).numpy(), np.array(error)


def draw_example(benchmark: Benchmark, rows: Sequence[Row], seen: xr.Dataset, truth: xr.Dataset) -> Figure:
    """Draw truth, observations and estimates of all rows: one `sample` with errors, or several `samples`."""
    table = benchmark.tables["example"]
    name = next(iter(truth))
    several = "samples" in table
    some = {truth[name].dims[0]: table["samples"] if several else [table["sample"]]}

    def image(ds: xr.Dataset) -> xr.DataArray:
        return ds[name] if several else ds[name].isel(dict.fromkeys(some, 0)).transpose(..., "time")

    fields = {"truth": image(truth.isel(some)), "observed": image(seen.isel(some))}
    for row in rows:
        fields[row.name] = image(row.estimate(seen.isel(some), row.interpolator()))
    if several:
        return gallery(fields, title_of(benchmark))
    errors = {row.name: fields[row.name] - fields["truth"].values for row in rows}
    return columns_of_images(fields, errors, title_of(benchmark))
