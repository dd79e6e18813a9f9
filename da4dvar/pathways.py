"""The figures of a benchmark: energy pathways, and one sample with every estimate and its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar import config
from da4dvar.interpolator import Interpolator
from da4dvar.plots import columns_of_images, pathways
from da4dvar.variational.cost import VariationalCost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from da4dvar.benchmark import Benchmark, Row


def draw_pathways(benchmark: Benchmark, rows: Sequence[Row], seen: xr.Dataset, truth: xr.Dataset) -> Figure:
    """U against the error of the reconstruction along the iterations, a line a solver. Paper, Fig. 1.

    U is that of one cost for all rows, averaged over a few samples.
    """
    table = benchmark.tables["pathways"]
    first = {seen[next(iter(seen))].dims[0]: slice(0, table["samples"])}
    cost = config.build("cost", table["cost"])
    lines = {}
    for row in rows:
        model = row.interpolator()
        if model is not None:
            lines[row.name] = pathway(model, cost, seen.isel(first), truth.isel(first))
    return pathways(lines, f"{benchmark.tables.get('title', '')}\nenergy pathways")


def pathway(
    model: Interpolator, cost: VariationalCost, seen: xr.Dataset, truth: xr.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """U of `cost` and the R-score of the model's iterates, each of shape (iteration + 1,)."""
    y, x = torch.from_numpy(model.batch(seen)), torch.from_numpy(model.batch(truth))
    mask = y.isfinite()
    energy: list[float] = []
    error: list[float] = []

    def watch(iterate: Tensor) -> None:
        energy.append(float(cost.given(y, mask)(iterate).mean()))
        error.append(float((iterate - x).square().mean() / x.square().mean()))

    with torch.no_grad():
        model.frozen()(y.nan_to_num(), mask, torch.from_numpy(model.start(seen)), watch)
    return np.array(energy), np.array(error)


def draw_example(benchmark: Benchmark, rows: Sequence[Row], seen: xr.Dataset, truth: xr.Dataset) -> Figure:
    """Truth and observations of one sample, and every row's estimate with its error beside it."""
    sample = benchmark.tables["example"]["sample"]
    name = next(iter(truth))
    one = {truth[name].dims[0]: slice(sample, sample + 1)}

    def image(ds: xr.Dataset) -> xr.DataArray:
        return ds[name].isel(dict.fromkeys(one, 0)).transpose(..., "time")

    fields = {"truth": image(truth.isel(one)), "observed": image(seen.isel(one))}
    for row in rows:
        fields[row.name] = image(row.estimate(seen.isel(one), row.interpolator()))
    errors = {row.name: fields[row.name] - fields["truth"].values for row in rows}
    return columns_of_images(fields, errors, benchmark.tables.get("title", ""))
