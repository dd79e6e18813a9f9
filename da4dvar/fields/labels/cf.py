"""Roles and names of dimensions, coordinates and variables, from CF attributes and names."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import xarray as xr

ROLES_BY_NAME = {"time": "T", "latitude": "Y", "longitude": "X"}
ROLES_BY_UNITS = {
    f"{degree}{direction}": role
    for degree in ("degree", "degrees")
    for role, directions in {"Y": ("_north", "_N", "N"), "X": ("_east", "_E", "E")}.items()
    for direction in directions
}
ROLES = {"time": "T", "lat": "Y", "lon": "X"}


def axis_role(coordinate: xr.DataArray) -> str | None:
    """The CF axis of a coordinate, by its ``axis``, ``standard_name``, units or dates."""
    attrs = coordinate.attrs
    if str(attrs.get("axis")) in ("T", "Z", "Y", "X"):
        return str(attrs["axis"])
    if is_dates(coordinate):
        return "T"
    by_name = ROLES_BY_NAME.get(str(attrs.get("standard_name")))
    return by_name or ROLES_BY_UNITS.get(str(attrs.get("units")))


def is_dates(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds dates, of any calendar."""
    if coordinate.dtype.kind == "M":
        return True
    first = coordinate.values.flat[0] if coordinate.dtype == object and coordinate.size else None
    return hasattr(first, "calendar")


def steps(coordinate: xr.DataArray) -> np.ndarray | None:
    """Differences of a coordinate, in seconds for dates; nothing if it holds no numbers."""
    values = coordinate.values
    if values.dtype.kind == "M":
        return np.diff(values) / np.timedelta64(1, "s")
    if is_dates(coordinate):
        return np.array([(b - a).total_seconds() for a, b in itertools.pairwise(values)])
    return np.diff(values.astype("float64")) if values.dtype.kind in "iuf" else None


def uneven(coordinate: xr.DataArray) -> bool:
    """Whether steps differ by more than a tenth, as where winters are left out: no step is expected then."""
    differences = steps(coordinate)
    if differences is None or not differences.size:
        return False
    usual = np.median(differences)
    return bool(np.abs(differences - usual).max() > 0.1 * abs(usual))


def spacing(coordinate: xr.DataArray) -> float | None:
    """The usual step of a coordinate, signed."""
    differences = steps(coordinate)
    return None if differences is None or not differences.size else float(np.median(differences))


def dims_by_role(array: xr.DataArray, given: Mapping[str, str]) -> dict[str, str]:
    """The names of time, lat and lon in an array: as given, the same, or by their CF axis."""
    names = dict(given)
    for usual, role in ROLES.items():
        alike = [str(d) for d in array.dims if d in array.coords and axis_role(array[d]) == role]
        if usual not in names and usual not in array.dims and len(alike) == 1:
            names[usual] = alike[0]
    return names


def numeric(ds: xr.Dataset) -> list[str]:
    """The variables that hold real numbers."""
    return [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f" and ds[n].ndim]
