"""What a model knows: the values that it was trained on, with which the values of a data set are compared.

A data set without units, or with wrong ones, fits a model by its names and labels. Its values betray it: they
lie many standard deviations from all that the model has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import dask
import numpy as np
import torch
import xarray as xr

from da4dvar.analysis.model import Model
from da4dvar.analysis.quantiles import Known, quantiles
from da4dvar.errors import DataError
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.units import conversion
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.variational.model import VariationalModel

# Range of standardised values if a model file has no quantiles, and least width of a range.
ASSUMED, NARROWEST = (-6.0, 6.0), 6.0
# Beyond the range of the training by these multiples of its width, values are outside, or far outside.
OUTSIDE, FAR = 0.25, 1.0
# Share of values that may lie far outside: glitches, which are no reason to refuse a data set.
GLITCHES = 0.01
# A window is out of the ordinary if its cost exceeds the largest of the training by this factor.
COSTLY = 3.0
SLICES = 64

# Units that are taken for each other, with their names.
MISTAKEN = {
    "K": "kelvin",
    "degC": "degrees Celsius",
    "degF": "degrees Fahrenheit",
    "mm": "millimetres",
    "cm": "centimetres",
    "m": "metres",
    "km": "kilometres",
    "Pa": "pascal",
    "hPa": "hectopascal",
    "%": "per cent",
    "1": "fractions",
    "m s-1": "metres per second",
    "cm s-1": "centimetres per second",
    "knot": "knots",
    "kg m-3": "kilograms per cubic metre",
    "mg m-3": "milligrams per cubic metre",
    "ug m-3": "micrograms per cubic metre",
    "kg m-2 s-1": "kilograms per square metre and second",
    "kg m-2 day-1": "kilograms per square metre and day",
}


def observed_names(model: Model) -> list[str]:
    """Return the names of the entries of the observations: sensors, or variables of the state."""
    return [s.variable for s in model.sensors] or list(model.layout.variables)


def known_of(model: Model, ds: xr.Dataset, truth: xr.Dataset | None) -> Known:
    """Return the quantiles of training data; of lazy data, those of some times.

    Parameters
    ----------
    model : Model
        Model whose signature and scaling are known.
    ds, truth : Dataset
        Training data.
    """
    names = observed_names(model)
    used = (ds if truth is None or model.sensors else truth)[names]
    steps = used.sizes.get(model.time, 1)
    if steps > SLICES and any(array.chunks is not None for array in used.data_vars.values()):
        used = used.isel({model.time: np.linspace(0, steps - 1, SLICES).astype(int)})
    with dask.config.set(scheduler="synchronous"):
        used = used.compute()
    y = model.observations(used)
    each = {name: quantiles(y.isel(variable=k).values) for k, name in enumerate(names)}
    return Known({name: quantiles(used[name].values) for name in names}, each)


def costs_of(model: VariationalModel, samples: Sequence[Mapping[str, np.ndarray]]) -> tuple[float, ...]:
    """Return quantiles of the cost of windows at the estimate; see :class:`Known`.

    Parameters
    ----------
    model : VariationalModel
        Trained model.
    samples : sequence of mapping
        Windows that :meth:`da4dvar.training.samples.Samples.draw` has drawn.
    """
    found = []
    for sample in samples:
        y, mask, x0, *covariates = (
            torch.from_numpy(sample[name])[None].to(model.device)
            for name in ("y", "mask", "x0", "covariates")
            if name in sample
        )
        with torch.no_grad():
            solved = model(y, mask, x0, covariates=covariates[0] if covariates else None)
        counts = max(1, int(mask.sum())), solved.x[0].numel()
        found.append(cost_per_value(float(solved.observation[-1]), float(solved.prior[-1]), *counts))
    return quantiles(np.array(found))


def cost_per_value(observation: float, prior: float, observed: float, cells: float) -> float:
    """Return the observation term per observation plus the prior term per cell."""
    return observation / observed + prior / cells


def ranges(model: Model, beyond: float) -> dict[str, tuple[float, float]]:
    """Return the range of standardised values of each observed variable, widened by a multiple of its width.

    Variables of which nothing is known, as those of an unscaled model, are left out.
    """
    out: dict[str, tuple[float, float]] = {}
    for name in observed_names(model):
        if known := model.known.standardised.get(name):
            low, high = known[0], known[-1]
        elif model.scaling.std and not model.sensors:
            low, high = ASSUMED
        else:
            continue
        out[name] = widened((low, high), beyond, NARROWEST)
    return out


def widened(span: Sequence[float], beyond: float, narrowest: float = 0.0) -> tuple[float, float]:
    """Return the ends of a range, or of quantiles, moved apart by a multiple of its width."""
    width = beyond * max(span[-1] - span[0], narrowest)
    return span[0] - width, span[-1] + width


def check_known(model: Model, parts: Sequence[Conformed], fields: Sequence[xr.DataArray]) -> None:
    """Refuse data whose values lie far outside those of the training.

    Parameters
    ----------
    model : Model
        Fitted model.
    parts : sequence of Conformed
        A data set, or parts of it, under the model's names.
    fields : sequence of DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations of the parts.

    Raises
    ------
    DataError
        If more than one in a hundred values of a variable lie farther from the range of the training than
        the width of that range, normalised as well as in the model's units.
    """
    names = observed_names(model)
    for name, span in ranges(model, FAR).items():
        values = np.concatenate([finite(y.isel(variable=names.index(name))) for y in fields])
        if share_beyond(values, span) > GLITCHES:
            given = np.concatenate([finite(part.data[name]) for part in parts])
            known = model.known.values.get(name)
            if known and share_beyond(given, widened(known, FAR)) <= GLITCHES:
                # Only the climatology of another season or place differs.
                continue
            remedy = "check its units and its fill values"
            if units := likely_units(model, parts, name):
                remedy = f"they look like {MISTAKEN[units]}: set its attribute `units` to {units!r}"
            where = f"has values around {np.median(given):.4g}, some {np.median(np.abs(values)):.3g}"
            raise DataError(far_outside(model, parts[0], name, where, remedy))


def finite(array: xr.DataArray) -> np.ndarray:
    """Return the finite values of an array."""
    values = np.asarray(array.values)
    kept: np.ndarray = values[np.isfinite(values)]
    return kept


def share_beyond(values: np.ndarray, span: tuple[float, float]) -> float:
    """Return the share of values outside a range."""
    return float(((values < span[0]) | (values > span[1])).mean()) if values.size else 0.0


def far_outside(model: Model, part: Conformed, name: str, where: str, remedy: str) -> str:
    """Return the message about a variable whose values lie far outside those of the training."""
    source, used = part.sources[name], model.fitted_signature().variables[name].get("units")
    given = f"in {source.attrs['units']}" if "units" in source.attrs else "without units"
    known = model.known.values.get(name)
    trained = f" of values from {known[0]:.4g} to {known[-1]:.4g}" if known else ""
    return (
        f"variable {source.name!r} ({given}) {where} standard deviations from those of the training"
        f"{trained}{' in ' * bool(used)}{used or ''}; {remedy}, or continue with --force (force=True)"
    )


def guards(model: Model, conformed: Conformed) -> tuple[tuple[str, float, float], ...]:
    """Return a message and the range of each entry of the observations, to check lazy data when computed."""
    far = ranges(model, FAR)
    remedy = "check its units, such as kelvin for degrees Celsius, and its fill values"
    where = "has values more than ten"
    return tuple(
        (far_outside(model, conformed, name, where, remedy), *far[name])
        if name in far
        else ("", -np.inf, np.inf)
        for name in observed_names(model)
    )


def likely_units(model: Model, parts: Sequence[Conformed], name: str) -> str | None:
    """Return the units in which the values would lie within the range of the training."""
    used = model.fitted_signature().variables[name].get("units")
    span, number = ranges(model, OUTSIDE)[name], observed_names(model).index(name)
    for units in MISTAKEN if used else ():
        try:
            factor, offset = conversion(units, str(used))
        except ValueError:
            continue
        if (factor, offset) == (1.0, 0.0):
            continue
        values = []
        for part in parts:
            steps = part.data.sizes.get(model.time, 1)
            some = part.data.isel({model.time: slice(None, None, -(-steps // SLICES))}, missing_dims="ignore")
            y = model.observations(some.assign({name: some[name] * factor + offset}))
            values.append(finite(y.isel(variable=number)))
        if share_beyond(np.concatenate(values), span) <= GLITCHES:
            return units
    return None


def notes_of(model: Model, y: xr.DataArray, terms: xr.DataArray, grid: WindowGrid) -> Iterator[str]:
    """Yield notes about windows whose values or costs lie outside those of the training.

    Parameters
    ----------
    model : Model
        Fitted model.
    y : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations on the cells of the grid.
    terms : DataArray, dims ``(term, *batch, window_<dim>...)``
        Observation and prior terms of the windows.
    grid : WindowGrid
        Grid of the windows.
    """
    if y.chunks is not None or terms.chunks is not None:
        return
    shape = (-1, *grid.sizes)
    if model.known.standardised:
        spans = ranges(model, OUTSIDE)
        for k, name in enumerate(observed_names(model)):
            values, (low, high) = y.isel(variable=k).values, spans.get(name, (-np.inf, np.inf))
            outside = (values < low) | (values > high)
            if outside.any():
                count = int((in_windows(outside.reshape(shape), grid) > 0).sum())
                first, *_, last = model.known.standardised[name]
                yield (
                    f"{name}: {count} of {terms.isel(term=0).size} windows hold values beyond those of the "
                    f"training ({first:.3g} to {last:.3g} standard deviations); their estimates are less "
                    "certain"
                )
    if model.known.costs:
        seen = np.isfinite(y.values).sum(axis=0).reshape(shape)
        observed = in_windows(seen, grid)
        cells = len(model.layout.variables) * int(np.prod(grid.windows))
        first, second = terms.values.reshape(2, *observed.shape)
        costs = first / np.maximum(observed, 1) + second / cells
        if count := int((costs > COSTLY * model.known.costs[-1]).sum()):
            yield (
                f"{count} of {costs.size} windows have a cost more than {COSTLY:g} times the largest of the "
                "training; their estimates are less certain"
            )


def notes_of_parts(model: Model, fields: Sequence[xr.DataArray]) -> Iterator[str]:
    """Yield notes about parts of a data set that hold values beyond those of the training.

    Parameters
    ----------
    model : Model
        Fitted model.
    fields : sequence of DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations of the parts.
    """
    names = observed_names(model)
    for name, known in model.known.standardised.items():
        values = [finite(y.isel(variable=names.index(name))) for y in fields]
        if count := sum(share_beyond(some, ranges(model, OUTSIDE)[name]) > 0 for some in values):
            yield (
                f"{name}: {count} of {len(fields)} blocks that were sampled hold values beyond those of the "
                f"training ({known[0]:.3g} to {known[-1]:.3g} standard deviations); their estimates are less "
                "certain"
            )


def in_windows(count: np.ndarray, grid: WindowGrid) -> np.ndarray:
    """Return the sum of an array, shape ``(member, *grid.sizes)``, over each window.

    Examples
    --------
    >>> in_windows(np.array([[1, 0, 1, 1]]), WindowGrid((4,), (2,), ((0, 1, 2),)))
    array([[1, 1, 2]])
    """
    for axis, (starts, window, size) in enumerate(zip(grid.starts, grid.windows, grid.sizes, strict=True)):
        at = (np.array(starts)[:, None] + np.arange(window)) % size
        count = count.take(at, axis=1 + axis).sum(axis=2 + axis)
    return count
