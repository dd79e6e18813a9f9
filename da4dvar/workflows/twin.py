"""Gaps and baselines for whole data sets: what the command line does besides learning."""

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
from da4dvar.fields.labels.cf import dims_by_role, numeric
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
) -> xr.Dataset:
    """A data set with a part of every variable hidden, by one pattern for all of them.

    Parameters
    ----------
    ds : Dataset
    kind : str
        A gap pattern: see :mod:`da4dvar.fields.gaps.patterns`.
    fraction : float
        Part of the cells that stays; not used by "transplanted" and "squares".
    block : mapping of str to str, optional
        The size of a block of kind "blocks", or of a square.
    number : int
        Squares to an image of kind "squares".
    masks : str, optional
        FILE:VARIABLE for kind "transplanted".
    select, select_masks : mapping of str to str, optional
        FIRST:LAST of a dimension, the part of the data or of the masks to take.
    dim : mapping of str to str, optional
        The names of the dimensions time, lat and lon, or of those of the masks, in `ds`.
    seed : int
    """
    for name, ends in (select or {}).items():
        ds = cut(ds, name, ends)
    names = numeric(ds)
    if not names:
        raise DataError("there is no variable of numbers with gaps to come; nothing to hide")
    first = ds[names[0]]
    sizes = {str(d): n for d, n in first.sizes.items()}
    roles = dims_by_role(first, dim or {})
    pattern = pattern_of(kind, fraction, block or {}, number, masks, select_masks or {}, roles)
    observed = pattern.draw(np.random.default_rng(seed), sizes)
    mask = xr.DataArray(observed, dims=list(sizes))
    out = ds.copy()
    for name in names:
        if not set(ds[name].dims) >= set(mask.dims):
            raise DataError(f"variable {name!r} lacks a dimension of {first.name!r}; hide them one by one")
        hidden = ds[name].where(mask).transpose(*ds[name].dims)
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
    """The gap pattern that a command line asks for."""
    if kind == "transplanted":
        if masks is None or ":" not in masks:
            raise DataError("gaps of kind 'transplanted' need --masks FILE:VARIABLE")
        path, _, name = masks.rpartition(":")
        source = pick(load_dataset(path), name)
        for one, ends in select_masks.items():
            source = cut(source, one, ends)
        source = source.rename({m: u for m, u in roles.items() if m in source.dims and m != u})
        arguments = {"masks": source.fillna(0) != 0, "time": roles.get("time", "time"), "flip": True}
        pattern: GapPattern = call(class_of("gaps", kind), arguments, f"gaps of kind {kind!r}")
        return pattern
    # Each kind takes of these what it has arguments for.
    offered: Table = {k: roles.get(d, d) for k, d in (("time", "time"), ("along", "lat"), ("across", "lon"))}
    offered |= {"fraction": fraction, "number": number}
    offered["size"] = {d: whole(n, f"--block {d}") for d, n in block.items()}
    drawn: GapPattern = build("gaps", {"kind": kind}, offered)
    return drawn


def cut(data: Labelled, dim: str, ends: str) -> Labelled:
    """The part from FIRST to LAST: labels, or positions where there are none; either end may be left open."""
    if dim not in data.dims:
        raise DataError(f"there is no dimension {dim!r}: {nearest(dim, map(str, data.dims))}")
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
                f"{dim}={ends}: expected labels like {data[dim].values[0]}, in the order that they have there"
            ) from None
    if part.sizes[dim] == 0:
        raise DataError(f"nothing lies between {first} and {last} along {dim!r}")
    return part


def _label(text: str, dim: str, kind: str) -> str | float:
    """A label of a coordinate as it is written on the command line."""
    if kind not in "iuf":
        return text
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{dim}: got {text!r}, expected a number") from None


def whole(text: str, what: str) -> int:
    """A whole number from the command line."""
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{what}: got {text!r}, expected a whole number") from None
