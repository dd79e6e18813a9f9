"""The climatology of each cell."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, check_least, nearest
from da4dvar.fields.labels.cf import is_dates, steps
from da4dvar.fields.labels.given import data_set
from da4dvar.fields.scaling.anomaly import Anomaly


class Climatology:
    """x̂(t): the typical value of the cell on that day of the year, estimated from the observations.

    The estimate is the mean of the cell plus, if the dates cover a year, a few harmonics of the year, also
    known as a smoothed day-of-year climatology. Cells that are never observed remain NaN.

    Parameters
    ----------
    time : str
        Name of the time dimension.
    harmonics : int
        Number of harmonics of the year.
    history : Dataset, optional
        Other years of the same variables, from which the climatology is estimated; by default `ds` itself.

    Examples
    --------
    >>> y = xr.Dataset({"t2m": (("time", "station"), [[1.0, 5.0], [float("nan"), 5.0], [3.0, 8.0]])})
    >>> Climatology().interpolate(y)["t2m"].values  # without dates: the mean of each cell
    array([[2., 6.],
           [2., 6.],
           [2., 6.]])
    """

    reads_times = True
    suits = (0, 1, 2)

    def __init__(self, time: str = "time", harmonics: int = 3, history: xr.Dataset | None = None) -> None:
        check_least(0, harmonics=harmonics)
        self.time, self.harmonics, self.history = time, harmonics, history

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every variable of numbers by its climatology, observed values included.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The climatologies, with the labels of `ds`; text, dates and flags are returned unchanged.

        Raises
        ------
        DataError
            If a variable does not have the time dimension, or is not in the history.
        """
        ds = data_set(ds)
        history = ds if self.history is None else self.history
        names = [name for name in ds.data_vars if ds[name].dtype.kind in "fiu"]
        for name in names:
            if name not in history:
                raise DataError(
                    f"the history has no variable {name!r}: {nearest(str(name), map(str, history))}"
                )
            if self.time not in ds[name].dims or self.time not in history[name].dims:
                raise DataError(
                    f"variable {name!r} has no dimension {self.time!r}; "
                    f"it has {', '.join(map(str, ds[name].dims))}"
                )
        seasonal = has_season(history, self.time)
        out = ds.copy()
        for name in names:
            usual = self._season(ds, history, str(name)) if seasonal else self._mean(history[name])
            filled = usual.broadcast_like(ds[name]).transpose(*ds[name].dims).data
            if ds[name].dtype.kind == "f":
                filled = filled.astype(ds[name].dtype)
            out[name] = ds[name].copy(data=filled)
        return out

    def _mean(self, array: xr.DataArray) -> xr.DataArray:
        # Infinite values count as gaps, as they do in the seasonal climatology.
        return array.where(np.isfinite(array)).mean(self.time)

    def _season(self, ds: xr.Dataset, history: xr.Dataset, name: str) -> xr.DataArray:
        season = Anomaly(self.harmonics, self.time)
        season.fit_climatology(history, name, [str(d) for d in history.dims])
        return season.climatology(ds, name)


def has_season(ds: xr.Dataset, time: str) -> bool:
    """Whether a data set has dates that cover most of a year (over 300 days).

    Examples
    --------
    >>> has_season(xr.Dataset(coords={"day": [1, 400]}), "day")
    False
    """
    if time not in ds.coords or not is_dates(ds[time]) or ds.sizes[time] < 2:
        return False
    seconds = steps(ds[time])
    return seconds is not None and bool(abs(seconds.sum()) > 300 * 86400)
