"""Normalisation of each variable, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import dask
import numpy as np
import xarray as xr

from da4dvar.errors import DataError

Arrays = dict[str, np.ndarray]


class Scaling(Protocol):
    """Makes variables comparable to a network, and their estimates physical again.

    Attributes
    ----------
    std : dict of str to float
        What a normalised value of a variable is multiplied by; empty where that is one.
    learns : bool, optional
        False, as an attribute of the class, for a scaling that has nothing to learn and an empty `std`. A
        model file whose scaling should have learned something, but did not, is refused.

    Examples
    --------
    >>> scaling: Scaling = Standard()
    >>> ds = xr.Dataset({"sst": ("time", [10.0, 14.0])})
    >>> scaling.fit(ds, ["sst"], ["time"]).normalise(ds)["sst"].values
    array([-1.,  1.])
    """

    std: dict[str, float]

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        """Learn the scaling of variables from what is observed of them.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps; lazy data are read part by part.
        variables : sequence of str
            Those to scale.
        dims : sequence of str
            The dimensions of a state; others count as further samples.

        Returns
        -------
        Scaling
            Itself.

        Raises
        ------
        DataError
            If a variable does not vary.
        """
        ...

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """Physical units to normalised ones.

        Parameters
        ----------
        ds : Dataset
            With the variables that it was fitted to.

        Returns
        -------
        Dataset
            Without unit; lazy if `ds` is.
        """
        ...

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """Normalised units to physical ones: the inverse of :meth:`normalise`.

        Parameters
        ----------
        ds : Dataset
            With the variables that it was fitted to.

        Returns
        -------
        Dataset
            In the units of what it was fitted to; lazy if `ds` is.
        """
        ...

    def arrays(self) -> Arrays:
        """What was learned, for a model file.

        Returns
        -------
        dict of str to array
        """
        ...

    def load(self, arrays: Arrays) -> Self:
        """The inverse of :meth:`arrays`.

        Parameters
        ----------
        arrays : dict of str to array

        Returns
        -------
        Scaling
            Itself.
        """
        ...


class Unscaled:
    """Values as they are, for a prior that is written in physical units.

    Examples
    --------
    >>> ds = xr.Dataset({"x": ("time", [1.0, 2.0])})
    >>> Unscaled().fit(ds, ["x"], ["time"]).normalise(ds) is ds
    True
    """

    learns = False

    def __init__(self) -> None:
        self.std: dict[str, float] = {}

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        """Nothing is learned; see :meth:`Scaling.fit`."""
        return self

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """`ds` itself; see :meth:`Scaling.normalise`."""
        return ds

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """`ds` itself; see :meth:`Scaling.restore`."""
        return ds

    def arrays(self) -> Arrays:
        """None; see :meth:`Scaling.arrays`."""
        return {}

    def load(self, arrays: Arrays) -> Self:
        """Nothing is loaded; see :meth:`Scaling.load`."""
        if arrays:
            raise ValueError(f"values as they are have no {next(iter(arrays))!r}")
        return self


class Standard:
    """(x − mean) / standard deviation, one of each for a variable.

    Examples
    --------
    >>> ds = xr.Dataset({"sst": ("time", [10.0, np.nan, 14.0])})
    >>> scaling = Standard().fit(ds, ["sst"], ["time"])
    >>> scaling.mean, scaling.std
    ({'sst': 12.0}, {'sst': 2.0})
    """

    def __init__(self) -> None:
        self.mean: dict[str, float] = {}
        self.std: dict[str, float] = {}

    def fit(self, ds: xr.Dataset, variables: Sequence[str], dims: Sequence[str]) -> Self:
        """Learn means and standard deviations; see :meth:`Scaling.fit`."""
        # By one thread: lazy data are read a chunk at a time.
        with dask.config.set(scheduler="synchronous"):
            for name in variables:
                self.mean[name] = float(ds[name].mean(dtype="float64"))
                self.std[name] = positive(float(ds[name].std(dtype="float64")), name)
        return self

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """(x − mean) / standard deviation; see :meth:`Scaling.normalise`."""
        return ds.assign({n: (ds[n] - self.mean[n]) / self.std[n] for n in self.mean})

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """x standard deviation + mean; see :meth:`Scaling.restore`."""
        return ds.assign({n: ds[n] * self.std[n] + self.mean[n] for n in self.mean})

    def arrays(self) -> Arrays:
        """``<name>.mean`` and ``<name>.std``; see :meth:`Scaling.arrays`."""
        return {f"{n}.{k}": np.array(getattr(self, k)[n]) for n in self.mean for k in ("mean", "std")}

    def load(self, arrays: Arrays) -> Self:
        """Means and standard deviations; see :meth:`Scaling.load`."""
        for key, value in arrays.items():
            name, _, kind = key.rpartition(".")
            known = {"mean": self.mean, "std": self.std}
            if kind not in known or not np.isfinite(value) or (kind == "std" and not value > 0):
                raise ValueError(f"the scaling cannot have {value} for {key!r}")
            known[kind][name] = float(value)
        if self.mean.keys() != self.std.keys():
            raise ValueError("the scaling lacks a mean or a standard deviation")
        return self


def positive(std: float, name: str) -> float:
    """`std`, if the variable varies at all."""
    if not 0 < std < np.inf:
        raise DataError(f"variable {name!r} has no spread (standard deviation {std}); nothing to learn")
    return std
