"""What a model or a data set is, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.fields.signature import is_dates, spacing
from da4dvar.fields.store import load_dataset
from da4dvar.model_header import read_shapes
from da4dvar.model_summary import parameters
from da4dvar.shipped import find


def describe(file: str) -> dict[str, Any]:
    """A model file or shipped model, or else a data set."""
    if Path(file).suffix in (".nc", ".zarr") or "*" in file:
        return of_dataset(load_dataset(file))
    path = find(file)
    header, shapes = read_shapes(path)
    shown = {k: v for k, v in header.items() if k not in ("format", "labels")}
    return {
        "model": path.name,
        "bytes": path.stat().st_size,
        "parameters": parameters(shapes),
        **shown,
    }


def of_dataset(ds: xr.Dataset) -> dict[str, Any]:
    """Dimensions with their ranges, and variables with their gaps."""
    dims = {}
    for dim, size in ds.sizes.items():
        entry: dict[str, Any] = {"size": size}
        if dim in ds.coords and size:
            values = ds[dim].values
            entry |= {"first": str(values[0]), "last": str(values[-1]), "step": spacing(ds[dim])}
            entry["dates"] = is_dates(ds[dim])
        dims[str(dim)] = entry
    variables = {}
    for name, array in ds.data_vars.items():
        entry = {"dims": [str(d) for d in array.dims], "dtype": str(array.dtype)}
        if "units" in array.attrs:
            entry["units"] = str(array.attrs["units"])
        if array.dtype.kind in "fiu" and array.size:
            known = np.isfinite(array.values)
            entry["missing"] = f"{100 * (1 - known.mean()):.1f} %"
            if known.any():
                entry["range"] = [float(array.values[known].min()), float(array.values[known].max())]
        variables[str(name)] = entry
    return {
        "dimensions": dims,
        "variables": variables,
        "attributes": {k: str(v) for k, v in ds.attrs.items()},
    }
