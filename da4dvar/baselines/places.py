"""Places and times of a labelled array as numbers, in km or cells and in days or steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import EARTH
from da4dvar.fields.labels.cf import dim_role, geographic, is_dates, steps

KILOMETRES = {"km": 1.0, "kilometre": 1.0, "m": 1e-3, "metre": 1e-3, "meter": 1e-3}


def spatial(array: xr.DataArray, others: Sequence[str]) -> list[str]:
    """Return the space dimensions among `others`: by latitude and longitude or CF axes, or up to two."""
    lat, lon = (geographic(array.coords, role)[:1] for role in "YX")
    along = {d for degrees in (*lat, *lon) for d in degrees.dims}
    if not (lat and lon):
        along |= {d for d in others if dim_role(array, d) in ("Y", "X")}
    found = [d for d in others if d in along]
    if found or (lat and lon) or len(others) <= 2:
        return found if along else list(others)
    raise DataError(
        f"variable {array.name!r} has the dimensions {', '.join(others)} besides time; "
        "name those of space with space="
    )


def places(array: xr.DataArray, space: Sequence[str]) -> np.ndarray:
    """Return Cartesian coordinates of the cells, in km or in cells, of shape (cell, axis)."""
    lat, lon = (geographic(array.coords, role)[:1] for role in "YX")
    frame = xr.DataArray(np.zeros([array.sizes[d] for d in space]), dims=space)
    if lat and lon and {*lat[0].dims, *lon[0].dims} == set(space):
        degrees = ((frame + g.variable).transpose(*space).values.ravel() for g in (*lat, *lon))
        return on_sphere(*degrees)
    units = [str(array[d].attrs.get("units")) if d in array.coords else "" for d in space]
    if space and all(u in KILOMETRES for u in units):
        axes = [array[d].values * KILOMETRES[u] for d, u in zip(space, units, strict=True)]
    else:
        axes = [np.arange(float(array.sizes[d])) for d in space]
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack(mesh, -1).reshape(-1, len(space)).astype("float64") if mesh else np.empty((1, 0))


def on_sphere(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return Cartesian coordinates in km of positions in degrees, of shape (position, 3)."""
    phi, theta = np.radians(lat), np.radians(lon)
    unit = [np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)]
    out: np.ndarray = EARTH * np.stack(unit, -1)
    return out


def instants(array: xr.DataArray, time: str) -> np.ndarray:
    """Return times as numbers: days since the first date, units of the coordinate, or steps."""
    apart = steps(array[time]) if time in array.coords else None
    if apart is None:
        return np.arange(float(array.sizes[time]))
    return np.append(0.0, np.cumsum(apart / (86400 if is_dates(array[time]) else 1)))
