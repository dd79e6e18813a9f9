"""A model that sees its state by several sensors: what it learns of them, and what they saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from da4dvar.errors import RecipeError
from da4dvar.fields.sensors import as_state, check_sensors, errors, first_of, firsts, units_of_state
from da4dvar.variational.checks import check_operators
from da4dvar.variational.observation import Sensors

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


def check_sensing(model: Interpolator) -> None:
    """Refuse sensors that do not fit the layout, the observation operator or the first guess."""
    check_sensors(model.sensors, model.layout)
    check_operators(model.model, [model.layout.variables.index(s.of) for s in model.sensors])
    if model.sensors and model.first_guess is not None:
        raise RecipeError("a first guess is made of one observation of each variable; leave it out")


def learn_scaling(model: Interpolator, ds: xr.Dataset, truth: xr.Dataset | None) -> None:
    """Fit the scaling to the truth, or else to what is seen; and weigh the sensors by their errors in it.

    Everything that the sensors see is in the units of the state from here on.
    """
    layout, signature = model.layout, model.signature
    if not model.sensors or signature is None:
        model.scaling.fit(ds if truth is None else truth, layout.variables, layout.dims)
        return
    units = units_of_state(model.sensors, ds, truth)
    for sensor in model.sensors:
        signature.variables[sensor.variable] |= {"units": u} if (u := units[sensor.of]) else {}
    known = firsts(ds, model.sensors, units, layout) if truth is None else truth
    model.scaling.fit(known, layout.variables, layout.dims)
    operator = model.model.cost.observation
    assert isinstance(operator, Sensors)
    operator.weigh(errors(model.sensors, ds, units, model.scaling.std))


def observed(model: Interpolator, ds: xr.Dataset) -> xr.DataArray:
    """What is observed, normalised, dims ``(variable, *batch, *layout.dims)``: an entry for each sensor.

    Every sensor is normalised by the scaling of the variable that it sees, so that H(x) = x means what it
    says. Without sensors, these are the variables themselves.
    """
    if not model.sensors or model.signature is None:
        return model.states(ds)
    units = {s.of: model.signature.variables[s.variable].get("units") for s in model.sensors}
    seen = []
    for sensor in model.sensors:
        number = model.layout.variables.index(sensor.of)
        seen.append(model.states(as_state(ds, sensor, units, model.layout)).isel(variable=[number]))
    return xr.concat(seen, "variable", coords="minimal", compat="override")


def first_sensors(model: Interpolator) -> list[int] | None:
    """The number of the first sensor of each variable, where there are sensors."""
    return first_of(model.sensors, model.layout) if model.sensors else None
