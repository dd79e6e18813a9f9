"""The minimisation of U for a labelled data set, all windows of it, and for the members of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.ensemble import Ensemble, ErrorParts, error_parts, spread
from da4dvar.errors import DataError
from da4dvar.fields.conform import Conformed, check_values
from da4dvar.fields.streaming import of_runs, reconstruct
from da4dvar.fields.windows import WindowGrid
from da4dvar.problem import physical, pose
from da4dvar.progress import Progress
from da4dvar.sensing import observed

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


@dataclass(frozen=True)
class Analysis:
    """What the minimisation gives, under the model's names and in physical units.

    Attributes
    ----------
    estimates : Dataset
    weight, terms : DataArray
        See :func:`da4dvar.fields.streaming.reconstruct`.
    grid : WindowGrid
    parts : ErrorParts, optional
        If an ensemble was run.
    """

    estimates: xr.Dataset
    weight: xr.DataArray
    terms: xr.DataArray
    grid: WindowGrid
    parts: ErrorParts | None


def analyse(
    model: Interpolator,
    conformed: Conformed,
    observation_error: float | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    ensemble: Ensemble | None = None,
    seed: int = 0,
    precision: str = "float32",
) -> Analysis:
    """The minimisation for data under the model's names, and its ensemble.

    Parameters
    ----------
    model : Interpolator
    conformed : Conformed
    observation_error, batch_size, progress, seed, precision
        See :meth:`da4dvar.Interpolator.interpolate`.
    ensemble : Ensemble, optional
        Whose members are to be solved as well.

    Raises
    ------
    DataError
        If the values cannot be used, or an ensemble of several sensors is wanted.
    """
    if ensemble is not None and model.sensors:
        raise DataError("there is no ensemble of several sensors yet; leave standard errors out")
    y = observed(model, conformed.data)
    check_values(y, conformed)
    problem = pose(model, conformed, y, observation_error, precision)
    grid = problem.grid(model)
    runs = 1 if ensemble is None else 1 + ensemble.members

    def run(data: xr.DataArray, number: int) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        tell = of_runs(progress, number, runs)
        return reconstruct(data, grid, problem.solve, batch_size, tell, problem.aside, problem.covariates)

    x, weight, terms = run(problem.y, 0)
    keep = {d: slice(0, y.sizes[d]) for d in problem.short}
    parts = None
    if ensemble is not None:
        error = model.observation_error if problem.stated is None else problem.stated
        departure = spread(model, problem.y, x, problem.first, error, ensemble, seed, run)
        parts = error_parts(model, conformed, problem.first, departure.isel(keep))
    x, weight = x.isel(keep), weight.isel(keep)
    estimates = physical(model, conformed, x)
    if (first := problem.first) is not None:
        # Of a cell that the training never saw the scaling knows nothing; the first guess may.
        estimates = estimates.assign({n: estimates[n].fillna(first[n].drop_attrs()) for n in estimates})
    return Analysis(estimates, weight, terms, grid, parts)
