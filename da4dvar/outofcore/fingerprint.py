"""Fingerprint of a source and the options, to detect whether they changed since a run began."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from da4dvar.errors import DataError


def fingerprint(ds: xr.Dataset, files: Sequence[str]) -> dict[str, Any]:
    """Return sizes and times of files, shapes of variables and hashes of coordinates, without reading data.

    Parameters
    ----------
    ds : Dataset
        Data set as opened.
    files : sequence of str
        Paths of the NetCDF files or Zarr stores.

    Returns
    -------
    dict
        Fingerprint of values that JSON can hold.
    """
    return {
        "files": {str(Path(f).resolve()): _stat(f) for f in files},
        "variables": {
            str(n): [str(v.dtype), [str(d) for d in v.dims], list(v.shape)] for n, v in ds.variables.items()
        },
        "coordinates": {
            str(d): hashlib.sha256(repr(ds[d].values.tolist()).encode()).hexdigest() for d in ds.indexes
        },
    }


def check_unchanged(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that two fingerprints are equal.

    Raises
    ------
    DataError
        If they differ; the message names what changed.
    """
    for what, said in (
        ("coordinates", "has other coordinates"),
        ("variables", "has other sizes or types"),
        ("files", "was modified or replaced"),
    ):
        if then.get(what) != now[what]:
            keys = then.get(what, {}).keys() | now[what].keys()
            changed = sorted(k for k in keys if then.get(what, {}).get(k) != now[what].get(k))
            raise DataError(
                f"the source {said} since the interrupted run began ({', '.join(changed[:3])}); "
                "start over with --overwrite, or restore it"
            )


def check_settings(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that had other options.

    Raises
    ------
    DataError
        If an option is another.
    """
    for name, value in now.items():
        if then.get(name) != value:
            raise DataError(
                f"{name} is {value!r}, but the interrupted run began with {then.get(name)!r}; "
                "give the same, or start over with --overwrite"
            )


def _stat(path: str) -> list[int]:
    """Return the size in bytes, the latest modification time in nanoseconds, and the number of files."""
    if not os.path.isdir(path):
        found = [os.stat(path)] if os.path.exists(path) else []
    else:
        found = [os.stat(os.path.join(f, n)) for f, _, names in os.walk(path) for n in names]
    return [sum(s.st_size for s in found), max((s.st_mtime_ns for s in found), default=0), len(found)]
