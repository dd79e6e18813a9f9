"""The minimisation of U for a labelled data set, all windows of it, and for the members of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.ensemble import Ensemble, ErrorParts, error_parts, spread
from da4dvar.errors import DataError
from da4dvar.fields.conform import Conformed, check_values
from da4dvar.fields.covariates import beside
from da4dvar.fields.streaming import of_runs, reconstruct
from da4dvar.fields.windows import WindowGrid
from da4dvar.observation_error import reweighted, stated_error
from da4dvar.sensing import first_sensors, observed
from da4dvar.variational.taken import check_space
from da4dvar.window_solver import window_solver

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

Progress = Callable[[int, int], None]


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
    known, first = 0, None
    if model.first_guess is not None:
        first = model.first_guess.interpolate(conformed.data[list(model.layout.variables)])
        guess = model.states(first)
        y, known = xr.concat([y, guess], "variable"), guess.sizes["variable"]
    short = {
        d: (0, w - y.sizes[d])
        for d, w in model.layout.window.items()
        if d in model.layout.channels and y.sizes[d] < w
    }
    padded = y.pad(short, constant_values=np.nan) if short else y
    given = model.covariates.normalised(conformed.data)
    padded = beside(padded, given, short)
    grid = WindowGrid.of(model.layout, {str(d): n for d, n in padded.sizes.items()})
    check_space(model.model, model.layout, grid.windows)
    frozen = model.frozen()
    deviation = max(getattr(model.scaling, "std", {}).values(), default=math.inf)
    stated = stated_error(conformed.sources, observation_error, model.observation_error, deviation)
    if stated is not None and model.observation_error is not None and stated != model.observation_error:
        frozen = reweighted(frozen, (model.observation_error / stated) ** 2)
    own = {str(n): [str(d) for d in c.dims] for n, c in given.items()}
    firsts = first_sensors(model)
    solve = window_solver(
        frozen, model.layout, model.initial, model.time, known, own, firsts, model.correction, precision
    )
    aside = padded.sizes["variable"] - len(model.layout.variables)
    runs = 1 if ensemble is None else 1 + ensemble.members

    def run(data: xr.DataArray, number: int) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        tell = of_runs(progress, number, runs)
        return reconstruct(data, grid, solve, batch_size, tell, aside, len(own))

    x, weight, terms = run(padded, 0)
    keep = {d: slice(0, y.sizes[d]) for d in short}
    parts = None
    if ensemble is not None:
        error = model.observation_error if stated is None else stated
        departure = spread(model, padded, x, first, error, ensemble, seed, run)
        parts = error_parts(model, conformed, first, departure.isel(keep))
    x, weight = x.isel(keep), weight.isel(keep)
    estimates = x.assign_coords(variable=list(model.layout.variables)).to_dataset("variable")
    coords = {d: conformed.data[d] for d in conformed.data.indexes}
    estimates = model.scaling.restore(estimates.assign_coords(coords))
    if first is not None:
        # Of a cell that the training never saw the scaling knows nothing; the first guess may.
        estimates = estimates.assign({n: estimates[n].fillna(first[n].drop_attrs()) for n in estimates})
    return Analysis(estimates, weight, terms, grid, parts)
