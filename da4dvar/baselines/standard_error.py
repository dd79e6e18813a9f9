"""What a method with an error variance adds to a data set: ``<name>_std`` beside each variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from da4dvar.errors import DataError

Fill = Callable[[xr.DataArray], tuple[xr.DataArray, xr.DataArray]]


def with_standard_errors(ds: xr.Dataset, fill: Fill) -> xr.Dataset:
    """Every real variable of a data set as `fill` makes it, and its standard error beside it.

    Raises
    ------
    DataError
        If the name of a standard error is taken.
    """
    out = ds.copy()
    for name, array in ds.data_vars.items():
        if array.dtype.kind != "f":
            continue
        if f"{name}_std" in ds:
            raise DataError(f"there is a variable '{name}_std' already; drop it or give it another name")
        out[name], out[f"{name}_std"] = fill(array)
    return out


def labelled_error(array: xr.DataArray, std: Any) -> xr.DataArray:
    """The standard error of a variable, with its coordinates and units, from data of the same shape."""
    spread = array.copy(data=std)
    units = {"units": array.attrs["units"]} if "units" in array.attrs else {}
    spread.attrs, spread.encoding = {"long_name": f"standard error of {array.name}", **units}, {}
    return spread
