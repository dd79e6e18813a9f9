"""Coordinates of the cells and times of a window, for a prior that is a covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from da4dvar.baselines.places import instants, places
from da4dvar.errors import RecipeError
from da4dvar.layout import Layout


def coordinates_of(ds: xr.Dataset, layout: Layout, time: str = "time") -> dict[str, Any]:
    """Return the coordinates of a window, as :class:`OptimalInterpolation` defines distances and lags.

    Windows along a dimension of space have the distances of the window in the middle. Times are those of the
    first window, as steps are even.

    Parameters
    ----------
    ds : Dataset
        Data with the dimensions of the layout.
    layout : Layout
        Layout of the model.
    time : str
        Name of the time dimension.

    Returns
    -------
    dict
        Arguments `place`, `clock` and `time_axis` of
        :class:`da4dvar.variational.priors.covariance.Covariance`.

    Raises
    ------
    RecipeError
        If no variable has the dimensions of the layout, or another dimension is folded after time.

    Examples
    --------
    >>> ds = xr.Dataset({"sst": (("time", "lat", "lon"), np.zeros((9, 2, 3)))})
    >>> found = coordinates_of(ds, Layout(["sst"], ["lat", "lon"], ["time"], window={"time": 4}))
    >>> found["place"].shape, found["clock"], found["time_axis"]
    ((6, 2), array([0., 1., 2., 3.]), 0)
    """
    for array in ds.data_vars.values():
        if set(layout.dims) <= set(array.dims):
            break
    else:
        raise RecipeError(f"prior: no variable has the dimensions {', '.join(layout.dims)} of the layout")
    if time in layout.channels[:-1]:
        raise RecipeError(f"layout: channels are {list(layout.channels)}, expected {time!r} as the last")
    space = [d for d in layout.dims if d != time]
    begins = {d: (array.sizes[d] - n) // 2 for d, n in layout.window.items() if n < array.sizes[d]}
    begins |= {time: 0} if time in begins else {}
    array = array.isel({d: slice(begin, begin + layout.window[d]) for d, begin in begins.items()})
    clock: np.ndarray = np.zeros(1)
    if time in layout.dims:
        found = instants(array, time)
        # A series that is shorter than its window is padded.
        step = float(found[1] - found[0]) if len(found) > 1 else 1.0
        clock = step * np.arange(layout.window.get(time, len(found)))
    axis = 1 + layout.axes.index(time) if time in layout.axes else 0
    return {"place": places(array, space), "clock": clock, "time_axis": axis}
