"""The climatology of each cell."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, check_least, nearest
from da4dvar.fields.labels.cf import is_dates, steps
from da4dvar.fields.scaling.anomaly import Anomaly


class Climatology:
    """x̂(t) the usual value of the cell on that day of the year, from what was observed.

    The mean of a cell and, for dates that cover a year, a few harmonics of the year: what is
    called a smoothed day-of-year climatology. A cell that is never observed stays NaN.

    Parameters
    ----------
    time : str
        The dimension of time.
    harmonics : int
        Harmonics of the year.
    history : Dataset, optional
        Other years of the same variables, to take the climatology from; `ds` itself if not given.

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

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds` replaced by its climatology, observed cells too.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`.

        Raises
        ------
        DataError
            If a variable does not have the dimension of time, or there is no history of it.
        """
        history = ds if self.history is None else self.history
        for name in ds.data_vars:
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
        for name in ds.data_vars:
            usual = self._season(ds, history, str(name)) if seasonal else self._mean(history[name])
            filled = usual.broadcast_like(ds[name]).transpose(*ds[name].dims).data
            if ds[name].dtype.kind == "f":
                filled = filled.astype(ds[name].dtype)
            out[name] = ds[name].copy(data=filled)
        return out

    def _mean(self, array: xr.DataArray) -> xr.DataArray:
        # As in a season, what is infinite is a gap.
        return array.where(np.isfinite(array)).mean(self.time)

    def _season(self, ds: xr.Dataset, history: xr.Dataset, name: str) -> xr.DataArray:
        season = Anomaly(self.harmonics, self.time)
        season.fit_climatology(history, name, [str(d) for d in history.dims])
        return season.climatology(ds, name)


def has_season(ds: xr.Dataset, time: str) -> bool:
    """Whether a data set has dates, and most of a year of them.

    Examples
    --------
    >>> has_season(xr.Dataset(coords={"day": [1, 400]}), "day")
    False
    """
    if time not in ds.coords or not is_dates(ds[time]) or ds.sizes[time] < 2:
        return False
    seconds = steps(ds[time])
    return seconds is not None and bool(abs(seconds.sum()) > 300 * 86400)
