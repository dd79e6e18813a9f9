"""Several methods at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.errors import DataError


class Combination:
    """x̂ = Σₖ wₖ x̂ₖ / Σₖ wₖ over methods k, of which the mean is often better than the best.

    With two methods of like error whose errors have correlation ρ, the mean has √((1 + ρ)/2) of it: methods
    that differ in kind, such as one by distances and one by patterns, are worth combining (Bates and
    Granger, 1969, "The combination of forecasts"). Where a method has no estimate, the mean is that of
    the others. The standard error, if methods state one, is the mean of theirs: an upper bound.

    Parameters
    ----------
    methods : sequence of Baseline
        Whose estimates are averaged.
    weights : sequence of float, optional
        w, above 0; all alike if not given.

    Raises
    ------
    DataError
        If there is no method, or there are not as many weights, or one is not above 0.

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
                f"{len(methods)} methods with weights {list(weights)}: expected one or more methods, "
                "and no weights or one above 0 for each"
            )
        self.methods, self.weights = list(methods), [float(w) for w in weights]

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds`, with its gaps filled.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`; with ``<name>_std`` if a method states one.

        Raises
        ------
        DataError
            As any of the methods does.
        """
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
    """The weighted mean of those that are there, in the precision of the first."""
    total = sum(w * a.fillna(0.0) for a, w in zip(arrays, weights, strict=True))
    weight = sum(w * a.notnull() for a, w in zip(arrays, weights, strict=True))
    assert isinstance(total, xr.DataArray)
    assert isinstance(weight, xr.DataArray)
    return (total / weight.where(weight > 0)).astype(arrays[0].dtype).transpose(*arrays[0].dims)
