"""Another method on the logarithm of a variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.errors import DataError


class Logarithmic:
    """x̂ = exp(m + s²/2) − c, where m ± s is a method's estimate of log(x + c).

    For what cannot be negative and has a long tail, such as particulate matter, chlorophyll or rain: there
    errors grow with the value, and are alike on the logarithm. The mean of a log-normal variable is
    exp(m + s²/2), and its standard deviation the mean times √(exp(s²) − 1); with a method that does not give
    s, x̂ is the median, exp(m) − c. Cressie (1993), Statistics for Spatial Data.

    Parameters
    ----------
    method : Baseline
        What is used on the logarithm.
    offset : float
        c, in the units of the variable: about the size of the values that are small.
    variables : sequence of str, optional
        Those to take the logarithm of; the method fills the others as they are. All if not given.

    Raises
    ------
    ValueError
        If the offset is below 0.

    Examples
    --------
    >>> from da4dvar.baselines.linear import Linear
    >>> y = xr.Dataset({"rain": ("time", [1.0, np.nan, 4.0])})
    >>> Logarithmic(Linear(), offset=0.0).interpolate(y)["rain"].values
    array([1., 2., 4.])
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"method": "baseline"}

    def __init__(self, method: Baseline, offset: float, variables: Sequence[str] = ()) -> None:
        if not offset >= 0:
            raise ValueError(f"offset is {offset}, expected 0 or more")
        self.method, self.offset, self.variables = method, float(offset), tuple(variables)

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds`, with its gaps filled.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`; with ``<name>_std``, in its units, if the method states one.

        Raises
        ------
        DataError
            If a variable has values for which there is no logarithm, or as the method does.
        """
        chosen = self.variables or ds.data_vars
        names = [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f" and n in chosen]
        filled = self.method.interpolate(ds.assign({n: self._logarithm(ds[n]) for n in names}))
        out = filled.copy()
        for name in names:
            log, std = filled[name], filled.get(f"{name}_std")
            mean = np.exp(log if std is None else log + std.fillna(0.0) ** 2 / 2)
            out[name] = ds[name].copy(data=(mean - self.offset).astype(ds[name].dtype).data)
            if std is not None:
                spread = (mean * np.sqrt(np.expm1(std**2))).astype(ds[name].dtype)
                out[f"{name}_std"] = std.copy(data=spread.data)
                if "units" in ds[name].attrs:
                    out[f"{name}_std"].attrs["units"] = ds[name].attrs["units"]
        return out

    def _logarithm(self, array: xr.DataArray) -> xr.DataArray:
        if array.chunks is None and (low := float(array.min())) + self.offset <= 0:
            raise DataError(
                f"variable {array.name!r} has the value {low:g}, of which with offset {self.offset:g} "
                "there is no logarithm; take a larger offset, or the method without the logarithm"
            )
        return array.copy(data=np.log(array + self.offset).data)
