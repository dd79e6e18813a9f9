"""Opening a single file or store: groups, and times that cannot be decoded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import netCDF4
import xarray as xr
import zarr
from dask.array.core import normalize_chunks

from da4dvar.errors import DataError, nearest

# Largest part of a variable, in bytes, that is read at once.
PART = 2**24


def opened_raw(path: str, is_store: bool, group: str | None) -> xr.Dataset:
    """Open a file or store lazily; times that cannot be decoded stay numbers.

    Parameters
    ----------
    path : str
        NetCDF file or Zarr store.
    is_store : bool
        Whether it is a Zarr store.
    group : str, optional
        Group to open, such as ``PRODUCT`` or ``science/data``; by default the root.

    Returns
    -------
    Dataset
        Variables of the group, with the coordinates of the groups that contain it.

    Raises
    ------
    DataError
        If there is no such group, or the root has no variables but groups do.
    """
    group = (group or "").strip("/")
    ds = open_group(path, is_store, group) if not group or group in groups_of(path, is_store) else None
    if ds is None or (not group and not ds.data_vars):
        known = groups_of(path, is_store)
        if ds is None:
            raise DataError(f"{path}: there is no group {group!r} with variables: {nearest(group, known)}")
        if known:
            raise DataError(
                f"{path}: its variables are in groups ({', '.join(known)}); choose one with --group NAME"
            )
    parts = group.split("/")
    for k in range(len(parts) if group else 0):
        outer = open_group(path, is_store, "/".join(parts[:k]))
        more = [d for d in ds.dims if d in outer.variables and d not in ds.variables]
        ds = ds.assign_coords({d: outer[d].variable for d in more if outer[d].dims == (d,)})
        # Title and history of the file hold for its groups.
        ds.attrs = outer.attrs | ds.attrs
    return ds


def is_large(array: xr.DataArray) -> bool:
    """Whether a variable of numbers is too large to be read at once."""
    return array.dtype.kind in "iufb" and array.nbytes > PART


def in_parts(ds: xr.Dataset) -> xr.Dataset:
    """Return a data set whose large variables are read part by part, when they are needed."""
    return ds.assign({n: parted(a) for n, a in ds.data_vars.items() if a.chunks is None and is_large(a)})


def parted(array: xr.DataArray) -> xr.DataArray:
    """Return a variable that is read in parts, which are whole chunks of the file where these are small."""
    known = array.encoding.get("preferred_chunks", {})
    chunks = normalize_chunks(
        "auto",
        array.shape,
        PART,
        array.dtype,
        tuple((min(known.get(d, n), n),) for d, n in array.sizes.items()) if known else None,
    )
    return array.chunk(dict(zip(array.dims, chunks, strict=True)))


def open_group(path: str, is_store: bool, group: str) -> xr.Dataset:
    """Open a group; times in units that xarray does not know stay numbers with these units.

    Raises
    ------
    DataError
        If the scale or the offset of a packed variable is no number.
    """

    def read(times: bool | dict[str, bool], masks: dict[str, bool] | None = None) -> xr.Dataset:
        options: dict[str, Any] = {"group": group or None, "decode_times": times, "decode_timedelta": False}
        with warnings.catch_warnings():
            # Several fill values, or one of another type: see intake.missing.
            warnings.simplefilter("ignore", xr.SerializationWarning)
            if is_store:
                store: xr.Dataset = xr.open_zarr(
                    path, chunks=None, consolidated=False, mask_and_scale=masks, **options
                )
                return store
            return xr.open_dataset(path, engine="netcdf4", **options)

    times: bool | dict[str, bool] = True
    try:
        ds = read(times)
    except ValueError:
        with read(False) as raw:
            times = {str(name): _is_decodable(variable) for name, variable in raw.variables.items()}
        ds = read(times)
    # Zarr 2 has a fill value of its own for chunks that were never written, 0 by default, which xarray takes
    # as a gap: dry days would be gaps, and so would the first of times that count from it.
    zeros = [str(n) for n, v in ds.variables.items() if _is_bare_zero(v)] if is_store else []
    if zeros:
        ds = read(times, dict.fromkeys(zeros, False))
        for name in zeros:
            ds[name].attrs.pop("_FillValue", None)
            ds[name].encoding["zarr_fill_value"] = 0
    for packed, variable in ds.variables.items():
        for key in ("scale_factor", "add_offset"):
            if isinstance(value := variable.encoding.get(key), str):
                raise DataError(
                    f"{path}: {packed!r} cannot be unpacked, as its attribute {key} is the text {value!r}, "
                    f"expected a number; correct it, such as with ncatted -a {key},{packed},o,d,NUMBER {path}"
                )
    return ds


def _is_bare_zero(variable: xr.Variable) -> bool:
    """Whether a variable of a Zarr store has the fill value 0 and is not packed."""
    return variable.encoding.get("_FillValue") == 0 and "scale_factor" not in variable.encoding


def _is_decodable(variable: xr.Variable) -> bool:
    """Whether xarray can decode the times of a variable."""
    if " since " not in str(variable.attrs.get("units", "")):
        return False
    try:
        xr.conventions.decode_cf_variable("time", variable, decode_timedelta=False)
    except ValueError:
        return False
    return True


def groups_of(path: str, is_store: bool) -> list[str]:
    """Return the paths of the groups that hold variables, the root excluded."""
    found: list[str] = []
    if is_store:
        root = zarr.open_group(path, mode="r")
        nested = [n for n, part in root.members(max_depth=None) if isinstance(part, zarr.Array)]
        return sorted({str(Path(n).parent) for n in nested if "/" in n})

    def walk(group: netCDF4.Dataset) -> None:
        for inner in group.groups.values():
            if inner.variables:
                found.append(inner.path.strip("/"))
            walk(inner)

    with netCDF4.Dataset(path) as file:
        walk(file)
    return found
