"""Setup of the minimisation of U for the windows of a labelled data set."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.analysis.known import guards
from da4dvar.analysis.model import Model
from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.errors import DataError
from da4dvar.fields.channels import Entries
from da4dvar.fields.covariates import beside
from da4dvar.fields.inputs import Inputs
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.variational.checks import check_space
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.device import device_of
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.base import Solver

ATTRIBUTE = "observation_error_std"
# An error of more standard deviations of the data than this is in another unit, or leaves nothing to learn.
LARGEST = 10.0


@dataclass(frozen=True)
class Problem:
    """Input for :func:`da4dvar.fields.windows.grid.overlap_add`.

    Attributes
    ----------
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations, NaN where not observed, followed by the first guess and the covariates.
    short : dict of str to (int, int)
        Padding of dimensions that are shorter than a window, in cells.
    solve : WindowSolver
        Solver of the windows, which knows the meaning of the entries of `y`.
    first : Dataset or None
        First guess, in physical units.
    stated : float or None
        Observation error in use, in the model's units.
    """

    y: xr.DataArray
    short: dict[str, tuple[int, int]]
    solve: WindowSolver
    first: xr.Dataset | None
    stated: float | None

    def grid(self, model: Model) -> WindowGrid:
        """Return the grid of windows of the data set.

        Raises
        ------
        DataError
            If the prior requires another window size.
        """
        grid = WindowGrid.of(model.layout, {str(d): n for d, n in self.y.sizes.items()})
        check_space(model.model, model.layout, grid.windows)
        return grid


def pose(
    model: Model,
    conformed: Conformed,
    y: xr.DataArray,
    observation_error: float | None = None,
    precision: str = "float32",
    device: str = "cpu",
    guarded: bool = False,
) -> Problem:
    """Set up the problem of a data set, or of a part of one if the model has no first guess.

    Parameters
    ----------
    model : Model
        Fitted model.
    conformed : Conformed
        Data set under the model's names.
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Observations; see :meth:`da4dvar.analysis.model.Model.observations`.
    observation_error, precision, device
        See :meth:`da4dvar.Interpolator.interpolate`.
    guarded : bool
        Refuse windows whose values lie far outside those of the training when they are solved.

    Returns
    -------
    Problem
        Problem to solve.

    Raises
    ------
    DataError
        If the values or the observation error are invalid.
    """
    sizes = y.sizes
    first = None
    if model.first_guess is not None:
        first = model.guess(conformed.data)
        y = xr.concat([y, model.states(first)], "variable")
    short = {
        d: (0, w - sizes[d])
        for d, w in model.layout.window.items()
        if d in model.layout.channels and sizes[d] < w
    }
    padded = y.pad(short, constant_values=float("nan")) if short else y
    given = model.covariates.normalised(conformed.data)
    if first is not None and model.takes_guess_error:
        given = model.guess_error(first)
    padded = beside(padded, given, short)
    frozen = model.frozen().to(device_of(device))
    deviation = max(model.scaling.std.values(), default=math.inf)
    # The user states the error in the units of the data, which may differ from the model's.
    factors = {abs(conformed.to_user(name)[0]) for name in conformed.sources}
    factor = factors.pop() if len(factors) == 1 else 1.0
    stated = stated_error(conformed.sources, observation_error, model.observation_error, deviation * factor)
    stated = None if stated is None else stated / factor
    if stated is not None and model.observation_error is not None and stated != model.observation_error:
        frozen = reweighted(frozen, (model.observation_error / stated) ** 2)
    entries = Entries(
        sizes["variable"],
        model.first_sensors(),
        guess=first is not None,
        covariates={str(n): [str(d) for d in c.dims] for n, c in given.items()},
    )
    solve = WindowSolver(
        frozen,
        model.layout,
        model.initial,
        model.time,
        entries,
        model.correction,
        precision,
        guards(model, conformed) if guarded else (),
    )
    return Problem(padded, short, solve, first, stated)


def pose_part(
    model: Model,
    conformed: Conformed,
    observation_error: float | None = None,
    precision: str = "float32",
    device: str = "cpu",
) -> Problem:
    """Set up the problem of the observations in a part of a data set."""
    return pose(model, conformed, model.observations(conformed.data), observation_error, precision, device)


def whole_samples(model: Model, ds: xr.Dataset) -> tuple[np.ndarray, WindowSolver]:
    """Return each sample of a data set as one window, with the solver of the windows.

    Returns
    -------
    windows : array, shape ``(sample, entry, *layout.dims)``
        Normalised samples.
    solve : WindowSolver
        Solver of the windows.
    """
    problem = pose_part(model, model.conform(ds))
    axes = len(model.layout.dims)
    flat = problem.y.values.reshape(problem.y.shape[0], -1, *problem.y.shape[problem.y.ndim - axes :])
    return flat.swapaxes(0, 1), problem.solve


def whole_inputs(model: Model, ds: xr.Dataset) -> Inputs:
    """Return the network inputs for each sample of a data set as one window.

    Examples
    --------
    >>> from da4dvar import load
    >>> from da4dvar.simulate import lorenz96
    >>> twin = lorenz96(series=2, steps=16, seed=3)[["x_observed"]].rename(x_observed="x")
    >>> whole_inputs(load("lorenz96"), twin).y.shape
    (2, 1, 40, 16)
    """
    windows, solve = whole_samples(model, ds)
    return solve.inputs(windows)


def physical(model: Model, conformed: Conformed, x: xr.DataArray) -> xr.Dataset:
    """Convert normalised estimates, dims (variable, ...), to physical units, with the data's coordinates."""
    estimates = x.assign_coords(variable=list(model.layout.variables)).to_dataset("variable")
    coords = {d: conformed.data[d] for d in conformed.data.indexes}
    return model.scaling.restore(estimates.assign_coords(coords))


def stated_error(
    sources: Mapping[str, xr.DataArray],
    given: float | None,
    trained: float | None,
    spread: float = math.inf,
) -> float | None:
    """Return the standard deviation of the observation error to use, or None for that of the training.

    Parameters
    ----------
    sources : mapping of str to DataArray
        Observations, whose attribute ``observation_error_std`` states the error.
    given : float, optional
        Error given by the user, which takes precedence over the attribute.
    trained : float, optional
        Error for which the model was trained. Without it, attributes are ignored.
    spread : float
        Standard deviation of the data.

    Returns
    -------
    float or None

    Raises
    ------
    DataError
        If an error is not positive, exceeds ten times the spread of the data, or is given for a model that
        was trained without one.
    """
    if given is not None and not 0 < given < math.inf:
        raise DataError(f"the observation error is {given:g}, expected a standard deviation above 0")
    if given is None and trained is not None:
        said = [source.attrs[ATTRIBUTE] for source in sources.values() if ATTRIBUTE in source.attrs]
        try:
            errors = {float(error) for error in said}
        except (TypeError, ValueError):
            raise DataError(f"the attribute {ATTRIBUTE} is {said[0]!r}, expected a number above 0") from None
        given = errors.pop() if len(errors) == 1 else None
        if given is not None and not 0 < given < math.inf:
            raise DataError(f"the attribute {ATTRIBUTE} is {given:g}, expected a number above 0")
    elif given is not None and trained is None:
        raise DataError(
            "the model was trained without a stated observation error, so that no other can be given; "
            "leave the observation error out"
        )
    if given is not None and given > LARGEST * spread:
        units = {str(source.attrs["units"]) for source in sources.values() if "units" in source.attrs}
        raise DataError(
            f"the observation error is {given:g}, over ten times the standard deviation {spread:.3g} of the "
            f"data; give it in the units of the data{', ' * bool(units)}{', '.join(sorted(units))}"
        )
    return given


def reweighted(model: VariationalModel, factor: float) -> VariationalModel:
    """Return a copy of a model with λ_o multiplied by `factor` in every cost that its solver minimises."""
    model = copy.deepcopy(model)
    for part in model.modules():
        if isinstance(part, VariationalCost | Solver):
            part.reweigh(factor)
    return model
