"""A weighted mean of several methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import xarray as xr

from da4dvar.baselines.base import Baseline
from da4dvar.errors import DataError
from da4dvar.fields.labels.given import data_set


class Combination:
    """x̂ = Σₖ wₖ x̂ₖ / Σₖ wₖ: the weighted mean of methods k, often better than the best of them.

    If two methods have equal errors with a correlation ρ, the error of their mean is √((1 + ρ)/2) times
    theirs. It is therefore worth combining methods of different kinds, such as one based on distances and
    one based on patterns (Bates and Granger, 1969, "The combination of forecasts"). Where a method has no
    estimate, the mean is taken over the others. The standard error is the mean of those that the methods
    provide, which is an upper bound.

    Parameters
    ----------
    methods : sequence of Baseline
        Methods to combine.
    weights : sequence of float, optional
        w, one positive number per method; equal by default.

    Raises
    ------
    DataError
        If there is no method, or the weights are not one positive number per method.

    Examples
    --------
    >>> from da4dvar.baselines.climatology import Climatology
    >>> from da4dvar.baselines.linear import Linear
    >>> y = xr.Dataset({"sst": ("time", [1.0, float("nan"), 2.0, 6.0])})
    >>> float(Combination([Linear(), Climatology()], weights=[3, 1]).interpolate(y)["sst"][1])
    1.875
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"methods": ["baseline"]}

    def __init__(self, methods: Sequence[Baseline], weights: Sequence[float] = ()) -> None:
        if not methods or (len(weights) not in (0, len(methods))) or not all(w > 0 for w in weights):
            raise DataError(
                f"got {len(methods)} methods and weights {list(weights)}, expected one or more methods, "
                "and either no weights or one above 0 for each"
            )
        self.methods, self.weights = list(methods), [float(w) for w in weights]

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every variable.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`, and ``<name>_std`` if a method provides it.

        Raises
        ------
        DataError
            If any of the methods raises it.
        """
        ds = data_set(ds)
        found = [method.interpolate(ds) for method in self.methods]
        weights = self.weights or [1.0] * len(found)
        out = ds.copy()
        for name in ds.data_vars:
            if ds[name].dtype.kind != "f":
                continue
            out[name] = ds[name].copy(data=_mean([f[name] for f in found], weights).data)
            stated = [
                (f[f"{name}_std"], w) for f, w in zip(found, weights, strict=True) if f"{name}_std" in f
            ]
            if stated:
                errors, those = zip(*stated, strict=True)
                out[f"{name}_std"] = errors[0].copy(data=_mean(errors, those).data)
        return out


def _mean(arrays: Sequence[xr.DataArray], weights: Sequence[float]) -> xr.DataArray:
    """Return the weighted mean of the values that are not missing, in the data type of the first array."""
    total = sum(w * a.fillna(0.0) for a, w in zip(arrays, weights, strict=True))
    weight = sum(w * a.notnull() for a, w in zip(arrays, weights, strict=True))
    assert isinstance(total, xr.DataArray)
    assert isinstance(weight, xr.DataArray)
    return (total / weight.where(weight > 0)).astype(arrays[0].dtype).transpose(*arrays[0].dims)
