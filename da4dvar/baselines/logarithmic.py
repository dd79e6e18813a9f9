"""A method applied to the logarithm of a variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import xarray as xr

from da4dvar.baselines.base import Baseline
from da4dvar.errors import DataError
from da4dvar.fields.labels.given import data_set


class Logarithmic:
    """x̂ = exp(m + s²/2) − c, where m ± s is the estimate of log(x + c) by a method.

    The logarithm suits variables that are not negative and have a long tail, such as particulate matter,
    chlorophyll or rain: their errors grow with the value, but are uniform in the logarithm. The mean of a
    log-normal variable is exp(m + s²/2), and its standard deviation is √(exp(s²) − 1) times the mean. If the
    method does not provide s, x̂ is the median, exp(m) − c. Cressie (1993), Statistics for Spatial Data.

    Parameters
    ----------
    method : Baseline
        Method applied to the logarithm.
    offset : float
        c, in the units of the variable; about the magnitude of small values.
    variables : sequence of str, optional
        Variables whose logarithm is taken; the method is applied directly to the others. By default all.

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

    @property
    def needs_seconds(self) -> float:
        """Seconds that the method needs at least to be fitted."""
        return float(getattr(self.method, "needs_seconds", 0.0))

    def fitted(self, ds: xr.Dataset) -> Logarithmic:
        """Return the same with the method fitted to the logarithms, if it can be.

        Parameters
        ----------
        ds : Dataset
            Data with NaN in the gaps.

        Returns
        -------
        Logarithmic
        """
        fit = getattr(self.method, "fitted", None)
        if fit is None:
            return self
        names = [n for n in self.variables or map(str, ds.data_vars) if ds[n].dtype.kind == "f"]
        logs = ds.assign({n: self._logarithm(ds[n]) for n in names})
        return Logarithmic(fit(logs), self.offset, self.variables)

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every variable.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`, and ``<name>_std``, in the units of the variable,
            if the method provides it.

        Raises
        ------
        DataError
            If a value plus the offset is not positive, or if the method raises it.
        """
        ds = data_set(ds)
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
                f"variable {array.name!r} has the value {low:g}, which has no logarithm with the offset "
                f"{self.offset:g}; use a larger offset, or the method without the logarithm"
            )
        return array.copy(data=np.log(array + self.offset).data)
