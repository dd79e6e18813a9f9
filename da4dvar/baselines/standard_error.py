"""Standard errors as variables ``<name>_std``, for the methods that estimate an error variance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.intervals import error_attrs

Fill = Callable[[xr.DataArray], tuple[xr.DataArray, xr.DataArray]]


def with_standard_errors(ds: xr.Dataset, fill: Fill) -> xr.Dataset:
    """Replace every real variable of a data set by the result of `fill`, and add its standard error.

    Raises
    ------
    DataError
        If a variable ``<name>_std`` already exists.
    """
    out = ds.copy()
    for name, array in ds.data_vars.items():
        if array.dtype.kind != "f":
            continue
        if f"{name}_std" in ds:
            raise DataError(f"there is already a variable '{name}_std'; drop or rename it")
        out[name], out[f"{name}_std"] = fill(array)
    return out


def solved_together(
    fill: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], array: xr.DataArray, core: list[str]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Apply a method that needs whole dimensions; return the estimate and its standard error, lazily if lazy.

    Parameters
    ----------
    fill : callable
        Maps values of shape ``(..., *core)`` to the estimate and its standard error, of the same shape.
    array : DataArray
        Variable to fill.
    core : list of str
        Dimensions that `fill` needs whole.

    Returns
    -------
    estimate, error : DataArray
        Estimate and standard error, with the dimensions, coordinates and units of `array`.
    """
    lazy = array if array.chunks is None else array.chunk(dict.fromkeys(core, -1))
    x, std = xr.apply_ufunc(
        fill,
        lazy,
        input_core_dims=[core],
        output_core_dims=[core, core],
        dask="parallelized",
        output_dtypes=[array.dtype, array.dtype],
    )
    spread = array.copy(data=std.transpose(*array.dims).data)
    spread.attrs, spread.encoding = error_attrs(array), {}
    return array.copy(data=x.transpose(*array.dims).data), spread
