"""How far an estimate may be off: the spread of an ensemble, and what calibration makes of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.calibration import ONE_SIGMA, Calibration, check_levels
from da4dvar.fields.conform import Conformed
from da4dvar.fields.intervals import with_error_bars
from da4dvar.fields.perturbation import normal, withheld
from da4dvar.fields.samples import stack_variables
from da4dvar.fields.windows import WindowGrid

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

MEMBERS = 8


@dataclass(frozen=True)
class Ensemble:
    """x̂_m = arg min U(x, y + ε_m, Ω_m) from x(0) + δ_m: the same minimisation, of observations that might have been.

    Parameters
    ----------
    members : int
    withheld : float
        Part of the observations that a member does not see.
    block : mapping of str to int
        Cells of the boxes in which they are withheld, along a dimension; 1 where not given.
    start : float
        Standard deviation of δ: in those of the first guess' own error where it states one, else in those
        of the normalised variable.

    Raises
    ------
    DataError
        If a value is out of its range.
    """

    members: int = MEMBERS
    withheld: float = 0.2
    block: Mapping[str, int] = field(default_factory=dict)
    start: float = 0.1

    def __post_init__(self) -> None:
        if self.members < 2:
            raise DataError(f"an ensemble of {self.members} has no spread; expected 2 members or more")
        if not 0 <= self.withheld < 1:
            raise DataError(f"the part withheld is {self.withheld:g}, expected from 0 up and below 1")
        if not self.start >= 0:
            raise DataError(f"the perturbation of the start is {self.start:g}, expected 0 or more")
        for dim, cells in self.block.items():
            if cells < 1:
                raise DataError(f"boxes of {cells} cells along {dim!r}, expected 1 or more")


@dataclass(frozen=True)
class CalibratedEnsemble:
    """An ensemble, and for each variable what is to be made of its spread.

    Attributes
    ----------
    ensemble : Ensemble
    variables : mapping of str to Calibration
    """

    ensemble: Ensemble
    variables: Mapping[str, Calibration]

    def to_dict(self) -> dict[str, Any]:
        """For the header of a model file."""
        return {"ensemble": asdict(self.ensemble), **{n: c.to_dict() for n, c in self.variables.items()}}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any] | None) -> Self | None:
        """The inverse of :meth:`to_dict`; none of none."""
        if table is None:
            return None
        variables = {n: Calibration.from_dict(c) for n, c in table.items() if n != "ensemble"}
        return cls(Ensemble(**table["ensemble"]), variables)


@dataclass
class Analysis:
    """What the minimisation gives, under the model's names and in physical units.

    Attributes
    ----------
    estimates : Dataset
    weight, terms : DataArray
        See :func:`da4dvar.fields.streaming.reconstruct`.
    grid : WindowGrid
    spread : Dataset, optional
        √ mean (x̂_m − x̂)² over the members.
    guess : Dataset
        The standard error of the first guess, for variables of which it states one.
    """

    estimates: xr.Dataset
    weight: xr.DataArray
    terms: xr.DataArray
    grid: WindowGrid
    spread: xr.Dataset | None
    guess: xr.Dataset


def wanted(model: Interpolator, members: int, interval: Sequence[float]) -> Ensemble | None:
    """The ensemble to run, if one is asked for: of as many members as the model was calibrated with, if 0.

    Raises
    ------
    DataError
        If there cannot be one, or an interval is asked of a model without calibration.
    """
    check_levels(interval)
    if not members and not interval:
        return None
    if interval and model.calibration is None:
        raise DataError(
            "the model has no calibration, without which there is no interval; make one with "
            "da4dvar calibrate MODEL observed.nc truth.nc -o NEW.safetensors"
        )
    if interval and model.calibration is not None:
        for calibration in model.calibration.variables.values():
            for level in interval:
                calibration.factor(level)
    plan = Ensemble() if model.calibration is None else model.calibration.ensemble
    return replace(plan, members=members) if members else plan


def guess_error(filled: xr.Dataset | None, names: Sequence[str]) -> xr.Dataset:
    """The standard errors that a first guess states, under the names of its variables."""
    if filled is None:
        return xr.Dataset()
    return xr.Dataset({n: filled[f"{n}_std"].drop_attrs() for n in names if f"{n}_std" in filled})


def spread(
    model: Interpolator,
    y: xr.DataArray,
    x: xr.DataArray,
    guess: xr.Dataset,
    error: float | None,
    ensemble: Ensemble,
    seed: int,
    solve: Callable[[xr.DataArray, int], xr.DataArray],
) -> xr.DataArray:
    """√ mean (x̂_m − x̂)² over the members, one after another, in physical units.

    Parameters
    ----------
    model : Interpolator
    y : DataArray, dims (variable, *batch, *layout.dims)
        Normalised observations, and the first guess as the last variables if there is one.
    x : DataArray
        The analysis of what was observed, normalised, without the first guess.
    guess : Dataset
        Standard errors of the first guess.
    error : float, optional
        Standard deviation of the observation error, in the units of the data.
    ensemble : Ensemble
    seed : int
    solve : callable
        The analysis of observations, first guess and perturbation of x(0) as the variables of one array; told
        which member that is.

    Returns
    -------
    DataArray, dims of `x`
    """
    names = list(model.layout.variables)
    y = y.drop_vars(list(y.coords))
    observed, first = y.isel(variable=slice(0, len(names))), y.isel(variable=slice(len(names), None))
    scale = xr.DataArray([scale_of(model, n) for n in names], dims="variable").astype("float32")
    size = xr.ones_like(observed)
    if guess:
        errors = guess.assign({n: xr.full_like(guess[next(iter(guess))], np.nan) for n in names if n not in guess})
        stacked = stack_variables(errors, model.layout).astype("float32")
        size = (stacked.drop_vars(list(stacked.coords)) / scale).fillna(0.0)
    total = xr.zeros_like(x, dtype="float32")
    for member in range(ensemble.members):
        seen = observed
        if error is not None:
            seen = seen + error / scale * normal(observed, [seed, member, 0])
        hidden = withheld(observed, [seed, member, 1], ensemble.withheld, ensemble.block)
        start = ensemble.start * size * normal(observed, [seed, member, 2])
        parts = xr.concat([seen.where(hidden == 0), first, start], "variable").astype("float32")
        total = total + (solve(parts.transpose(*y.dims), member) - x) ** 2
    return (total / ensemble.members) ** 0.5 * scale


def scale_of(model: Interpolator, name: str) -> float:
    """What a normalised value is multiplied by."""
    return float(getattr(model.scaling, "std", {}).get(name, 1.0))


def with_uncertainty(
    model: Interpolator, filled: xr.Dataset, conformed: Conformed, solved: Analysis, interval: Sequence[float]
) -> xr.Dataset:
    """The data set that a user gets, with standard errors and intervals if an ensemble was run."""
    if solved.spread is None:
        return filled
    if model.calibration is None:
        warnings.warn(
            "the model has no calibration: standard errors are the spread of the members as it is, which may be "
            "far from the errors; da4dvar calibrate makes them honest",
            Da4dvarWarning,
            stacklevel=4,
        )
        return with_error_bars(filled, conformed, solved.spread, {})
    sigma, calibrations = {}, model.calibration.variables
    for name, calibration in calibrations.items():
        guess = solved.guess[name].fillna(0.0) if name in solved.guess else 0.0
        sigma[name] = calibration.sigma(solved.spread[name], guess)
    halves = {
        level: xr.Dataset({n: s * calibrations[n].factor(level) for n, s in sigma.items()}) for level in interval
    }
    std = xr.Dataset({n: s * calibrations[n].factor(ONE_SIGMA) for n, s in sigma.items()})
    return with_error_bars(filled, conformed, std, halves)


def calibrated(
    model: Interpolator, pairs: Sequence[tuple[Conformed, xr.Dataset]], ensemble: Ensemble, seed: int
) -> CalibratedEnsemble:
    """What makes of the spread of an ensemble the errors on points that it did not see.

    Parameters
    ----------
    model : Interpolator
    pairs : sequence of (Conformed, Dataset)
        What is observed, and the truth of cells that are not, both under the model's names.
    ensemble : Ensemble
    seed : int

    Raises
    ------
    DataError
        If the two are not of the same cells, or fewer than 50 of them are known only to the truth.
    """
    errors: dict[str, list[tuple[np.ndarray, ...]]] = {n: [] for n in model.layout.variables}
    for conformed, truth in pairs:
        try:
            xr.align(conformed.data, truth, join="exact")
        except ValueError as error:
            raise DataError(f"observations and truth are not of the same cells: {str(error).splitlines()[0]}") from error
        solved = model.solved(conformed, ensemble=ensemble, seed=seed)
        assert solved.spread is not None
        for name, found in errors.items():
            true = truth[name].transpose(*conformed.data[name].dims)
            hidden = (true.notnull() & conformed.data[name].isnull()).values
            guess = solved.guess.get(name, xr.zeros_like(true))
            arrays = (true - solved.estimates[name], solved.spread[name], guess)
            found.append(tuple(a.transpose(*true.dims).values[hidden] for a in arrays))
    variables = {}
    for name, found in errors.items():
        try:
            variables[name] = Calibration.fit(*(np.concatenate(a) for a in zip(*found, strict=True)))
        except DataError as error:
            raise DataError(f"variable {name!r}: {error}") from error
    return CalibratedEnsemble(ensemble, variables)
