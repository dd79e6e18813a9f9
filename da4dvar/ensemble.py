"""An ensemble of analyses, and what else is known of the error of each cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.conform import Conformed
from da4dvar.fields.gap_geometry import distance_to_observation
from da4dvar.fields.perturbation import normal, withheld
from da4dvar.fields.samples import stack_variables

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

MEMBERS = 8
MOST = 10_000


@dataclass(frozen=True)
class Ensemble:
    """x̂_m = arg min U(x, y + ε_m, Ω_m) from x(0) + δ_m: the same minimisation, of other observations.

    ε has the observation error that the model or the data state, δ is drawn in units of the standard error
    of the first guess. A first guess without one, or a start at the mean, stays as it is: the solver knows
    no other start, and 0.1 standard deviations of noise there made a spread that told nothing of the errors.

    Parameters
    ----------
    members : int
        How many minimisations.
    withheld : float
        Part of the observations that a member does not see. With half of them the spread followed the
        errors better than with a fifth (rank correlation 0.14 and 0.10; three members, SST from tracks).
    block : mapping of str to int
        Cells of the boxes in which they are withheld, along a dimension; 1 where not given.
    start : float
        Standard deviation of δ, in standard errors of the first guess.

    Raises
    ------
    DataError
        If a value is out of its range.

    Examples
    --------
    >>> Ensemble(members=4, block={"time": 3}).withheld
    0.5
    >>> Ensemble(members=1)
    Traceback (most recent call last):
    ...
    da4dvar.errors.DataError: an ensemble of 1 has no spread; expected 2 members or more
    """

    members: int = MEMBERS
    withheld: float = 0.5
    block: Mapping[str, int] = field(default_factory=dict)
    start: float = 0.5

    def __post_init__(self) -> None:
        if self.members < 2:
            raise DataError(f"an ensemble of {self.members} has no spread; expected 2 members or more")
        if self.members > MOST:
            raise DataError(f"an ensemble of {self.members}: expected up to {MOST} members")
        if not 0 <= self.withheld < 1:
            raise DataError(f"the part withheld is {self.withheld:g}, expected from 0 up and below 1")
        if not self.start >= 0:
            raise DataError(f"the perturbation of the start is {self.start:g}, expected 0 or more")
        for dim, cells in self.block.items():
            if cells < 1:
                raise DataError(f"boxes of {cells} cells along {dim!r}, expected 1 or more")


@dataclass(frozen=True)
class ErrorParts:
    """What is known of the error of each cell, under the model's names.

    Parameters
    ----------
    spread : Dataset
        √ mean (x̂_m − x̂)² over the members, in the units of the variables.
    guess : Dataset
        The standard error of the first guess, of the variables for which it states one.
    distance : Dataset
        Cells to the nearest observation, in time and along the layout's axes; inf where there is none.

    Examples
    --------
    >>> cell = xr.Dataset({"sst": ("time", [0.3])})
    >>> ErrorParts(spread=cell, guess=xr.Dataset(), distance=10 * cell).distance.sst.values
    array([3.])
    """

    spread: xr.Dataset
    guess: xr.Dataset
    distance: xr.Dataset


def error_parts(
    model: Interpolator,
    conformed: Conformed,
    first: xr.Dataset | None,
    spread: xr.DataArray,
) -> ErrorParts:
    """What is known of errors: an ensemble's spread, a first guess' error, and where the observations are."""
    names = list(model.layout.variables)
    coords = {d: conformed.data[d] for d in conformed.data.indexes}
    by_name = spread.assign_coords(variable=names).to_dataset("variable").assign_coords(coords)
    scaled = by_name.assign({n: by_name[n] * scale_of(model, n) for n in names})
    distance = {}
    for name in names:
        observed = conformed.data[name].notnull()
        metric = [d for d in dict.fromkeys((model.time, *model.layout.axes)) if d in observed.dims]
        distance[name] = distance_to_observation(observed, metric)
    return ErrorParts(scaled, guess_error(first, names), xr.Dataset(distance))


def guess_error(filled: xr.Dataset | None, names: Sequence[str]) -> xr.Dataset:
    """The standard errors that a first guess states, under the names of its variables."""
    if filled is None:
        return xr.Dataset()
    return xr.Dataset({n: filled[f"{n}_std"].drop_attrs() for n in names if f"{n}_std" in filled})


def spread(
    model: Interpolator,
    y: xr.DataArray,
    x: xr.DataArray,
    first: xr.Dataset | None,
    error: float | None,
    ensemble: Ensemble,
    seed: int,
    run: Callable[[xr.DataArray, int], tuple[xr.DataArray, ...]],
) -> xr.DataArray:
    """√ mean (x̂_m − x̂)² over the members, one after another.

    Parameters
    ----------
    model : Interpolator
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations, then the first guess if there is one; what follows is left as it is.
    x : DataArray, dims of `y`
        The analysis of what was observed.
    first : Dataset, optional
        The first guess in physical units, with the standard errors that it states.
    error : float, optional
        Standard deviation of the observation error, in the units of the data.
    ensemble : Ensemble
    seed : int
    run : callable
        The analysis, and more, of what stands in the place of `y`; told the number of the run, from 1.

    Returns
    -------
    DataArray, dims of `x`
        Normalised. A member that has no observation in reach of a cell has the mean there.
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


def scale_of(model: Interpolator, name: str) -> float:
    """What a normalised value is multiplied by."""
    return float(model.scaling.std.get(name, 1.0))
