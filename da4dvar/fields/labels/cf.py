"""Roles of coordinates, from CF attributes and names. All other modules use this one.

Attributes are evaluated with the criteria of cf-xarray (``cf_xarray.criteria``), which cover the spellings of
CF, COARDS and THREDDS. The accessor ``ds.cf`` is not used, because it takes a millisecond per data set and
fails if an attribute ``coordinates`` is not text. In addition, coordinates of dates are always time, whatever
their attributes, and ``NAMES`` lists common names of coordinates without attributes. The regular expressions
of ``guess_coord_axis`` are not used for that, because they match only the start of a name: ``index`` would be
a longitude axis and ``latent_heat`` a latitude.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr
from cf_xarray.criteria import coordinate_criteria

# Axis for each of cf-xarray's criteria. Latitude and longitude take precedence over axes of other grids.
ROLES = {"T": "T", "latitude": "Y", "longitude": "X", "Y": "Y", "X": "X", "Z": "Z", "vertical": "Z"}
DIMS = {"time": "T", "lat": "Y", "lon": "X"}
DEGREES = {"Y": ("lat", "latitude", "nav_lat"), "X": ("lon", "longitude", "nav_lon")}
NAMES = {
    "T": ("time", "date", "t"),
    "Y": (*DEGREES["Y"], "y", "nlat", "yc", "northing"),
    "X": (*DEGREES["X"], "x", "nlon", "xc", "easting"),
}
# Names used only to orient figures: too ambiguous for the methods.
IMAGE = {"row": "Y", "column": "X"}


def states(coordinate: xr.DataArray, what: str) -> bool:
    """Whether an attribute of a coordinate meets the criterion `what` of cf-xarray."""
    criteria = coordinate_criteria[what].items()
    return any(str(coordinate.attrs.get(attribute)) in values for attribute, values in criteria)


def axis_role(coordinate: xr.DataArray) -> str | None:
    """Return the CF axis of a coordinate (T, Z, Y or X) from its attributes or dates, never from its name.

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
    """Return the CF axis of a dimension, from its coordinate or else from a common name.

    Examples
    --------
    >>> field = xr.DataArray([[0.0]], {"a": ("a", [1.0], {"axis": "X"})}, dims=("lat", "a"))
    >>> dim_role(field, "lat"), dim_role(field, "a")
    ('Y', 'X')
    """
    found = axis_role(array[dim]) if dim in array.coords else None
    return found or next((role for role, names in NAMES.items() if dim.lower() in names), None)


def geographic(coords: Mapping[Hashable, xr.DataArray], role: str) -> list[xr.DataArray]:
    """Return the coordinates that are latitudes (`role` Y) or longitudes (X) in degrees.

    These are the coordinates identified by their attributes or, if there are none, those with a common name
    that their attributes do not contradict. An axis attribute alone is not sufficient, because the axes of a
    projection are in metres.

    Parameters
    ----------
    coords : mapping of str to DataArray
        Attribute ``coords`` of a data set or an array.
    role : {"Y", "X"}
        Y for latitudes, X for longitudes.

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
    """Return the standard name of a coordinate, or None."""
    name = coordinate.attrs.get("standard_name")
    return None if name is None else str(name)


def is_dates(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds dates of any calendar."""
    if coordinate.dtype.kind == "M":
        return True
    first = coordinate.values.flat[0] if coordinate.dtype == object and coordinate.size else None
    return hasattr(first, "calendar")


def steps(coordinate: xr.DataArray) -> np.ndarray | None:
    """Return the differences of a coordinate, in seconds for dates; None if it is not numeric."""
    values = coordinate.values
    if values.dtype.kind == "M":
        return np.diff(values) / np.timedelta64(1, "s")
    if is_dates(coordinate):
        return np.array([(b - a).total_seconds() for a, b in itertools.pairwise(values)])
    return np.diff(values.astype("float64")) if values.dtype.kind in "iuf" else None


def uneven(coordinate: xr.DataArray) -> bool:
    """Whether steps differ from their median by more than a tenth, as in records without winters."""
    differences = steps(coordinate)
    if differences is None or not differences.size:
        return False
    usual = np.median(differences)
    return bool(np.abs(differences - usual).max() > 0.1 * abs(usual))


def spacing(coordinate: xr.DataArray) -> float | None:
    """Return the median step of a coordinate, with its sign."""
    differences = steps(coordinate)
    return None if differences is None or not differences.size else float(np.median(differences))


def dims_by_role(array: xr.DataArray, given: Mapping[str, str]) -> dict[str, str]:
    """Map time, lat and lon to the dimensions of an array: as given, by the same name, or by CF axis."""
    names = dict(given)
    for usual, role in DIMS.items():
        alike = [str(d) for d in array.dims if d in array.coords and axis_role(array[d]) == role]
        if usual not in names and usual not in array.dims and len(alike) == 1:
            names[usual] = alike[0]
    return names


def numeric(ds: xr.Dataset) -> list[str]:
    """Return the names of the floating-point variables with at least one dimension."""
    return [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f" and ds[n].ndim]
