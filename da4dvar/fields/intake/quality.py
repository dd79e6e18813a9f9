"""Masks: a variable that says where there are observations, or a condition on it."""

from __future__ import annotations

import operator
import re
from collections.abc import Container, Hashable

import numpy as np
import xarray as xr

from da4dvar.errors import DataError

COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
CONDITION = re.compile(r"\s*(?P<name>[^<>=!]+?)\s*(?P<relation>>=|<=|==|!=|>|<|=)\s*(?P<values>[^<>=!]+?)\s*")


def mask_name(mask: str, names: Container[Hashable]) -> str:
    """Return the name of the variable in a mask.

    Parameters
    ----------
    mask : str
        Name of a variable, or a condition such as ``quality_level>=4`` or ``qc==1,2``.
    names : container of str
        Names of the variables. A mask that is one of them is not read as a condition.

    Returns
    -------
    str

    Examples
    --------
    >>> mask_name("quality_level >= 4", {"sst", "quality_level"})
    'quality_level'
    """
    found = None if mask in names else CONDITION.fullmatch(mask)
    return found["name"] if found else mask


def where(mask: str, array: xr.DataArray) -> xr.DataArray:
    """Return true where a mask variable is non-zero, or where it meets a condition; false where it is NaN.

    Parameters
    ----------
    mask : str
        Name of the variable, or a condition on it. ``==`` and ``!=`` take several values, separated by
        commas. Values may be words of the attribute ``flag_meanings``.
    array : DataArray
        The mask variable.

    Returns
    -------
    DataArray of bool

    Raises
    ------
    DataError
        If the variable and the values of the condition cannot be compared.

    Examples
    --------
    >>> level = xr.DataArray([0.0, 3.0, 5.0, np.nan], dims="time", name="quality")
    >>> where("quality>=3", level).values
    array([False,  True,  True, False])
    >>> where("quality", level).values
    array([False,  True,  True, False])
    """
    found = None if mask == str(array.name) else CONDITION.fullmatch(mask)
    if array.dtype.kind not in "fiub" and not (found and found["relation"] in ("==", "=", "!=")):
        raise DataError(f"mask {array.name!r} holds {array.dtype}, expected numbers or booleans")
    if found is None:
        return array.fillna(0) != 0
    relation, values = found["relation"], [v.strip() for v in found["values"].split(",")]
    if array.dtype.kind in "fiub":
        numbers: list[float] | list[str] = [number_of(v, array, mask) for v in values]
    else:
        # Quality flags of Argo and others are characters.
        array, numbers = array.astype(str), [v.strip("'\"") for v in values]
    if relation in ("==", "=", "!="):
        inside = array.isin(numbers)
        return inside if relation != "!=" else ~inside & array.notnull()
    if len(numbers) > 1:
        raise DataError(f"mask {mask!r}: {relation} takes one value; several are for == and !=")
    result: xr.DataArray = COMPARISONS[relation](array, numbers[0])
    return result


def number_of(text: str, array: xr.DataArray, mask: str) -> float:
    """Return a value of a condition: a number, or a word of the attribute ``flag_meanings``."""
    meanings = str(array.attrs.get("flag_meanings", "")).split()
    if text in meanings and "flag_values" in array.attrs:
        return float(np.atleast_1d(array.attrs["flag_values"])[meanings.index(text)])
    try:
        return float(text)
    except ValueError:
        words = f" or one of {', '.join(meanings)}" if meanings else ""
        raise DataError(f"mask {mask!r}: got {text!r}, expected a number{words}") from None


def levels_note(array: xr.DataArray) -> str | None:
    """Return a note if a mask that is used without a condition has more than two values."""
    if array.chunks is not None or array.dtype.kind not in "fiu":
        return None
    levels = np.unique(array.values[np.isfinite(array.values)])
    if len(levels) <= 2:
        return None
    return (
        f"mask {array.name!r} has {len(levels)} values from {levels[0]:g} to {levels[-1]:g}, and every value "
        f"but 0 counts as observed; to choose, give a condition such as --mask '{array.name}>={levels[-1]:g}'"
    )
