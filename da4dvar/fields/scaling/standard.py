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
    """Protocol of a normalisation of variables for a network, and its inverse.

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
        """Fit the scaling to the observed values.

        Parameters
        ----------
        ds : Dataset
            Training data, NaN in the gaps; lazy data are read in parts.
        variables : sequence of str
            Variables to scale.
        dims : sequence of str
            Dimensions of the state; entries along other dimensions are additional samples.

        Returns
        -------
        Scaling
            This object.

        Raises
        ------
        DataError
            If a variable does not vary.
        """
        ...

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """Convert variables from physical to normalised units.

        Parameters
        ----------
        ds : Dataset
            Data set with the fitted variables.

        Returns
        -------
        Dataset
            Dimensionless values; lazy if `ds` is.
        """
        ...

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """Convert variables from normalised to physical units, the inverse of :meth:`normalise`.

        Parameters
        ----------
        ds : Dataset
            Data set with the fitted variables.

        Returns
        -------
        Dataset
            Values in the units of the training data; lazy if `ds` is.
        """
        ...

    def arrays(self) -> Arrays:
        """Return the fitted parameters, for a model file.

        Returns
        -------
        dict of str to array
        """
        ...

    def load(self, arrays: Arrays) -> Self:
        """Restore the fitted parameters, the inverse of :meth:`arrays`.

        Parameters
        ----------
        arrays : dict of str to array
            Result of :meth:`arrays`.

        Returns
        -------
        Scaling
            This object.
        """
        ...


class Unscaled:
    """No scaling, for priors in physical units.

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
        """Do nothing; see :meth:`Scaling.fit`."""
        return self

    def normalise(self, ds: xr.Dataset) -> xr.Dataset:
        """Return `ds` unchanged; see :meth:`Scaling.normalise`."""
        return ds

    def restore(self, ds: xr.Dataset) -> xr.Dataset:
        """Return `ds` unchanged; see :meth:`Scaling.restore`."""
        return ds

    def arrays(self) -> Arrays:
        """Return an empty dict; see :meth:`Scaling.arrays`."""
        return {}

    def load(self, arrays: Arrays) -> Self:
        """Check that there are no parameters; see :meth:`Scaling.load`."""
        if arrays:
            raise ValueError(f"a model without scaling has no parameter {next(iter(arrays))!r}")
        return self


class Standard:
    """(x − mean) / standard deviation, with one mean and one deviation for each variable.

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
        """Compute means and standard deviations; see :meth:`Scaling.fit`."""
        # A single thread reads lazy data one chunk at a time.
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
        """Return ``<name>.mean`` and ``<name>.std``; see :meth:`Scaling.arrays`."""
        return {f"{n}.{k}": np.array(getattr(self, k)[n]) for n in self.mean for k in ("mean", "std")}

    def load(self, arrays: Arrays) -> Self:
        """Restore means and standard deviations; see :meth:`Scaling.load`."""
        for key, value in arrays.items():
            name, _, kind = key.rpartition(".")
            known = {"mean": self.mean, "std": self.std}
            if kind not in known or not np.isfinite(value) or (kind == "std" and not value > 0):
                raise ValueError(f"the scaling has an invalid value {value} of {key!r}")
            known[kind][name] = float(value)
        if self.mean.keys() != self.std.keys():
            raise ValueError("the scaling lacks a mean or a standard deviation")
        return self


def positive(std: float, name: str) -> float:
    """Return `std`, or raise a DataError if it is not positive and finite."""
    if not 0 < std < np.inf:
        raise DataError(f"variable {name!r} has no spread (standard deviation {std}); nothing can be learned")
    return std
