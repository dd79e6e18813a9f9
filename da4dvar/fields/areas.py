"""Areas of the cells of a grid, with which they are weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.fields.gaps.geometry import EARTH
from da4dvar.fields.labels.cf import geographic, standard_name


@dataclass(frozen=True)
class Area:
    """Weights of the cells, and their units; 1 without units if no area is known."""

    weight: xr.DataArray | float
    units: str = ""


def area_of(ds: xr.Dataset, array: xr.DataArray, over: Sequence[str]) -> Area:
    """Return the areas of the cells of a variable along some dimensions.

    These are a variable that the attribute ``cell_measures`` names or whose standard name is ``cell_area``,
    otherwise those of a grid of latitudes and longitudes in m², otherwise the cosine of the latitude.

    Parameters
    ----------
    ds : Dataset
        Data set of the variable.
    array : DataArray
        Variable.
    over : sequence of str
        Dimensions along which cells are weighted.

    Returns
    -------
    Area

    Examples
    --------
    >>> sst = xr.DataArray(np.zeros(2), {"lat": [0.0, 60.0]}, name="sst")
    >>> area_of(sst.to_dataset(), sst, ["lat"]).weight.values.round(3)
    array([1. , 0.5])
    """
    measures = str(array.attrs.get("cell_measures", array.encoding.get("cell_measures", ""))).split()
    named = [n for key, n in zip(measures[::2], measures[1::2], strict=False) if key == "area:"]
    known = [v for n, v in ds.variables.items() if n in named]
    known += [ds.variables[n] for n in ds.variables if standard_name(ds[n]) == "cell_area"]
    for variable in known:
        if variable.dims and set(variable.dims) <= set(array.dims) and set(variable.dims) & set(over):
            given = xr.DataArray(variable).fillna(0)
            return Area(given, str(variable.attrs.get("units", "")))
    lat, lon = (geographic(array.coords, role)[:1] for role in "YX")
    if not lat or not set(lat[0].dims) & set(over):
        return Area(1.0)
    cosine = xr.DataArray(np.cos(np.radians(lat[0].variable)).clip(0.0))
    axes = [*lat, *lon]
    grid = len(axes) == 2 and all(c.ndim == 1 and c.size > 1 for c in axes) and lat[0].dims != lon[0].dims
    if not grid:
        return Area(cosine)
    rows, columns = (xr.DataArray(_widths(c)) for c in axes)
    return Area((1000 * EARTH) ** 2 * cosine * rows * columns, "m2")


def _widths(coordinate: xr.DataArray) -> xr.Variable:
    """Return the widths of the cells of a coordinate in degrees, in radians."""
    middle = np.abs(np.gradient(coordinate.values.astype("float64")))
    return xr.Variable(coordinate.dims, np.radians(middle))
