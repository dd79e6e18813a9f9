"""Lazy zeros in place of values that are not read, or not yet computed."""

from __future__ import annotations

from collections.abc import Sequence

import dask.array
import numpy as np
import xarray as xr


def placeholder(array: xr.DataArray) -> xr.DataArray:
    """Return lazy zeros in one chunk with the labels of an array."""
    copied = array.copy(data=zeros(array.shape, array.dtype))
    copied.encoding = dict(array.encoding)
    return copied


def zeros(shape: Sequence[int], dtype: np.dtype | str) -> dask.array.Array:
    """Return lazy zeros in one chunk, as placeholders with a shape."""
    empty: dask.array.Array = dask.array.zeros(tuple(shape), dtype=dtype, chunks=tuple(shape))
    return empty
