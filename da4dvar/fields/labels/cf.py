"""The one place that finds out what a coordinate is: its role, by CF attributes and names.

What attributes say is read with the criteria of cf-xarray (``cf_xarray.criteria``), which know every
spelling of CF, COARDS and THREDDS. The accessor ``ds.cf`` is not used: it takes a millisecond per data set
and fails on an attribute ``coordinates`` that is not text. Two things are added: dates are time whatever
their attributes, and ``NAMES`` holds usual names for coordinates without attributes. The regular expressions
of ``guess_coord_axis`` match the start of a name only, so that ``index`` would be a longitude axis and
``latent_heat`` a latitude.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr
from cf_xarray.criteria import coordinate_criteria

# The roles of cf-xarray's criteria. Those of latitude and longitude come before those of any grid.
ROLES = {"T": "T", "latitude": "Y", "longitude": "X", "Y": "Y", "X": "X", "Z": "Z", "vertical": "Z"}
DIMS = {"time": "T", "lat": "Y", "lon": "X"}
DEGREES = {"Y": ("lat", "latitude", "nav_lat"), "X": ("lon", "longitude", "nav_lon")}
NAMES = {
    "T": ("time", "date", "t"),
    "Y": (*DEGREES["Y"], "y", "nlat", "yc", "northing"),
    "X": (*DEGREES["X"], "x", "nlon", "xc", "easting"),
}
# Names that a picture is drawn by, but that are too vague for a method to rely on.
IMAGE = {"row": "Y", "column": "X"}


def states(coordinate: xr.DataArray, what: str) -> bool:
    """Whether an attribute of a coordinate states that it is a `what` of cf-xarray's criteria."""
    criteria = coordinate_criteria[what].items()
    return any(str(coordinate.attrs.get(attribute)) in values for attribute, values in criteria)


def axis_role(coordinate: xr.DataArray) -> str | None:
    """The CF axis of a coordinate (T, Z, Y or X) by its attributes or its dates, never by its name.

    Examples
    --------
    >>> axis_role(xr.DataArray([10.0], dims="y", attrs={"units": "degrees_north"}))
    'Y'
    """
    axis = str(coordinate.attrs.get("axis"))
    if axis in ROLES.values():
        return axis
    if is_dates(coordinate):
        return "T"
    return next((role for what, role in ROLES.items() if states(coordinate, what)), None)


def dim_role(array: xr.DataArray, dim: str) -> str | None:
    """The CF axis of a dimension: by its coordinate, else by its name if that is a usual one.

    Examples
    --------
    >>> field = xr.DataArray([[0.0]], {"a": ("a", [1.0], {"axis": "X"})}, dims=("lat", "a"))
    >>> dim_role(field, "lat"), dim_role(field, "a")
    ('Y', 'X')
    """
    found = axis_role(array[dim]) if dim in array.coords else None
    return found or next((role for role, names in NAMES.items() if dim.lower() in names), None)


def geographic(coords: Mapping[Hashable, xr.DataArray], role: str) -> list[xr.DataArray]:
    """The coordinates that are latitudes (`role` Y) or longitudes (X) in degrees.

    Those whose attributes say so; if there are none, those with a usual name whose attributes do not
    contradict it. An axis alone says nothing: that of a projection is in metres.

    Parameters
    ----------
    coords : mapping of str to DataArray
        The ``coords`` of a data set or an array.
    role : {"Y", "X"}

    Returns
    -------
    list of DataArray

    Examples
    --------
    >>> place = {"lat": ("lat", [50.0]), "y": ("lat", [0.0], {"units": "m", "axis": "Y"})}
    >>> [c.name for c in geographic(xr.Dataset(coords=place).coords, "Y")]
    ['lat']
    """
    name = {"Y": "latitude", "X": "longitude"}[role]
    numbers = [c for c in coords.values() if c.dtype.kind in "iuf"]
    named = [c for c in numbers if str(c.name).lower() in DEGREES[role] and axis_role(c) in (None, role)]
    grid = coordinate_criteria[role]["standard_name"]
    return [c for c in numbers if states(c, name)] or [c for c in named if standard_name(c) not in grid]


def standard_name(coordinate: xr.DataArray) -> str | None:
    """The standard name of a coordinate, if it has one."""
    name = coordinate.attrs.get("standard_name")
    return None if name is None else str(name)


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
    for usual, role in DIMS.items():
        alike = [str(d) for d in array.dims if d in array.coords and axis_role(array[d]) == role]
        if usual not in names and usual not in array.dims and len(alike) == 1:
            names[usual] = alike[0]
    return names


def numeric(ds: xr.Dataset) -> list[str]:
    """The variables that hold real numbers."""
    return [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f" and ds[n].ndim]
