"""Comparison and conversion of units with pint."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import xarray as xr

from da4dvar.errors import DataError

# pint evaluates numbers of any length, so powers that do not occur in units are rejected first.
ENDLESS = re.compile(
    r"(\*\*|\^)\s*[-+(\s]*\d{3,}"  # a power of a hundred or more
    r"|(\*\*|\^)[^A-Za-z]*(\*\*|\^)"  # of a power
    r"|[\d)]\s*(\*\*|\^)\s*[-+\s]*\("  # of a bracket
)
BRACKETS = re.compile(r"\)\s*(\*\*|\^)")


@cache
def registry() -> Any:
    """Return the unit registry of pint, extended by units that are specific to CF."""
    import pint  # takes 0.25 s to import, and most data sets need no conversion

    units: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    units.define("psu = 1e-3 = practical_salinity_unit")
    return units


def parsed(units: str) -> Any:
    """Parse a unit in CF spelling, such as ``m s-1``, with pint."""
    text = re.sub(r"(?<=[A-Za-z])(-?\d+)", r"**\1", units.strip())
    if ENDLESS.search(text) or len(BRACKETS.findall(text)) > 1:
        raise ValueError(f"nested or very large powers in {units!r}")
    return registry().parse_units(text)


def converted(array: xr.DataArray, wanted: object) -> tuple[xr.DataArray, str | None]:
    """Convert an array to other units; return it with a note if its values changed.

    Raises
    ------
    DataError
        If the units of the array cannot be converted.
    """
    got = array.attrs.get("units")
    if got is None or wanted is None or str(got) == str(wanted):
        return array, None
    import pint

    problem = DataError(
        f"variable {array.name!r} is in {got!r}, which cannot be converted to the model's {wanted!r}; "
        "correct its attribute `units`, or choose another variable"
    )
    try:
        unit, target = parsed(str(got)), parsed(str(wanted))
        # Unit conversions are affine, so two points determine them.
        zero = registry().Quantity(0.0, unit).to(target).magnitude
        one = registry().Quantity(1.0, unit).to(target).magnitude
    except (pint.errors.PintError, AttributeError, TypeError, ValueError, AssertionError) as error:
        raise problem from error
    if zero == 0.0 and one == 1.0:
        return array, None
    result = (array * (one - zero) + zero).assign_attrs(array.attrs | {"units": wanted})
    return result, f"{array.name}: converted from {got} to {wanted}"
