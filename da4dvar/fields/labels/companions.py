"""Variables that describe a filled variable: flag, error bars, samples, and the cost of windows."""

from __future__ import annotations

import re
from collections.abc import Iterable

import xarray as xr

from da4dvar.fields.labels.samples import samples_name

BOUND = re.compile(r"(?P<name>.+)_(?P<end>lower|upper)_(?P<percent>\d+([._]\d+)?)")


def companions(ds: xr.Dataset) -> set[str]:
    """Names of variables that describe another variable or the windows, and are not scored.

    Examples
    --------
    >>> ds = xr.Dataset({n: 0.0 for n in ("sst", "sst_std", "sst_lower_90", "sst_flag", "wind_std")})
    >>> sorted(companions(ds))
    ['sst_flag', 'sst_lower_90', 'sst_std']
    """
    names = {str(n) for n in ds.data_vars}
    out = {n for n in names if n.endswith("_flag")}
    out |= {n for n in names if any(str(d).startswith("window_") for d in ds[n].dims)}
    out |= {samples_name(n) for n in names} & names
    return out | {bar for name in names for bar in error_bars(name, names)}


def error_bars(name: str, names: Iterable[object]) -> list[str]:
    """Names of the standard deviation and the interval ends of a variable among given names."""
    out = []
    for other in map(str, names):
        match = BOUND.fullmatch(other)
        if other == f"{name}_std" or (match is not None and match["name"] == name):
            out.append(other)
    return out
