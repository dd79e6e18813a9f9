"""Minimisation of U for all windows of a labelled data set, and for the members of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import xarray as xr

from da4dvar.analysis.ensemble import Ensemble, ErrorParts
from da4dvar.analysis.known import check_known, notes_of
from da4dvar.analysis.model import Model
from da4dvar.analysis.perturbation import normal, withheld
from da4dvar.analysis.problem import physical, pose
from da4dvar.errors import DataError
from da4dvar.fields.channels import stack_variables
from da4dvar.fields.gaps.geometry import distance_to_observation
from da4dvar.fields.labels.conform import Conformed, check_values
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.fields.windows.reconstruct import of_runs, reconstruct
from da4dvar.progress import Progress
from da4dvar.variational.device import batch_of
from da4dvar.variational.model import VariationalModel


@dataclass(frozen=True)
class Analysis:
    """Result of the minimisation, under the model's names and in physical units.

    Attributes
    ----------
    estimates : Dataset
        Estimates of the state variables.
    weight, terms : DataArray
        See :func:`da4dvar.fields.windows.reconstruct.reconstruct`.
    grid : WindowGrid
        Grid of the windows.
    parts : ErrorParts, optional
        Error information, if an ensemble was run.
    network : VariationalModel
        Network that was used.
    notes : tuple of str
        Messages to the user about windows outside of what the model was trained on.
    """

    estimates: xr.Dataset
    weight: xr.DataArray
    terms: xr.DataArray
    grid: WindowGrid
    parts: ErrorParts | None
    network: VariationalModel
    notes: tuple[str, ...] = ()


def analyse(
    model: Model,
    conformed: Conformed,
    observation_error: float | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    ensemble: Ensemble | None = None,
    seed: int = 0,
    precision: str = "float32",
    device: str = "auto",
    force: bool = False,
) -> Analysis:
    """Minimise U for all windows of a data set and, optionally, for an ensemble.

    Parameters
    ----------
    model : Model
        Fitted model.
    conformed : Conformed
        Data set under the model's names.
    observation_error, batch_size, progress, seed, precision, device, force
        See :meth:`da4dvar.Interpolator.interpolate`.
    ensemble : Ensemble, optional
        Ensemble whose members are also solved.

    Returns
    -------
    Analysis
        Estimates, cost terms and error information.

    Raises
    ------
    DataError
        If the values are invalid or far outside those of the training, or an ensemble is requested for a
        model with several sensors.
    """
    if ensemble is not None and model.sensors:
        raise DataError(
            "no ensemble of several sensors is supported yet; request neither error bars nor samples"
        )
    y = model.observations(conformed.data)
    check_values(y, conformed)
    lazy = y.chunks is not None
    if not (lazy or force):
        check_known(model, [conformed], [y])
    problem = pose(model, conformed, y, observation_error, precision, device, guarded=lazy and not force)
    grid = problem.grid(model)
    batch = batch_of(batch_size, problem.solve.network.device)
    runs = 1 if ensemble is None else 1 + ensemble.members

    def run(data: xr.DataArray, number: int) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        tell = of_runs(progress, number, runs)
        return reconstruct(data, grid, problem.solve, batch, tell, problem.solve.entries)

    x, weight, terms = run(problem.y, 0)
    notes = notes_of(model, problem.y.isel(variable=slice(0, y.sizes["variable"])), terms, grid)
    keep = {d: slice(0, y.sizes[d]) for d in problem.short}
    parts = None
    if ensemble is not None:
        error = model.observation_error if problem.stated is None else problem.stated
        departure = spread(model, problem.y, x, problem.first, error, ensemble, seed, run)
        parts = error_parts(model, conformed, problem.first, departure.isel(keep))
    x, weight = x.isel(keep), weight.isel(keep)
    estimates = physical(model, conformed, x)
    if (first := problem.first) is not None:
        # The scaling does not cover cells without training data, but the first guess may.
        estimates = estimates.assign({n: estimates[n].fillna(first[n].drop_attrs()) for n in estimates})
    return Analysis(estimates, weight, terms, grid, parts, problem.solve.network, tuple(notes))


def error_parts(
    model: Model,
    conformed: Conformed,
    first: xr.Dataset | None,
    spread: xr.DataArray,
) -> ErrorParts:
    """Collect the spread of an ensemble, the error of the first guess, and what the observations tell."""
    names = list(model.layout.variables)
    coords = {d: conformed.data[d] for d in conformed.data.indexes}
    by_name = spread.assign_coords(variable=names).to_dataset("variable").assign_coords(coords)
    scaled = by_name.assign({n: by_name[n] * scale_of(model, n) for n in names})
    distance, share = {}, {}
    for name in names:
        observed = conformed.data[name].notnull()
        metric = [d for d in dict.fromkeys((model.time, *model.layout.axes)) if d in observed.dims]
        distance[name] = distance_to_observation(observed, metric)
        share[name] = observed.mean([d for d in [model.time] if d in observed.dims])
    return ErrorParts(scaled, guess_error(first, names), xr.Dataset(distance), xr.Dataset(share))


def guess_error(filled: xr.Dataset | None, names: Sequence[str]) -> xr.Dataset:
    """Return the standard errors of a first guess, under the names of its variables."""
    if filled is None:
        return xr.Dataset()
    return xr.Dataset({n: filled[f"{n}_std"].drop_attrs() for n in names if f"{n}_std" in filled})


def spread(
    model: Model,
    y: xr.DataArray,
    x: xr.DataArray,
    first: xr.Dataset | None,
    error: float | None,
    ensemble: Ensemble,
    seed: int,
    run: Callable[[xr.DataArray, int], tuple[xr.DataArray, ...]],
) -> xr.DataArray:
    """√ mean (x̂_m − x̂)² over the members, which are computed one after another.

    Parameters
    ----------
    model : Model
        Fitted model.
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations, followed by the first guess, if any, and by entries that are not perturbed.
    x : DataArray, dims of `y`
        Analysis of the unperturbed observations.
    first : Dataset, optional
        First guess in physical units, with its standard errors, if any.
    error : float, optional
        Standard deviation of the observation error, in the units of the data.
    ensemble : Ensemble
        Size and perturbations of the ensemble.
    seed : int
        Random seed.
    run : callable
        Function from a perturbed `y` and the number of the run, starting at 1, to a tuple that begins with
        the analysis.

    Returns
    -------
    DataArray, dims of `x`
        Normalised spread. Where a member has no observation within reach, its value is the mean (0).
    """
    names = list(model.layout.variables)
    y = y.drop_vars(list(y.coords))
    observed, rest = (y.isel(variable=part) for part in (slice(0, len(names)), slice(len(names), None)))
    scale = xr.DataArray([scale_of(model, n) for n in names], dims="variable").astype("float32")
    errors = guess_error(first, names)
    guess = rest.isel(variable=slice(0, len(names)))
    if ensemble.start and errors:
        none = xr.zeros_like(errors[next(iter(errors))])
        stacked = stack_variables(errors.assign({n: none for n in names if n not in errors}), model.layout)
        short = {d: (0, n - stacked.sizes[d]) for d, n in guess.sizes.items() if n > stacked.sizes[d]}
        size = stacked.drop_vars(list(stacked.coords)).pad(short).fillna(0.0).astype("float32") / scale
    total = xr.zeros_like(x)
    for member in range(ensemble.members):
        hidden = withheld(observed, [seed, member, 0], ensemble.withheld, ensemble.block)
        seen = observed.where(hidden == 0)
        if error is not None:
            seen = seen + error / scale * normal(observed, [seed, member, 1])
        parts = [seen, rest]
        if ensemble.start and errors:
            start = guess + ensemble.start * size * normal(guess, [seed, member, 2])
            parts = [seen, start, rest.isel(variable=slice(len(names), None))]
        disturbed = xr.concat(parts, "variable").astype(y.dtype).transpose(*y.dims)
        total = total + (run(disturbed, 1 + member)[0].fillna(0.0) - x) ** 2
    return (total / ensemble.members) ** 0.5


def scale_of(model: Model, name: str) -> float:
    """Return the factor from normalised to physical values of a variable."""
    return float(model.scaling.std.get(name, 1.0))
