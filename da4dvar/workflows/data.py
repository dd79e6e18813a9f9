"""Data that a table asks for: a twin experiment, or a part of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import xarray as xr

from da4dvar.config.registry import call
from da4dvar.errors import DataError, RecipeError, first_line, nearest
from da4dvar.simulate import SYSTEMS

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


def simulated(table: Mapping[str, Any], where: str) -> xr.Dataset:
    """The twin experiment that a table asks for: its `system`, and the arguments of that.

    Parameters
    ----------
    table : mapping
        A key of ``da4dvar.simulate.SYSTEMS`` under ``system``, and keyword arguments of the function there.
    where : str
        What an error says first.

    Returns
    -------
    Dataset

    Raises
    ------
    RecipeError
        If the system or an argument is unknown.

    Examples
    --------
    >>> dict(simulated({"system": "lorenz63", "series": 2, "steps": 5, "step": 0.05}, "data.simulate").sizes)
    {'series': 2, 'time': 5, 'component': 3}
    """
    arguments = dict(table)
    system = arguments.pop("system", None)
    if system not in SYSTEMS:
        raise RecipeError(f"{where}: unknown system {system!r}; {nearest(str(system), SYSTEMS)}")
    return call(SYSTEMS[system], arguments, where)


def select(data: Labelled, ranges: Mapping[str, Any], where: str) -> Labelled:
    """The part of a data set between two labels, or two positions where there are no labels.

    Both ends belong to it.

    Parameters
    ----------
    data : Dataset or DataArray
    ranges : mapping of str to [first, last]
        By dimension.
    where : str
        What an error says first.

    Returns
    -------
    Dataset or DataArray
        As `data`.

    Raises
    ------
    RecipeError
        If there is no such dimension, or a range has not two ends that are labels of it.
    DataError
        If nothing lies between them.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, 3.0], {"lat": [10.0, 20.0, 30.0]}, dims="lat")
    >>> select(x, {"lat": [15.0, 30.0]}, "data.train").values
    array([2., 3.])
    """
    for dim, ends in ranges.items():
        if dim not in data.dims or not isinstance(ends, list) or len(ends) != 2:
            raise RecipeError(
                f"{where}: got {dim} = {ends!r}, expected [first, last] of one of "
                f"{', '.join(map(str, data.dims))}"
            )
        try:
            if dim in data.coords:
                data = data.sel({dim: slice(*ends)})
            else:
                data = data.isel({dim: slice(ends[0], ends[1] + 1)})
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise RecipeError(
                f"{where}: {dim} = {ends!r} is no part of the data ({first_line(error)})"
            ) from error
        if data.sizes[dim] == 0:
            raise DataError(f"{where}: nothing between {ends[0]} and {ends[1]} along {dim!r}")
    return data
