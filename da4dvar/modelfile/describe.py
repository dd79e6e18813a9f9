"""Descriptions of a model or a data set, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.fields.files.store import loaded, open_dataset
from da4dvar.fields.labels.cf import is_dates, spacing, uneven
from da4dvar.modelfile.filling import filling_of
from da4dvar.modelfile.header import read_shapes
from da4dvar.modelfile.shipped import find
from da4dvar.modelfile.summary import parameters

# Largest number of values in memory at once.
PART = 2**24


def describe(file: str, group: str | None = None, dim: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe a model file, a shipped model or a data set.

    Parameters
    ----------
    file : str
        Path of a model file or data set, or name of a shipped model.
    group : str, optional
        Group of a data set that holds the variables.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension of a data set.

    Returns
    -------
    dict
        The header, size and number of parameters of a model, or the dimensions, variables and attributes of
        a data set and what would be filled.

    Raises
    ------
    ModelError
        If the model does not exist or is broken.
    DataError
        If the data set cannot be read.
    """
    if is_data(file):
        with open_dataset(file, group) as ds:
            return {**of_dataset(ds, file), "filling": filling_of(ds, dim)}
    path = find(file)
    header, shapes = read_shapes(path)
    shown = {k: v for k, v in header.items() if k not in ("format", "labels")}
    return {
        "model": path.name,
        "bytes": path.stat().st_size,
        "parameters": parameters(shapes),
        **shown,
    }


def is_data(file: str) -> bool:
    """Whether a path is that of a data set: by its suffix or, if the file exists, by what it holds."""
    path = Path(file)
    if path.suffix in (".nc", ".zarr") or "*" in file or "://" in file or path.is_dir():
        return True
    if not path.is_file() or path.suffix == ".safetensors":
        return False
    with path.open("rb") as opened:
        # The header of a model file is JSON, after its length in eight bytes.
        return opened.read(9)[8:] != b"{"


def of_dataset(ds: xr.Dataset, path: str) -> dict[str, Any]:
    """Describe dimensions with their ranges, and variables with their gaps; errors name `path`."""
    dims = {}
    for dim, size in ds.sizes.items():
        entry: dict[str, Any] = {"size": size}
        if dim in ds.coords and size:
            values = loaded(ds[dim], path).values
            entry |= {"first": str(values[0]), "last": str(values[-1]), "step": spacing(ds[dim])}
            entry |= {"dates": is_dates(ds[dim]), "uneven": uneven(ds[dim])}
        dims[str(dim)] = entry
    variables = {}
    for name, array in ds.data_vars.items():
        entry = {"dims": [str(d) for d in array.dims], "dtype": str(array.dtype)}
        if "units" in array.attrs:
            entry["units"] = str(array.attrs["units"])
        if array.dtype.kind in "fiu" and array.size:
            share, low, high = extent(array, path)
            entry["missing"] = f"{100 * (1 - share):.1f} %"
            if share:
                entry["range"] = [low, high]
        variables[str(name)] = entry
    return {
        "dimensions": dims,
        "variables": variables,
        "attributes": {k: str(v) for k, v in ds.attrs.items()},
    }


def extent(array: xr.DataArray, path: str) -> tuple[float, float, float]:
    """Return the fraction of finite values, the minimum and the maximum, reading the array in parts."""
    count, low, high = 0, np.inf, -np.inf
    first = next(iter(array.dims), None)
    length = array.sizes[first] if first is not None else 1
    step = max(1, PART * length // array.size)
    for start in range(0, length, step):
        part = array if first is None else array.isel({first: slice(start, start + step)})
        values = loaded(part, path).values
        known = values[np.isfinite(values)]
        if known.size:
            count += known.size
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    return count / array.size, low, high
