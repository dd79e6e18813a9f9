"""Several sensors that observe one state, each converted to the units and scaling of the state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import xarray as xr

from da4dvar.errors import DataError, RecipeError, nearest
from da4dvar.fields.labels.conform import Conformed, pick
from da4dvar.fields.labels.units import converted
from da4dvar.layout import Layout


@dataclass(frozen=True)
class Sensor:
    """y = H(x) + ε, where ε has the standard deviation `error`.

    Parameters
    ----------
    variable : str
        Variable of the data set that holds the observations, NaN in the gaps.
    of : str
        State variable that the sensor observes.
    error : float or str
        Standard deviation of the error, in the units of `variable` or with a unit as in ``"0.2 K"``.

    Raises
    ------
    RecipeError
        If the error is not a positive number.

    Examples
    --------
    >>> Sensor("sst_tracks", of="sst", error="0.1 K").amount
    (0.1, 'K')
    """

    variable: str
    of: str
    error: float | str

    def __post_init__(self) -> None:
        if not 0 < self.amount[0] < math.inf:
            raise RecipeError(
                f"observations: the error of {self.variable!r} is {self.error}, "
                "expected a standard deviation above 0"
            )

    @property
    def amount(self) -> tuple[float, str | None]:
        """Error as a number, and its unit if one is given."""
        number, _, unit = str(self.error).strip().partition(" ")
        try:
            return float(number), unit.strip() or None
        except ValueError:
            raise RecipeError(
                f"observations: the error of {self.variable!r} is {self.error!r}, "
                'expected a number, or a number and a unit such as "0.2 K"'
            ) from None


def check_sensors(sensors: Sequence[Sensor], layout: Layout) -> None:
    """Raise an error if the sensors do not match the variables of the layout.

    Raises
    ------
    RecipeError
        If a sensor observes an unknown variable, is named twice, or a variable has no sensor.
    """
    for sensor in sensors:
        if sensor.of not in layout.variables:
            raise RecipeError(
                f"observations: {sensor.variable!r} is of {sensor.of!r}, not a variable of the layout; "
                f"{nearest(sensor.of, layout.variables)}"
            )
    names = [sensor.variable for sensor in sensors]
    if twice := [n for n in names if names.count(n) > 1]:
        raise RecipeError(f"observations: variable {twice[0]!r} is named twice; use one for each sensor")
    for variable in layout.variables:
        if sensors and variable not in [sensor.of for sensor in sensors]:
            raise RecipeError(
                f"observations: no sensor observes {variable!r}; add one, or remove it from the layout"
            )


def first_of(sensors: Sequence[Sensor], layout: Layout) -> list[int]:
    """Return the index of the first sensor of each state variable."""
    return [[sensor.of for sensor in sensors].index(variable) for variable in layout.variables]


def units_of_state(
    sensors: Sequence[Sensor], ds: xr.Dataset, truth: xr.Dataset | None
) -> dict[str, str | None]:
    """Return the units of each state variable: those of the truth, else those of its first sensor."""
    units = {s.of: pick(ds, s.variable).attrs.get("units") for s in reversed(sensors)}
    if truth is not None:
        units |= {name: truth[name].attrs.get("units", units[name]) for name in units}
    return units


def as_state(ds: xr.Dataset, sensor: Sensor, units: Mapping[str, str | None], layout: Layout) -> xr.Dataset:
    """Return the observations of one sensor under the name of every state variable, in their units."""
    array, _ = converted(pick(ds, sensor.variable), units[sensor.of])
    return xr.Dataset({name: array.rename(name) for name in layout.variables})


def firsts(
    ds: xr.Dataset, sensors: Sequence[Sensor], units: Mapping[str, str | None], layout: Layout
) -> xr.Dataset:
    """Return each state variable as observed by its first sensor."""
    numbers = zip(layout.variables, first_of(sensors, layout), strict=True)
    return xr.Dataset({name: as_state(ds, sensors[k], units, layout)[name] for name, k in numbers})


def errors(
    sensors: Sequence[Sensor], ds: xr.Dataset, units: Mapping[str, str | None], std: Mapping[str, float]
) -> list[float]:
    """Return the observation error of each sensor in normalised units.

    Raises
    ------
    DataError
        If the unit of an error cannot be converted.
    """
    found = []
    for sensor in sensors:
        own = pick(ds, sensor.variable).attrs.get("units")
        number, unit = sensor.amount
        said = xr.DataArray([0.0, number], dims="end", attrs={"units": unit or own} if unit or own else {})
        if unit and not (own or units[sensor.of]):
            raise DataError(
                f"observations: the error of {sensor.variable!r} is {sensor.error!r}, but the variable has "
                "no units; set its attribute `units`, or give the error as a number"
            )
        try:
            ends, _ = converted(said, units[sensor.of] or own)
        except DataError as error:
            raise DataError(
                f"observations: the error of {sensor.variable!r} is {sensor.error!r}, which cannot be "
                f"converted to {units[sensor.of] or own!r}; give it in the units of the variable"
            ) from error
        found.append(float(abs(ends[1] - ends[0])) / std.get(sensor.of, 1.0))
    return found


def by_state(conformed: Conformed, sensors: Sequence[Sensor], layout: Layout) -> Conformed:
    """Return the observations of each state variable by any of its sensors, with the labels of the first."""
    data, sources = {}, {}
    for variable, first in zip(layout.variables, first_of(sensors, layout), strict=True):
        seen = [conformed.data[s.variable] for s in sensors if s.of == variable]
        joined = seen[0]
        for other in seen[1:]:
            joined = joined.where(joined.notnull(), other)
        data[variable] = joined.assign_attrs(seen[0].attrs).rename(variable)
        # Sensors may differ in their units, so the result is in those of the state.
        units = {"units": seen[0].attrs["units"]} if "units" in seen[0].attrs else {}
        sources[variable] = conformed.sources[sensors[first].variable].assign_attrs(units)
    return replace(conformed, data=xr.Dataset(data), sources=sources)
