"""Encoding, attributes and chunks with which labelled data are written to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.fields.intake.attributes import numbers, packing, readings, within_valid

PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue")
CALENDAR = ("units", "calendar")
COMPRESSION = ("zlib", "complevel", "shuffle")
# Highest level of compression that is kept, the default of zlib itself. Level 9 takes five times as long for
# floats, and saves a few hundredths of the file.
LEVEL = 6
# Largest rounding error that packing may cause, in units of the last packed digit.
HALF = 0.49


def plain_attributes(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Convert attributes that only Zarr can store (dict, bool, None, mixed lists) to text for NetCDF.

    Examples
    --------
    >>> plain_attributes({"units": "K", "range": [0.0, 1.0], "made": {"by": "hand"}, "checked": True})
    {'units': 'K', 'range': [0.0, 1.0], 'made': '{"by": "hand"}', 'checked': 'true'}
    """

    def held(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        return whole or isinstance(value, str | bytes | float | np.integer | np.floating)

    out = {}
    for key, value in attrs.items():
        array = isinstance(value, np.ndarray) and value.dtype.kind in "iufSU"
        alike = isinstance(value, list | tuple) and len({isinstance(v, str) for v in value}) == 1
        listed = alike and all(map(held, value))
        out[key] = value if array or listed or held(value) else json.dumps(value, default=str)
    return out


def evenly_chunked(array: xr.DataArray) -> xr.DataArray:
    """Rechunk an array to chunks of equal size, as Zarr requires."""
    return (
        array
        if array.chunks is None
        else array.chunk({d: max(c) for d, c in array.variable.chunksizes.items()})
    )


def encoding_for(array: xr.DataArray, suffix: str, exact: bool = False) -> dict[str, Any]:
    """Return the part of the encoding of a variable that applies to a new file.

    Lazy arrays are written unpacked, because they are not read, unless `exact` says that their values are
    those of the encoding.
    """
    kept = (*PACKING, *(COMPRESSION if suffix == ".nc" else ()))
    if array.dtype.kind == "M" or array.dtype == object:
        kept += CALENDAR
    known = {k: v for k, v in array.attrs.items() if k in ("_FillValue", "missing_value")} | array.encoding
    encoding = {k: v for k, v in known.items() if k in kept}
    if "complevel" in encoding:
        encoding["complevel"] = min(encoding["complevel"], LEVEL)
    missing = known.get("missing_value", ())
    if "_FillValue" not in encoding and np.ndim(missing) == 0 and not isinstance(missing, str | bytes):
        encoding["_FillValue"] = missing
    index = array.dims == (array.name,) and array.dtype.kind in "fMO"
    if index or (array.name in array.coords and array.dtype.kind == "f" and _complete(array)):
        # CF does not allow fill values in coordinates, but xarray writes one unless told otherwise.
        encoding.setdefault("_FillValue", None)
    if "dtype" in encoding and array.dtype.kind == "f" and not (exact or _fits(array, encoding)):
        encoding = {k: v for k, v in encoding.items() if k not in PACKING}
    if suffix == ".nc" and array.dtype.kind in "OSU":
        encoding = {k: v for k, v in encoding.items() if k not in COMPRESSION}
    if "_Unsigned" in array.encoding and array.dtype.kind != "f":
        # Written as signed numbers, large ones would become negative.
        encoding = {k: v for k, v in encoding.items() if k not in ("dtype", "_FillValue")}
    if isinstance(encoding.get("_FillValue"), str | bytes):
        # xarray reads text with a fill value, but cannot write it.
        del encoding["_FillValue"]
    return encoding


def attributes_for(array: xr.DataArray, encoding: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the attributes of a variable that are true of it in a new file.

    A valid range in packed counts is unpacked if the variable is written unpacked. It is left out if floats
    lie beyond it, because readers would mask them. Fill values belong to the encoding.

    Parameters
    ----------
    array : DataArray
        Variable with its attributes and the encoding with which it was read.
    encoding : mapping
        Encoding with which it will be written; see :func:`encoding_for`.

    Returns
    -------
    dict
        Attributes.
    """
    attrs = {k: v for k, v in array.attrs.items() if k not in ("_FillValue", "missing_value")}
    limits = [k for k in ("valid_range", "valid_min", "valid_max") if k in attrs]
    if not limits:
        return attrs
    if array.dtype.kind != "f":
        return attrs
    if array.chunks is None and within_valid(array, array.values[np.isfinite(array.values)])[1]:
        return {k: v for k, v in attrs.items() if k not in limits}
    if packing(array) and "scale_factor" not in encoding and "add_offset" not in encoding:
        for key in limits:
            read = [readings(array, number, attrs[key])[0] for number in numbers(attrs[key])]
            attrs[key] = array.dtype.type(sorted(read) if len(read) > 1 else read[0])
    return attrs


def _complete(array: xr.DataArray) -> bool:
    """Whether no value is missing; False for lazy arrays, which are not read."""
    return array.chunks is None and bool(array.notnull().all())


def _fits(array: xr.DataArray, encoding: Mapping[str, Any]) -> bool:
    """Whether packed integers can represent the values; False for lazy arrays, which are not read."""
    packed = np.dtype(encoding["dtype"])
    if packed.kind not in "iu":
        return True
    if array.chunks is not None:
        return False
    finite = np.isfinite(array.values)
    if not finite.any():
        return "_FillValue" in encoding
    if not finite.all() and "_FillValue" not in encoding:
        return False
    scale, offset = encoding.get("scale_factor", 1.0), encoding.get("add_offset", 0.0)
    if not (np.isfinite([scale, offset]).all() and scale):
        return False
    codes = (array.values[finite].astype("float64") - offset) / scale
    info = np.iinfo(packed)
    fill = encoding.get("_FillValue", info.min)
    if not info.min <= fill <= info.max:
        return False
    # netCDF4 rounds in single precision, so values close to half-way may be rounded in either direction.
    return bool(
        codes.min() > info.min - HALF
        and codes.max() < info.max + HALF
        and not ("_FillValue" in encoding and (np.abs(codes - float(fill)) <= 1 - HALF).any())
    )
