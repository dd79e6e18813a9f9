"""The cycles of the year and of the day, as regressors of a time series."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.baselines.climatology import has_season
from da4dvar.fields.derived import day_angle, year_angle
from da4dvar.fields.labels.cf import is_dates, spacing
from da4dvar.fields.scaling.harmonics import harmonic_basis

HALF_DAY = 43200
LONGEST = 6 * 3600  # step in seconds up to which a cycle of the day can be told from the mean


def cycles(array: xr.DataArray, time: str, harmonics: int) -> np.ndarray:
    """1, cos ωt, sin ωt, …: harmonics of the year, and those of the day with a season of their own.

    The year is there if the dates cover most of one, and the day if they cover two days or more in steps of
    six hours or less. The amplitude of the cycle of the day varies with the first harmonic of the year.

    Parameters
    ----------
    array : DataArray
        A variable.
    time : str
        Name of its time dimension.
    harmonics : int
        Number of harmonics of each cycle. Those that the steps of a day cannot tell apart are left out.

    Returns
    -------
    array of float, shape (time, term)
        A single column of 1 without dates.

    Examples
    --------
    >>> hours = xr.date_range("2019-03-01", periods=48, freq="3h")
    >>> t2m = xr.DataArray(np.zeros(48), {"time": hours}, name="t2m")
    >>> cycles(t2m, "time", 2).shape  # the mean, and two harmonics of the day
    (48, 5)
    """
    columns = np.ones((array.sizes[time], 1))
    if time not in array.coords or not is_dates(array[time]):
        return columns
    times = array[time]
    yearly = has_season(array.to_dataset(name="y"), time)
    if yearly:
        columns = harmonic_basis(year_angle(times), harmonics).astype(float)
    step = spacing(times)
    if step and abs(step) <= LONGEST and abs(step) * times.size > 4 * HALF_DAY:
        # With fewer than four steps a day, a harmonic of the day repeats another.
        daily = harmonic_basis(day_angle(times), min(harmonics, int(HALF_DAY / abs(step)) - 1))[:, 1:]
        annual = columns[:, :3] if yearly else columns
        columns = np.hstack([columns, *(daily * c[:, None] for c in annual.T)])
    return columns
