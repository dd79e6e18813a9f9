"""Comparison and conversion of units with pint, in the spellings of CF, UDUNITS and data products."""

from __future__ import annotations

import math
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
SIGNS = str.maketrans(
    {"μ": "µ", "º": "°", "−": "-", "⁻": "-", "·": " ", "⋅": " ", "¹": "1", "²": "2", "³": "3"}
)
DEGREES = r"(deg(ree)?s?|°)"
# Whole units in lower case. Alone, C and F are temperatures and never coulomb and farad.
WHOLE = {
    rf"({DEGREES}?[ _]*c|({DEGREES}[ _]*)?(celsius|celcius|centigrade))": "degC",
    rf"({DEGREES}?[ _]*k|({DEGREES}[ _]*)?kelvins?)": "kelvin",
    rf"({DEGREES}?[ _]*f|({DEGREES}[ _]*)?fahrenheit)": "degF",
    rf"({DEGREES}|{DEGREES}_?(t|true|n|north|e|east|from_north))": "degree",
    r"(1(\.0)?|-||none|unitless|dimensionless|fraction|ratio|\(?0 ?- ?1\)?)": "dimensionless",
    r"(%|per ?cent|pct|percentage)": "percent",
    r"(psu|pss(-?78)?|1e-0?3|0\.001|practical[ _]salinity([ _]units?)?)": "psu",
    r"(mb|mbars?|millibars?)": "millibar",
    r"(ppmv?|parts per million)": "ppm",
    r"(ppbv?|parts per billion)": "ppb",
    r"(kts?|knots?)": "knot",
    r"(cms|cumecs?)": "m**3/s",
    r"cfs": "ft**3/s",
    r"dbz": "dBZ",
}
WATER = re.compile(r"\s+(of water( equivalent)?|w\.? ?e\.?)$", re.IGNORECASE)


@cache
def registry() -> Any:
    """Return the unit registry of pint, extended by units that are specific to CF."""
    import pint  # takes 0.25 s to import, and most data sets need no conversion

    units: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    units.define("psu = 1e-3 = practical_salinity_unit")
    units.define("ppb = 1e-9")
    units.define("gpm = meter")
    units.define("dBZ = [reflectivity]")
    return units


def spelled(units: str) -> str:
    """Return a unit in the spelling of pint.

    Examples
    --------
    >>> spelled("degrees C"), spelled("kg m-2 s-1"), spelled("Meters/second"), spelled("PSS-78")
    ('degC', 'kg m**-2 s**-1', 'meters/second', 'psu')
    """
    text = WATER.sub("", " ".join(units.translate(SIGNS).split()))
    for pattern, name in WHOLE.items():
        if re.fullmatch(pattern, text.lower()):
            return name
    text = re.sub(r"(?<=[A-Za-z\d])\.(?=[A-Za-z])", " ", text)
    text = re.sub(r"\b[A-Z][a-z]{3,}\b", lambda word: word[0].lower(), text)
    # The exponent in 1e-3 belongs to a number.
    return re.sub(r"(?<![\w.])([A-Za-zµ°%]+)(-?\d+)", r"\1**\2", text)


def parsed(units: str) -> Any:
    """Parse a unit, such as ``m s-1``, with pint."""
    text = spelled(units)
    if ENDLESS.search(text) or len(BRACKETS.findall(text)) > 1:
        raise ValueError(f"nested or very large powers in {units!r}")
    return registry().parse_units(text)


@cache
def conversion(got: str, wanted: str) -> tuple[float, float]:
    """Return the factor and the offset that convert values from one unit to another.

    Parameters
    ----------
    got, wanted : str
        Units; two spellings of one unit give 1 and 0.

    Returns
    -------
    factor, offset : float
        ``wanted = factor * got + offset``. A difference or a standard deviation is only multiplied.

    Raises
    ------
    ValueError
        If one cannot be converted to the other.

    Examples
    --------
    >>> conversion("degrees_C", "K")
    (1.0, 273.15)
    >>> conversion("Celsius", "deg C")
    (1.0, 0.0)
    """
    if got == wanted or spelled(got) == spelled(wanted):
        return 1.0, 0.0
    import pint

    try:
        unit, target = parsed(got), parsed(wanted)
        # Unit conversions are affine, so two points determine them.
        offset = float(registry().Quantity(0.0, unit).to(target).magnitude)
        factor = float(registry().Quantity(1.0, unit).to(target).magnitude) - offset
    except (pint.errors.PintError, AttributeError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{got!r} cannot be converted to {wanted!r}") from error
    # The rounding of two spellings of one unit is no conversion.
    return 1.0 if math.isclose(factor, 1.0, rel_tol=1e-12) else factor, offset


def converts(got: str, wanted: str) -> bool:
    """Whether values can be converted from one unit to another.

    Examples
    --------
    >>> converts("cumecs", "m3 s-1"), converts("kg kg-1", "m3 s-1")
    (True, False)
    """
    try:
        conversion(got, wanted)
    except ValueError:
        return False
    return True


def same_units(one: object, other: object) -> bool:
    """Whether two attributes are spellings of the same unit.

    Examples
    --------
    >>> same_units("celsius", "degC"), same_units("K", "degC"), same_units(None, "K")
    (True, False, False)
    """
    if one is None or other is None:
        return one is other
    try:
        return conversion(str(one), str(other)) == (1.0, 0.0)
    except ValueError:
        return False


def converted(array: xr.DataArray, wanted: object) -> tuple[xr.DataArray, str | None]:
    """Convert an array to other units; return it with a note if its values changed.

    Raises
    ------
    DataError
        If the units of the array cannot be converted.
    """
    got = array.attrs.get("units")
    if got is None or wanted is None:
        return array, None
    try:
        factor, offset = conversion(str(got), str(wanted))
    except ValueError as error:
        raise DataError(
            f"variable {array.name!r} is in {got!r}, which cannot be converted to the model's {wanted!r}; "
            "correct its attribute `units`, or choose another variable"
        ) from error
    if (factor, offset) == (1.0, 0.0):
        return array, None
    result = (array * factor + offset).assign_attrs(array.attrs | {"units": wanted})
    return result, f"{array.name}: converted from {got} to {wanted}"
