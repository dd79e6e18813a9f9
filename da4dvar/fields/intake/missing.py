"""Values that stand for a gap, declared by attributes or recognised by their distance from all others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, nearest
from da4dvar.fields.intake.attributes import (
    Gaps,
    Numbers,
    declared,
    equal,
    is_flag,
    numbers,
    packing,
)
from da4dvar.fields.intake.undeclared import is_code, likely, undeclared

# Numbers of values and of blocks that are read of larger lazy data.
SAMPLE, BLOCKS = 4_000_000, 8


def with_gaps(
    ds: xr.Dataset, fill_value: float | str = "auto", names: Iterable[str] | None = None
) -> tuple[xr.Dataset, list[str]]:
    """Set the values that stand for a gap to NaN.

    Parameters
    ----------
    ds : Dataset
        Data set in which gaps are recognised. Lazy data stay lazy; large ones are judged by a sample.
    fill_value : float or str
        ``"auto"``: gaps are what attributes declare, also under a misspelt name, and values that repeat and
        lie apart from all others. ``"none"``: only what attributes of the CF conventions declare. A number
        is one more value that stands for a gap. Text may combine these, separated by commas, and name the
        variable that each is for: ``"NEE=-9999,rain=none"``.
    names : iterable of str, optional
        Variables to look at; by default all data variables.

    Returns
    -------
    Dataset
        Copy in which gaps are NaN. Integers with gaps become floats, and are written as integers again.
    list of str
        One line for each kind of gap that was found in a variable and that xarray does not decode, and for
        each value that is kept but may be a gap.

    Raises
    ------
    DataError
        If `fill_value` is something else, or names a variable that is not there.

    Examples
    --------
    >>> tower = xr.Dataset({"NEE": ("time", [-3.0, -9999.0, -9999.0, 2.5, 1.0])})
    >>> data, notes = with_gaps(tower)
    >>> data.NEE.values
    array([-3. ,  nan,  nan,  2.5,  1. ])
    >>> print(notes[0].partition(";")[0])
    NEE: 2 values of -9999 lie apart from all others (-3 to 2.5) and are taken as gaps
    """
    chosen = choices(fill_value, ds)
    out, notes, used = ds.copy(), [], set()
    for name in map(str, ds.data_vars if names is None else names):
        array = ds[name]
        if array.dtype.kind not in "iuf" or not array.size:
            continue
        given = chosen.get(name, []) + chosen.get("", [])
        guess = "none" not in given
        values, part = looked_at(array)
        gaps, lines = declared(array, values, guess)
        for mark in (float(m) for m in given if m not in ("none", "auto")):
            if count := int(equal(values, mark).sum()):
                used.add(mark)
                gaps.marks.append(mark)
                lines.append(f"{count} values of {mark:.7g} are gaps")
        if guess and not is_flag(array, values):
            marks, found = undeclared(name, values[gaps.kept(values)], likely(array))
            gaps.marks += marks
            lines += found
            if array.encoding.get("zarr_fill_value") == 0 and 0 not in gaps.marks and (values == 0).any():
                lines.append(
                    f"{(values == 0).sum()} values of 0, the fill value of the Zarr store, do not lie apart "
                    f"from the others and are kept; if they are gaps, use --fill-value {name}=0"
                )
        notes += [f"{name}: {line}{part}" for line in lines]
        if gaps != Gaps():
            out[name] = masked(array, gaps)
    unused = {m for each in chosen.values() for m in each if isinstance(m, float)} - used
    notes += [f"no variable has the fill value {mark:.7g}" for mark in sorted(unused)]
    return out, notes


def choices(fill_value: float | str, ds: xr.Dataset) -> dict[str, list[float | str]]:
    """Return the choices for each variable, and for all under the empty name.

    Examples
    --------
    >>> choices("auto, -99, rain=none", xr.Dataset({"rain": 0.0}))
    {'': ['auto', -99.0], 'rain': ['none']}
    """
    out: dict[str, list[float | str]] = {}
    for part in fill_value.split(",") if isinstance(fill_value, str) else [fill_value]:
        name, _, value = str(part).strip().rpartition("=")
        found: list[float | str] = list(numbers(value)) or [v for v in ("auto", "none") if v == value]
        if len(found) != 1:
            raise DataError(f"fill value {value!r}: expected a number, 'auto' or 'none'")
        if name and name not in ds.variables:
            raise DataError(f"fill value of {name!r}: {nearest(name, map(str, ds.data_vars))}")
        out.setdefault(name, []).extend(found)
    return out


def looked_at(array: xr.DataArray) -> tuple[Numbers, str]:
    """Return the finite values of an array, or of a sample of large lazy data, and words that say so."""
    part = ""
    if array.size <= SAMPLE or array.variable._in_memory:
        values = np.asarray(array.values)
    elif array.chunks is not None:
        blocks = array.data.blocks
        which = np.unique(np.linspace(0, blocks.size - 1, BLOCKS).astype(int))
        held = [np.asarray(blocks[np.unravel_index(k, blocks.shape)]).ravel() for k in which]
        values = np.concatenate([h[:: max(1, h.size * len(held) // SAMPLE)] for h in held])
        part = f" (judged by {len(held)} of {blocks.size} blocks)"
    else:
        first = str(array.dims[0])
        which = np.unique(np.linspace(0, array.sizes[first] - 1, BLOCKS).astype(int))
        values = array.isel({first: which}).values
        part = f" (judged by {len(which)} of {array.sizes[first]} entries of {first!r})"
    values = values.ravel()
    return values[np.isfinite(values)], part


def masked(array: xr.DataArray, gaps: Gaps) -> xr.DataArray:
    """Return an array whose gaps are NaN, with an encoding that can represent them."""
    if array.chunks is None and not array.variable._in_memory:
        array = array.chunk()
    out = array.where(gaps.kept(array))
    out.encoding = {k: v for k, v in array.encoding.items() if k != "missing_value"}
    if array.dtype.kind in "iu":
        out.encoding.setdefault("dtype", array.dtype)
    kind = np.dtype(out.encoding.get("dtype", out.dtype))
    present = numbers(array.encoding.get("missing_value", ()))[:1]
    if out.encoding.get("_FillValue") is None:
        scale, offset = packing(array) or (1.0, 0.0)
        stored = [
            round((m - offset) / scale, 6) for m in gaps.marks if kind.kind in "iu" or is_code(m)
        ] + present
        if kind.kind in "iu":
            info = np.iinfo(kind)
            stored = [s for s in stored if s == round(s) and info.min <= s <= info.max]
            stored.append(info.min if kind.kind == "i" else info.max)
        else:
            stored.append(np.nan)
        out.encoding["_FillValue"] = kind.type(stored[0])
    return out
