"""Roles of variables: which are fields, whose gaps can be filled, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, nearest
from da4dvar.fields.labels.cf import axis_role, is_dates, standard_name, states

# Names of a time dimension whose coordinate, if any, does not identify it.
TIMES = ("times", "date", "dates", "datetime", "timestamp", "t", "day", "month", "year", "hour")
# Attributes that name other variables, and what these are.
REFERENCES = {
    "bounds": "bounds of {}",
    "climatology": "bounds of {}",
    "grid_mapping": "grid mapping of {}",
    "cell_measures": "cell measure of {}",
    "formula_terms": "term of the vertical coordinate {}",
    "coordinates": "coordinate of {}",
    "ancillary_variables": "ancillary variable of {}",
}
# A mesh names its coordinates and tables, for example by ``node_coordinates`` and ``face_node_connectivity``.
MESH = re.compile(r"\w+_(coordinates|connectivity)")
BOUNDS = re.compile(r"(.+_)?(bnds?|bounds|vertices|corners)(_.+)?", re.IGNORECASE)
BOUND_DIMS = {"bnds", "bnd", "bounds", "nbnd", "nbnds", "nv", "nvertex", "vertices", "vertex", "corners"}
POSITION = re.compile(r"(x|nav_?|grid_?)?(lat|latitude|lon|long|longitude)(_?[uvtcf])?", re.IGNORECASE)
PLACES = {"projection_x_coordinate", "projection_y_coordinate", "grid_latitude", "grid_longitude"}
QUALITY = {"qc", "qf", "qa", "flag", "flags", "quality", "mask", "status"}
ERRORS = {"uncertainty", "uncertainties", "error", "err", "stderr", "std", "sd", "sigma"}
COUNTS = {"count", "counts", "number", "num", "nobs", "n"}
OF_COUNTS = {"of", "obs", "observations", "samples", "sample", "valid", "points", "pixels", "data", "used"}
LABELS = {"id", "ids", "idx", "wmo", "orbit", "cycle", "record", "rec", "recnum", "scan", "expver", "mission"}
CODES = {"code", "codes", "type", "types", "category", "categories", "class", "classes"}
CASTS = {"profile", "dive", "cast", "deployment", "trajectory", "direction", "index", "phase"} | COUNTS
CALENDAR = {"year", "month", "day", "doy", "hour", "minute", "second"}
# Number of values that are looked at to tell codes from measurements.
LOOK = 2**20


def time_of(ds: xr.Dataset, dim: Mapping[str, str] | None = None) -> str | None:
    """Return the time dimension of a data set: as given, by its name, or by its coordinate.

    Parameters
    ----------
    ds : Dataset
        Data set.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension.

    Returns
    -------
    str or None
        Name of the dimension; None if there is none.

    Raises
    ------
    DataError
        If the given dimension does not exist, or several dimensions may be the time.

    Examples
    --------
    >>> time_of(xr.Dataset({"q": (("basin", "date"), [[1.0, 2.0]])}))
    'date'
    """
    dims = [str(d) for d in ds.dims]
    if given := (dim or {}).get("time"):
        if given not in dims:
            raise DataError(f"there is no dimension {given!r}: {nearest(given, dims)}")
        return given
    if "time" in dims:
        return "time"
    found = [d for d in dims if d in ds.coords and is_time(ds[d])]
    found = found or [d for d in dims if d.lower() == "time"]
    found = found or [d for d in dims if d.lower() in TIMES]
    along = (v for v in ds.variables.values() if v.ndim == 1)
    found = found or sorted({str(v.dims[0]) for v in along if is_time(xr.DataArray(v))})
    if len(found) > 1:
        raise DataError(
            f"there are several time dimensions ({', '.join(found)}); choose one with --dim time=NAME"
        )
    return found[0] if found else None


def is_time(array: xr.DataArray) -> bool:
    """Whether a variable holds times: dates, or numbers whose attributes say so."""
    since = " since " in str(array.attrs.get("units", ""))
    return axis_role(array) == "T" or (since and array.dtype.kind in "iuf") or standard_name(array) == "time"


def fields_of(ds: xr.Dataset, time: str | None) -> tuple[list[str], dict[str, str]]:
    """Tell the variables whose gaps can be filled from all others.

    Parameters
    ----------
    ds : Dataset
        Data set.
    time : str, optional
        Name of the time dimension, which every field has. If None, fields need not have one.

    Returns
    -------
    fields : list of str
        Names of the fields, in the order of the data set.
    others : dict of str to str
        Reason why it is not a field, for every other data variable.

    Examples
    --------
    >>> ds = xr.Dataset({"tas": ("time", [280.0, 281.0]), "tas_qc": ("time", [0, 1])})
    >>> fields_of(ds, "time")
    (['tas'], {'tas_qc': 'a flag'})
    """
    reasons = references(ds)
    for name in map(str, ds.data_vars):
        if name not in reasons and (why := why_not(ds[name], time)):
            reasons[name] = why
    fields = [n for n in map(str, ds.data_vars) if n not in reasons]
    # A depth may have an error, too.
    bases = [n for n in map(str, ds.data_vars) if ds[n].dtype.kind in "iuf"]
    guesses = {n: why for n in fields if (why := guess(ds[n], bases))}
    # A guess counts only next to a variable that is a field beyond doubt.
    if len(guesses) < len(fields):
        reasons |= guesses
    return (
        [n for n in fields if n not in reasons],
        {n: reasons[n] for n in map(str, ds.data_vars) if n in reasons},
    )


def named_by(ds: xr.Dataset) -> Iterator[tuple[str, str, str]]:
    """Yield the variable, the attribute and the name for every reference to another variable."""
    for name, variable in ds.variables.items():
        # xarray moves some of these attributes to the encoding.
        for attribute, value in (*variable.attrs.items(), *variable.encoding.items()):
            if isinstance(value, str) and (attribute in REFERENCES or MESH.fullmatch(str(attribute))):
                for other in value.replace(":", " ").split():
                    yield str(name), str(attribute), other


def references(ds: xr.Dataset) -> dict[str, str]:
    """Return the data variables that describe others, by the attributes that name them."""
    return {
        other: REFERENCES.get(attribute, "part of the mesh {}").format(repr(name))
        for name, attribute, other in named_by(ds)
        if other in ds.data_vars and other != name
    }


def why_not(array: xr.DataArray, time: str | None) -> str | None:
    """Return why a variable cannot be a field, or None."""
    name = str(array.name)
    if array.dtype.kind not in "iuf":
        return "dates" if is_dates(array) or array.dtype.kind == "m" else _kind(array)
    if not array.ndim:
        return "a single number"
    if twice := [d for d in array.dims if array.dims.count(d) > 1]:
        return f"it has the dimension {twice[0]!r} twice"
    if BOUNDS.fullmatch(name) or BOUND_DIMS & {str(d).lower() for d in array.dims}:
        return "bounds"
    if is_position(array) or "axis" in array.attrs or "_CoordinateAxisType" in array.attrs:
        return "a position" if not is_time(array) else "times"
    if is_time(array):
        return "times"
    if "mesh_topology" in str(array.attrs.get("cf_role")) or "cf_role" in array.attrs:
        return "an identifier"
    if time is not None and time not in array.dims:
        return f"it has no dimension {time!r}"
    return "a flag" if is_flag(array) else None


def _kind(array: xr.DataArray) -> str:
    """Describe the values of a variable that are not numbers."""
    return {"b": "true or false", "c": "complex numbers"}.get(array.dtype.kind, "text")


def is_position(array: xr.DataArray) -> bool:
    """Whether a variable holds latitudes, longitudes or the axes of a projection."""
    return (
        states(array, "latitude")
        or states(array, "longitude")
        or standard_name(array) in PLACES
        or POSITION.fullmatch(str(array.name)) is not None
    )


def is_flag(array: xr.DataArray) -> bool:
    """Whether a variable holds flags or quality codes.

    A variable with ``flag_values`` that has other values as well is a measurement with some special values.

    Examples
    --------
    >>> ice = xr.DataArray([10, 90, 254], dims="time", attrs={"flag_values": [254], "flag_meanings": "land"})
    >>> is_flag(ice), is_flag(ice[2:])
    (False, True)
    """
    attrs = array.attrs
    if "flag_masks" in attrs or str(attrs.get("standard_name", "")).endswith(("_flag", "status_flag")):
        return True
    if "flag_values" in attrs:
        codes = attrs["flag_values"]
        codes = codes.replace(",", " ").split() if isinstance(codes, str) else np.atleast_1d(codes)
        try:
            return bool(np.isin(some_values(array), np.array(codes, dtype="float64")).all())
        except ValueError:
            return True
    suspected = "flag_meanings" in attrs or tokens(array) & QUALITY
    return bool(suspected) and is_whole(array)


def guess(array: xr.DataArray, variables: list[str]) -> str | None:
    """Return what one of some variables probably is other than a field, such as an error or a counter."""
    words = tokens(array)
    named = str(array.attrs.get("standard_name", ""))
    meaning = str(array.attrs.get("long_name", "")).lower()
    others = [v for v in variables if v != array.name]
    of = next((f for f in others if words and words - ERRORS == tokens(f)), None)
    spread = re.search(r"uncertainty|standard error|error standard deviation|error estimate", meaning)
    if named.endswith("standard_error") or (words & ERRORS and (of or words <= ERRORS)) or spread:
        return f"the error of {of!r}" if of else "the error of another variable"
    if named.endswith("number_of_observations"):
        return "a count of observations"
    cast = words & {"profile", "dive", "cast", "deployment", "trajectory"} and words <= CASTS
    if not (cast or words & (COUNTS | LABELS | CODES | CALENDAR) or array.dtype.kind in "iu"):
        return None
    if not is_whole(array):
        return None
    rest = words - COUNTS
    if words & COUNTS and (rest <= OF_COUNTS or any(rest - OF_COUNTS == tokens(f) for f in others)):
        return "a count of observations"
    if words & CODES:
        return "a code"
    if cast or words & LABELS or (len(words) == 1 and words <= CALENDAR):
        return "a label or counter"
    values = some_values(array)
    counts_up = array.ndim == 1 and values.size > 2 and (np.diff(values) == 1).all()
    return "a counter" if counts_up else None


def tokens(name: object) -> set[str]:
    """Return the words of a name, or of the name of an array, in lower case.

    Examples
    --------
    >>> sorted(tokens("NEE_qcFlag"))
    ['flag', 'nee', 'qc']
    """
    text = str(name.name if isinstance(name, xr.DataArray) else name)
    return {w.lower() for w in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", text) if w}


def some_values(array: xr.DataArray) -> np.ndarray:
    """Return the finite values of an array, or of evenly spaced parts of a large one."""
    first = array.dims[0]
    every = -(-array.size // LOOK)
    values = array.isel({first: slice(None, None, every)}).values.ravel()
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def is_whole(array: xr.DataArray) -> bool:
    """Whether all values are whole numbers; packed numbers are unpacked."""
    if array.dtype.kind in "iu":
        return True
    stored = array.encoding.get("dtype")
    packed = "scale_factor" in array.encoding or "add_offset" in array.encoding
    if stored is not None and np.dtype(stored).kind in "iu" and not packed:
        return True
    values = some_values(array)
    return bool(values.size) and bool((values == np.round(values)).all())
