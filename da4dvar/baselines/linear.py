"""Linear interpolation in time."""

from __future__ import annotations

import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.initial import linear_in_time
from da4dvar.fields.labels.given import data_set


class Linear:
    """x̂(t) on the straight line between the observations before and after t, in each cell.

    Before the first and after the last observation of a cell, the estimate is the nearest observation. Cells
    that are never observed remain NaN.

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.

    Examples
    --------
    >>> import numpy as np
    >>> y = xr.Dataset({"t2m": ("time", [1.0, np.nan, 3.0])})
    >>> Linear().interpolate(y)["t2m"].values
    array([1., 2., 3.])
    """

    suits = (0, 1, 2)

    def __init__(self, time: str = "time") -> None:
        self.time = time

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every variable.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`.

        Raises
        ------
        DataError
            If a variable does not have the time dimension.
        """
        ds = data_set(ds)
        out = ds.copy()
        for name in ds.data_vars:
            out[name] = self._fill(ds[name])
        return out

    def _fill(self, array: xr.DataArray) -> xr.DataArray:
        if array.dtype.kind != "f":
            return array  # only floating-point variables have gaps
        if self.time not in array.dims:
            raise DataError(
                f"variable {array.name!r} has no dimension {self.time!r}; "
                f"it has {', '.join(map(str, array.dims))}"
            )
        if array.chunks is not None:
            array = array.chunk({self.time: -1})
        axis = array.get_axis_num(self.time)
        filled = xr.apply_ufunc(
            linear_in_time,
            array,
            kwargs={"axis": axis},
            dask="parallelized",
            output_dtypes=[array.dtype],
        )
        return array.copy(data=filled.data)
