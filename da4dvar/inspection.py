"""What a model or a data set is, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.fields.signature import spacing
from da4dvar.fields.store import load_dataset


def describe(file: str) -> dict[str, Any]:
    """A model file or shipped model, or else a data set."""
    if Path(file).suffix in (".nc", ".zarr") or "*" in file:
        return of_dataset(load_dataset(file))
    from da4dvar.modelfile import find, read

    path = find(file)
    header, arrays = read(path)
    weights = {k: v for k, v in arrays.items() if k.startswith("model.")}
    shown = {k: v for k, v in header.items() if k not in ("format", "labels")}
    return {
        "model": path.name,
        "bytes": path.stat().st_size,
        "parameters": int(sum(v.size for v in weights.values())),
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


def text_of(table: Any, depth: int = 0) -> str:
    """Tables as indented lines."""
    lines = []
    for key, value in table.items():
        indent = "  " * depth
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}", text_of(value, depth + 1)]
        else:
            lines.append(f"{indent}{key}: {value}")
    return "\n".join(lines)
