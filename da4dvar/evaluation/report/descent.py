"""Energy descent: both terms of the cost U and the error of the iterates over a few windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.problem import Problem, pose_part
from da4dvar.api import load
from da4dvar.errors import DataError
from da4dvar.evaluation.report.part import Part, Table, number
from da4dvar.fields.channels import to_channels
from da4dvar.fields.files.store import load_dataset
from da4dvar.interpolator import Interpolator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOWS = 8


@dataclass(frozen=True)
class Descent:
    """Cost and error of the iterates of a solver, starting at x(0).

    Attributes
    ----------
    observation, prior : array, shape (iteration + 1,)
        Both weighted terms of U, median over the windows.
    error : array, shape (iteration + 1,)
        RMSE of the normalised iterates against the truth, over the unobserved cells of all windows.
    windows : int
        Number of windows.
    """

    observation: np.ndarray
    prior: np.ndarray
    error: np.ndarray
    windows: int


def descent_part(
    model: str,
    observed: str,
    truth: str,
    variable: Mapping[str, str] | None = None,
    windows: int = WINDOWS,
    device: str = "auto",
) -> Part:
    """Return the part of a report that shows the energy descent of a model on two files.

    Parameters
    ----------
    model : str
        Name of a model that ships with the package, or path of a model file.
    observed, truth : str
        Paths of the data sets with gaps and with the truth.
    variable : mapping of str to str, optional
        Name of a variable in `observed`, where it differs.
    windows : int
        Largest number of windows to solve.
    device : {"auto", "cpu", "cuda"}
        Where the windows are solved; see :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Part

    Raises
    ------
    ModelError
        If the model does not exist.
    DataError
        If the files do not fit the model, no window has both an observation and an unobserved cell with
        a truth, or there is no such device.
    """
    fitted = load(model)
    found = descent(fitted, load_dataset(observed), load_dataset(truth), variable, windows, device)
    last = len(found.error) - 1
    rows = [
        [str(k), number(found.observation[k]), number(found.prior[k]), number(found.error[k])]
        for k in sorted({0, 1, last // 4, last // 2, last})
        if k <= last
    ]
    text = [
        f"Iterations of the model's solver on {found.windows} windows, chosen evenly among those with an "
        "observation and an unobserved cell that has a truth. Both terms of the cost U are medians over the "
        "windows. The RMSE is that of all unobserved cells, in units of the standard deviation by which the "
        "model normalises.",
        "The RMSE may rise while U falls: the solver does not see the truth. U measures the misfit to the "
        "observations, noise included, and to the prior, so that its minimum has the smallest error only as "
        "far as the prior and the weights of U suit the data; starting from a good first guess, an early "
        "iterate may be closer to the truth than the last. Conversely, U may rise at an iteration of a "
        "learned solver, which was trained to reduce the error of its last iterate.",
    ]
    table = Table(["iteration", "observation term", "prior term", "RMSE, normalised"], rows)
    return Part("descent", "Energy descent", text, [table], draw_descent(found))


def descent(
    model: Interpolator,
    seen: xr.Dataset,
    truth: xr.Dataset,
    variable: Mapping[str, str] | None = None,
    windows: int = WINDOWS,
    device: str = "auto",
) -> Descent:
    """Run the solver on a few windows and record the cost and the error of each iterate.

    Parameters
    ----------
    model : Interpolator
        Model whose solver is run.
    seen, truth : Dataset
        Observations and truth, under the names of the model except for `variable`.
    variable : mapping of str to str, optional
        Name of a variable in `seen`, where it differs.
    windows : int
        Largest number of windows to solve.
    device : {"auto", "cpu", "cuda"}
        Where the windows are solved; see :meth:`da4dvar.Interpolator.interpolate`.

    Returns
    -------
    Descent

    Raises
    ------
    DataError
        If the model has several sensors, no window has both an observation and an unobserved cell with a
        truth, or there is no such device.
    """
    if model.sensors:
        raise DataError(
            "--model: the energy descent of a model with several sensors is not implemented; omit it"
        )
    conformed = model.conform(seen, variable=variable)
    problem = pose_part(model, conformed, device=device)
    wanted = model.conform(truth).data
    indexes = {d: i for d, i in conformed.data.indexes.items() if d in wanted.indexes}
    x = model.states(wanted.reindex(indexes)).pad(problem.short, constant_values=np.nan)
    y, sought = cut_windows(problem, x.transpose(*problem.y.dims), model, windows)
    mask = problem.solve.inputs(y).mask
    target = np.stack([to_channels(w, model.layout) for w in sought])
    hidden = torch.from_numpy(np.isfinite(target) & ~mask)
    error: list[float] = []

    def watch(iterate: Tensor) -> None:
        miss = iterate.cpu() - torch.from_numpy(np.nan_to_num(target))
        error.append(float(miss[hidden].square().mean().sqrt()))

    _, found = problem.solve.minimise(y, watch)
    terms = [t.median(dim=1).values.cpu().numpy() for t in (found.observation, found.prior)]
    return Descent(terms[0], terms[1], np.array(error), len(y))


def cut_windows(
    problem: Problem, truth: xr.DataArray, model: Interpolator, wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut evenly chosen windows from a problem and the truth.

    Returns
    -------
    observed, truth : array of float32, shape ``(window, entry or variable, *cells)``

    Raises
    ------
    DataError
        If no window has both an observation and an unobserved cell with a truth.
    """
    grid, axes = problem.grid(model), len(model.layout.dims)
    flat = [a.values.reshape(len(a), -1, *a.shape[a.ndim - axes :]) for a in (problem.y, truth)]
    observed = problem.solve.entries.observed
    usable: list[tuple[int, tuple[Any, ...]]] = []
    for member in range(flat[0].shape[1]):
        for place in grid:
            cells: tuple[Any, ...] = (slice(None), *grid.cells(place))
            y, x = (np.isfinite(a[:, member][cells]) for a in flat)
            if y[:observed].any() and (x & ~y[:observed]).any():
                usable.append((member, cells))
    if not usable:
        raise DataError(
            "--model: no window has an observation and an unobserved cell with a truth to compare with"
        )
    chosen = [
        usable[k] for k in np.unique(np.linspace(0, len(usable) - 1, min(wanted, len(usable))).astype(int))
    ]
    first, second = (
        np.stack([a[:, member][cells] for member, cells in chosen]).astype("float32") for a in flat
    )
    return first, second


def draw_descent(found: Descent) -> Figure:
    """Plot the terms of U (left) and the error (right) against the iteration."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.7), layout="constrained")
    figure.suptitle("Energy descent", fontsize="medium")
    left, right = figure.subplots(1, 2)
    steps = np.arange(len(found.observation))
    # A logarithmic axis cannot show a term that is zero at the start.
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
