"""The interface of a classical method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The list of kinds is below this package, and is read at every tab.
    import xarray as xr


class Baseline(Protocol):
    """Interface of a classical method: any object with a method `interpolate`, configured when created.

    A class may have further attributes that say more about it.

    Attributes
    ----------
    reads_times : bool, optional
        Whether the method uses the values of the coordinate of time. A method that does not counts steps,
        and a warning says so where they are uneven.
    suits : collection of int, optional
        The numbers of dimensions of space, of 0, 1 and 2, for which ``da4dvar interpolate`` compares the
        method with others; not at all if it is missing.
    needs : str, optional
        Package of an extra without which the method cannot be used, and is not compared.
    needs_seconds : float, optional
        Seconds that the method takes at least to be fitted, 0 by default. A comparison under a time limit
        leaves it out if less is left.
    fitted : callable, optional
        Method ``fitted(ds)`` that returns the same method with its parameters fitted to a data set, so that
        `interpolate` does not fit them again.
    estimate : callable, optional
        Method ``estimate(ds)``, like `interpolate` but without standard errors, of a method whose standard
        errors take time of their own.

    Examples
    --------
    >>> import xarray as xr
    >>> class Mean:
    ...     def interpolate(self, ds):
    ...         return ds.fillna(ds.mean())
    >>> method: Baseline = Mean()
    >>> method.interpolate(xr.Dataset({"t2m": ("time", [1.0, float("nan"), 3.0])}))["t2m"].values
    array([1., 2., 3.])
    """

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Fill the gaps of every variable.

        Parameters
        ----------
        ds : Dataset
            Data with NaN in the gaps. If it is chunked, so is the result.

        Returns
        -------
        Dataset
            The filled variables, with the dimensions, coordinates, attributes and types of `ds`. A method
            that estimates a standard error adds it as ``<name>_std``, in the units of the variable.

        Raises
        ------
        DataError
            If the method cannot fill such data.
        """
        ...
