"""The climatology of each cell."""

from __future__ import annotations

import xarray as xr

from da4dvar.fields.scaling import Anomaly
from da4dvar.fields.signature import is_dates, steps


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
    """

    def __init__(
        self, time: str = "time", harmonics: int = 3, history: xr.Dataset | None = None
    ) -> None:
        self.time, self.harmonics, self.history = time, harmonics, history

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every variable of `ds` replaced by its climatology, observed cells too."""
        history = ds if self.history is None else self.history
        names = [str(n) for n in ds.data_vars]
        if not self._has_season(history):
            dims = [d for d in history.dims if d == self.time]
            mean = history.mean(dims)
            return ds.map(lambda a: a.copy(data=mean[a.name].broadcast_like(a).transpose(*a.dims).data))
        season = Anomaly(self.harmonics, self.time)
        season.fit(history, names, [str(d) for d in history.dims])
        out = ds.copy()
        for name in names:
            filled = season.climatology(ds, name).broadcast_like(ds[name]).transpose(*ds[name].dims)
            out[name] = ds[name].copy(data=filled.data.astype(ds[name].dtype))
        return out

    def _has_season(self, ds: xr.Dataset) -> bool:
        if self.time not in ds.coords or not is_dates(ds[self.time]) or ds.sizes[self.time] < 2:
            return False
        seconds = steps(ds[self.time])
        return seconds is not None and abs(seconds.sum()) > 300 * 86400
