"""Classical methods, one a file, with the interface of the learned one.

Each has a method ``interpolate(ds)`` that fills the gaps of a data set. Imports `fields`, `layout` and
`errors`; no tensors. A new method is a file here and its name in `kinds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The list of kinds is below this package, and is read at every tab.
    import xarray as xr


class Baseline(Protocol):
    """A classical method, whose settings are those it was made with: any object with this one method.

    A class may have two attributes that say more about it.

    Attributes
    ----------
    reads_times : bool, optional
        Whether the method uses the values of the coordinate of time. A method that does not counts steps,
        and a warning says so where they are uneven.
    suits : collection of int, optional
        The numbers of dimensions of space, of 0, 1 and 2, for which ``da4dvar interpolate --fit`` compares
        the method with the learned model; not at all if it is missing.

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
        """Every variable of `ds`, with its gaps filled.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps. If it is chunked, so is the result.

        Returns
        -------
        Dataset
            With the dimensions, coordinates, attributes and types of `ds`; beside a variable its standard
            error ``<name>_std``, in its units, by a method that states one.

        Raises
        ------
        DataError
            If the method cannot fill such data.
        """
        ...
