"""What a method with an error variance adds to a data set: ``<name>_std`` beside each variable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.intervals import error_attrs

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


def solved_together(
    fill: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], array: xr.DataArray, core: list[str]
) -> tuple[xr.DataArray, xr.DataArray]:
    """A variable and its standard error by a method that sees all of some dimensions at once; lazy if it is.

    Parameters
    ----------
    fill : callable
        From values, shape ``(..., *core)``, to the estimate and its standard error, each like them.
    array : DataArray
    core : list of str
        What `fill` sees whole.

    Returns
    -------
    estimate, error : DataArray
        With the dimensions, coordinates and units of `array`.
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
