"""Gaps in whole data sets, as the command line hides them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import xarray as xr

from da4dvar.config.kinds import class_of
from da4dvar.config.registry import build, call
from da4dvar.config.tables import Table
from da4dvar.errors import DataError, nearest
from da4dvar.fields.files.store import load_dataset
from da4dvar.fields.gaps.patterns import GapPattern
from da4dvar.fields.intake.take import take_in
from da4dvar.fields.labels.cf import dims_by_role
from da4dvar.fields.labels.conform import pick

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


def hide(
    ds: xr.Dataset,
    kind: str,
    fraction: float,
    *,
    block: Mapping[str, str] | None = None,
    number: int = 3,
    masks: str | None = None,
    select: Mapping[str, str] | None = None,
    select_masks: Mapping[str, str] | None = None,
    dim: Mapping[str, str] | None = None,
    seed: int = 0,
    variable: Mapping[str, str] | None = None,
    mask: str | None = None,
    fill_value: str = "auto",
    times: str = "insert",
) -> xr.Dataset:
    """Hide a part of every field of a data set, by one pattern for all of them.

    Parameters
    ----------
    ds : Dataset
        Data set as opened.
    kind : str
        Kind of the gap pattern; see :mod:`da4dvar.fields.gaps.patterns`.
    fraction : float
        Fraction of the cells that remain; not used by "transplanted" and "squares".
    block : mapping of str to str, optional
        Size of a block of kind "blocks", or of a square.
    number : int
        Number of squares per image, for kind "squares".
    masks : str, optional
        FILE:VARIABLE with the masks, for kind "transplanted".
    select, select_masks : mapping of str to str, optional
        FIRST:LAST along a dimension: the part of the data, or of the masks, to use.
    dim : mapping of str to str, optional
        Maps ``time``, ``lat`` and ``lon``, or the dimensions of the masks, to the names in `ds`.
    seed : int
        Seed of the draw.
    variable, mask, fill_value, times
        See :func:`da4dvar.fields.intake.take.take_in`.

    Returns
    -------
    Dataset
        `ds` with NaN where a value is hidden.

    Raises
    ------
    DataError
        If there is no field, a field lacks a dimension, or an argument is malformed.
    RecipeError
        If the kind is unknown, or an argument of the pattern is out of range.
    """
    for name, ends in (select or {}).items():
        ds = cut(ds, name, ends)
    taken = take_in(
        ds, variable=variable, dim=dim, mask=mask, fill_value=fill_value, times=times, timeless=True
    )
    ds, names = taken.data, taken.fields
    first = ds[names[0]]
    sizes = {str(d): n for d, n in first.sizes.items()}
    roles = dims_by_role(first, dim or {})
    pattern = pattern_of(kind, fraction, block or {}, number, masks, select_masks or {}, roles)
    observed = pattern.draw(np.random.default_rng(seed), sizes)
    left = xr.DataArray(observed, dims=list(sizes))
    out = ds.copy()
    for name in names:
        if not set(ds[name].dims) >= set(left.dims):
            raise DataError(
                f"variable {name!r} lacks a dimension of {first.name!r}; choose one with --variable NAME=NAME"
            )
        hidden = ds[name].where(left).transpose(*ds[name].dims)
        out[name] = ds[name].copy(data=hidden.data)
    return out


def pattern_of(
    kind: str,
    fraction: float,
    block: Mapping[str, str],
    number: int,
    masks: str | None,
    select_masks: Mapping[str, str],
    roles: Mapping[str, str],
) -> GapPattern:
    """Return the gap pattern that the options of the command line describe; see :func:`hide`."""
    if kind == "transplanted":
        if masks is None or ":" not in masks:
            raise DataError("gaps of kind 'transplanted' require --masks FILE:VARIABLE")
        path, _, name = masks.rpartition(":")
        source = pick(load_dataset(path), name)
        for one, ends in select_masks.items():
            source = cut(source, one, ends)
        source = source.rename({m: u for m, u in roles.items() if m in source.dims and m != u})
        arguments = {"masks": source.fillna(0) != 0, "time": roles.get("time", "time"), "flip": True}
        pattern: GapPattern = call(class_of("gaps", kind), arguments, f"gaps of kind {kind!r}")
        return pattern
    # Each kind uses those of these for which it has an argument.
    offered: Table = {k: roles.get(d, d) for k, d in (("time", "time"), ("along", "lat"), ("across", "lon"))}
    offered |= {"fraction": fraction, "number": number}
    offered["size"] = {d: whole(n, f"--block {d}") for d, n in block.items()}
    drawn: GapPattern = build("gaps", {"kind": kind}, offered)
    return drawn


def cut(data: Labelled, dim: str, ends: str) -> Labelled:
    """Select FIRST:LAST by label, or by position without a coordinate; either end may be left open."""
    if dim not in data.dims:
        raise DataError(f"there is no dimension {dim!r}; {nearest(dim, map(str, data.dims))}")
    first, colon, last = ends.partition(":")
    if not colon:
        raise DataError(f"{dim}={ends}: expected {dim}=FIRST:LAST")
    if dim not in data.coords:
        end = whole(last, dim) + 1 if last else None
        part = data.isel({dim: slice(whole(first, dim) if first else None, end)})
    else:
        labels = [None if not end else _label(end, dim, data[dim].dtype.kind) for end in (first, last)]
        try:
            part = data.sel({dim: slice(*labels)})
        except (TypeError, ValueError, KeyError):
            raise DataError(
                f"{dim}={ends}: expected labels like {data[dim].values[0]}, in the order of the data"
            ) from None
    if part.sizes[dim] == 0:
        raise DataError(f"there are no data between {first} and {last} along {dim!r}")
    return part


def _label(text: str, dim: str, kind: str) -> str | float:
    """Convert a label from the command line to the type of its coordinate."""
    if kind not in "iuf":
        return text
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{dim}: got {text!r}, expected a number") from None


def whole(text: str, what: str) -> int:
    """Convert text from the command line to a whole number; `what` names it in the error message."""
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{what}: got {text!r}, expected a whole number") from None
