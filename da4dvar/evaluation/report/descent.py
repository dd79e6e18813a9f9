"""How the solver goes down: both terms of U and the error of the iterates, over a few windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.api import load
from da4dvar.errors import DataError
from da4dvar.evaluation.report.part import Part, Table, number
from da4dvar.fields.channels import to_channels
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.initial import start
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.interpolator import Interpolator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOWS = 8


@dataclass(frozen=True)
class Descent:
    """The way of the iterates from x(0), the median over windows.

    Attributes
    ----------
    observation, prior : array, shape (iteration + 1,)
        Both weighted terms of U.
    error : array, shape (iteration + 1,)
        RMSE of the normalised iterates against the truth, over the cells of all windows that were not
        observed.
    windows : int
        How many windows.
    """

    observation: np.ndarray
    prior: np.ndarray
    error: np.ndarray
    windows: int


def descent_part(
    model: str, observed: str, truth: str, variable: Mapping[str, str] | None = None, windows: int = WINDOWS
) -> Part:
    """The descent of a model on two files, as a part of a report.

    Raises
    ------
    ModelError
        If there is no such model.
    DataError
        If the files do not fit it, or no window has something observed and something to compare with.
    """
    fitted = load(model)
    found = descent(fitted, load_dataset(observed), load_dataset(truth), variable, windows)
    last = len(found.error) - 1
    rows = [
        [str(k), number(found.observation[k]), number(found.prior[k]), number(found.error[k])]
        for k in sorted({0, 1, last // 4, last // 2, last})
        if k <= last
    ]
    text = [
        f"The solver of the model on {found.windows} windows, evenly chosen among those with an "
        "observation and an unobserved cell that has a truth. Both terms of U are the median over the "
        "windows; the error is over unobserved cells, in units of the standard deviation that the model "
        "scales by. "
        "A learned solver need not go down in U at every iteration: it was trained for the error."
    ]
    table = Table(["iteration", "observation term", "prior term", "RMSE, normalised"], rows)
    return Part("descent", "Energy descent", text, [table], draw_descent(found))


def descent(
    model: Interpolator,
    seen: xr.Dataset,
    truth: xr.Dataset,
    variable: Mapping[str, str] | None = None,
    windows: int = WINDOWS,
) -> Descent:
    """Run the solver on a few windows and watch it.

    Parameters
    ----------
    model : Interpolator
    seen, truth : Dataset
        Observations, and what they are compared with, under the model's names but for `variable`.
    variable : mapping of str to str, optional
        The name of a variable in `seen`, where it is another.
    windows : int
        At most so many.
    """
    if model.covariates or model.sensors:
        raise DataError("there is no descent of a model with covariates or sensors yet; leave --model out")
    known = model.conform(seen, variable=variable).data
    wanted = model.conform(truth).data
    indexes = {d: known[d] for d in known.indexes if d in wanted.indexes}
    y, x = model.states(known), model.states(wanted.reindex(indexes))
    if model.first_guess is None:
        axis = y.dims.index(model.time) if model.time in y.dims else None
        x0 = xr.DataArray(np.nan_to_num(start(y.values, model.initial, axis)), dims=y.dims)
    else:
        x0 = model.states(model.first_guess.interpolate(known)).fillna(0)
    order = (
        "variable",
        *(d for d in y.dims if d not in ("variable", *model.layout.dims)),
        *model.layout.dims,
    )
    arrays = [a.transpose(*order).values for a in (y, x, x0)]
    cut = cut_windows(arrays, model, windows)
    folded = [np.stack([to_channels(w, model.layout) for w in a]) for a in cut]
    mask, hidden = np.isfinite(folded[0]), np.isfinite(folded[1]) & ~np.isfinite(folded[0])
    target = torch.from_numpy(np.nan_to_num(folded[1]))
    error: list[float] = []

    def watch(iterate: Tensor) -> None:
        error.append(float((iterate - target)[torch.from_numpy(hidden)].square().mean().sqrt()))

    device = next(model.model.parameters(), torch.zeros(())).device
    target = target.to(device)
    inputs = (torch.from_numpy(a).to(device) for a in (np.nan_to_num(folded[0]), mask, folded[2]))
    with torch.no_grad():
        found = model.frozen()(*inputs, watch)
    terms = [t.median(dim=1).values.cpu().numpy() for t in (found.observation, found.prior)]
    return Descent(terms[0], terms[1], np.array(error), len(cut[0]))


def cut_windows(arrays: list[np.ndarray], model: Interpolator, wanted: int) -> list[np.ndarray]:
    """Evenly chosen windows of y, x and x(0), each of shape ``(window, variable, *cells)``."""
    layout, first = model.layout, arrays[0]
    axes = len(layout.dims)
    flat = [a.reshape(len(a), -1, *a.shape[a.ndim - axes :]) for a in arrays]
    short = [
        max(0, layout.window.get(d, 0) - n) if d in layout.channels else 0
        for d, n in zip(layout.dims, first.shape[first.ndim - axes :], strict=True)
    ]
    pads = [(0, 0), (0, 0), *((0, s) for s in short)]
    flat = [np.pad(a, pads, constant_values=fill) for a, fill in zip(flat, (np.nan, np.nan, 0), strict=True)]
    grid = WindowGrid.of(layout, dict(zip(layout.dims, flat[0].shape[2:], strict=True)))
    usable: list[tuple[int, tuple[Any, ...]]] = []
    for member in range(flat[0].shape[1]):
        for place in grid:
            cells: tuple[Any, ...] = (slice(None), *grid.cells(place))
            y, x = (np.isfinite(a[:, member][cells]) for a in flat[:2])
            if y.any() and (x & ~y).any():
                usable.append((member, cells))
    if not usable:
        raise DataError(
            "--model: no window has an observation and an unobserved cell with a truth to compare with"
        )
    chosen = [
        usable[k] for k in np.unique(np.linspace(0, len(usable) - 1, min(wanted, len(usable))).astype(int))
    ]
    return [np.stack([a[:, member][cells] for member, cells in chosen]).astype("float32") for a in flat]


def draw_descent(found: Descent) -> Figure:
    """Terms of U on the left, the error on the right, by iteration."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.7), layout="constrained")
    figure.suptitle("energy descent", fontsize="medium")
    left, right = figure.subplots(1, 2)
    steps = np.arange(len(found.observation))
    # On a logarithmic scale, a term that is zero at the start has no place.
    observation, prior = (np.where(t > 0, t, np.nan) for t in (found.observation, found.prior))
    left.semilogy(steps, found.observation + found.prior, "-", color="black", label="U")
    left.semilogy(steps, observation, "--", color="#3182bd", label="observation term")
    left.semilogy(steps, prior, "-.", color="#d95f0e", label="prior term")
    left.set_ylabel("median over the windows")
    left.legend(fontsize="small")
    right.plot(np.arange(len(found.error)), found.error, "o-", ms=3.5, color="black")
    right.set_ylabel("RMSE of unobserved cells, normalised")
    right.set_ylim(bottom=0)
    for axis in (left, right):
        axis.set_xlabel("iteration")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    return figure
