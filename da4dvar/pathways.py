"""The figures of a benchmark: energy pathways, and one sample with every estimate and its error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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
    from da4dvar.benchmark import Benchmark


def draw_pathways(
    benchmark: Benchmark,
    models: Mapping[str, Interpolator | None],
    seen: xr.Dataset,
    truth: xr.Dataset,
    path: Path,
) -> None:
    """U against the error of the reconstruction along the iterations, a line a solver. Paper, Fig. 1.

    U is that of one cost for all rows, averaged over a few samples.
    """
    table = benchmark.tables.get("pathways")
    wanted = {n: m for n, m in models.items() if table and m is not None and n in table["rows"]}
    if not table or not wanted:
        return
    first = {seen[next(iter(seen))].dims[0]: slice(0, table["samples"])}
    cost = config.build("cost", table["cost"])
    lines = {n: pathway(m, cost, seen.isel(first), truth.isel(first)) for n, m in wanted.items()}
    pathways(lines, f"{benchmark.tables.get('title', '')}\nenergy pathways").savefig(path, dpi=100)


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


def draw_example(
    benchmark: Benchmark, estimates: Mapping[str, xr.Dataset], seen: xr.Dataset, truth: xr.Dataset, path: Path
) -> None:
    """Truth and observations of one sample, and every row's estimate with its error beside it."""
    table = benchmark.tables.get("example")
    shown = [name for name in (table or {}).get("rows", []) if name in estimates]
    if not table or not shown:
        return
    name = next(iter(truth))
    at = {truth[name].dims[0]: table["sample"]}

    def image(ds: xr.Dataset) -> xr.DataArray:
        return ds[name].isel(at).transpose(..., "time")

    fields = {"truth": image(truth), "observed": image(seen)}
    fields |= {row: image(estimates[row]) for row in shown}
    errors = {row: fields[row] - fields["truth"].values for row in shown}
    columns_of_images(fields, errors, benchmark.tables.get("title", "")).savefig(path, dpi=80)
