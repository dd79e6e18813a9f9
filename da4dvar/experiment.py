"""Gaps and baselines for whole data sets: what the command line does besides learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from da4dvar.baselines import Baseline
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof_interpolation import EofInterpolation
from da4dvar.baselines.eof_iteration import EofIteration
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.config import Table, arguments_of, build, call, class_of
from da4dvar.errors import DataError, nearest, warn
from da4dvar.fields.conform import check_finite, pick
from da4dvar.fields.gaps import GapPattern
from da4dvar.fields.signature import axis_role, steps, uneven
from da4dvar.fields.store import load_dataset
from da4dvar.fields.units import converted

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)

METHODS: dict[str, Callable[..., Baseline]] = {
    "linear": Linear,
    "climatology": Climatology,
    "optimal_interpolation": OptimalInterpolation,
    "eof_iteration": EofIteration,
    "eof_interpolation": EofInterpolation,
    "nearest_stations": NearestStations,
    "sparse_coding": SparseCoding,
}
# Methods that look at the times themselves, where others count steps.
BY_TIME = ("climatology", "optimal_interpolation")
WITH_HISTORY = ("climatology", "eof_interpolation", "sparse_coding")
ROLES = {"time": "T", "lat": "Y", "lon": "X"}


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
        A gap pattern: see :mod:`da4dvar.fields.gaps`.
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
    sizes = {d: whole(n, f"--block {d}") for d, n in block.items()}
    table: Table = {"kind": kind, "fraction": fraction}
    if kind == "squares":
        table = {"kind": kind, "number": number, "size": sizes}
    if kind == "tracks":
        table |= {k: roles.get(d, d) for k, d in (("time", "time"), ("along", "lat"), ("across", "lon"))}
    if kind == "blocks":
        table["size"] = sizes
    drawn: GapPattern = build("gaps", table)
    return drawn


def dims_by_role(array: xr.DataArray, given: Mapping[str, str]) -> dict[str, str]:
    """The names of time, lat and lon in an array: as given, the same, or by their CF axis."""
    names = dict(given)
    for usual, role in ROLES.items():
        alike = [str(d) for d in array.dims if d in array.coords and axis_role(array[d]) == role]
        if usual not in names and usual not in array.dims and len(alike) == 1:
            names[usual] = alike[0]
    return names


def fill_classically(
    ds: xr.Dataset,
    method: str,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    history: str | None = None,
) -> xr.Dataset:
    """The variables of a data set filled by a baseline.

    Parameters
    ----------
    ds : Dataset
    method : str
        A baseline: see :mod:`da4dvar.baselines`.
    variable : mapping of str to str
        Names of the result and of their sources in `ds`; every variable of numbers if empty.
    dim : mapping of str to str
        The name of the dimension time in `ds`, where it is another.
    history : str, optional
        Path of other years, for the climatology and the EOFs, or of complete images.
    """
    if method not in METHODS:
        raise DataError(f"there is no method {method!r}: {nearest(method, METHODS)}")
    if variable:
        ds = xr.Dataset({n: pick(ds, s).rename(n) for n, s in variable.items()}, attrs=ds.attrs)
    names = numeric(ds)
    if not names:
        raise DataError("there is no variable of numbers to fill")
    time = dims_by_role(ds[names[0]], dim).get("time", "time")
    timeless = "time" not in arguments_of(METHODS[method])
    for name in names:
        if not ds[name].size:
            raise DataError(f"variable {name!r} has no entries; there is nothing to fill")
        check_finite(ds[name], name)
        if not timeless and time not in ds[name].dims:
            raise DataError(
                f"variable {name!r} has no dimension {time!r} (it has "
                f"{', '.join(map(str, ds[name].dims))}); say which is time with --dim time=NAME"
            )
    if not timeless:
        check_times(ds[names[0]], time, method)
    arguments: dict[str, Any] = {} if timeless else {"time": time}
    if history is not None:
        if method not in WITH_HISTORY:
            raise DataError(f"--history is for {' and '.join(WITH_HISTORY)}, not for {method}; leave it out")
        arguments["history"] = alike(load_dataset(history), ds, names)
    elif timeless:
        raise DataError(f"{method} learns from complete images; name a file of them with --history")
    filled = METHODS[method](**arguments).interpolate(ds[names])
    for name in (n for n in names if f"{n}_std" in filled):
        packing = filled[name].encoding
        filled[name] = filled[name].assign_attrs(ancillary_variables=f"{name}_std")
        filled[name].encoding = packing
    return ds.assign(filled.data_vars)


def check_times(array: xr.DataArray, time: str, method: str) -> None:
    """Refuse times that are not in order, and say where a method that counts steps has uneven ones.

    Raises
    ------
    DataError
    """
    apart = steps(array[time]) if time in array.coords else None
    if apart is None or not apart.size:
        return
    if not ((apart > 0).all() or (apart < 0).all()):
        raise DataError(
            f"{time!r} is not monotonic or has duplicates; sort it and drop duplicates "
            f"(ds.sortby({time!r}).drop_duplicates({time!r}))"
        )
    if method not in BY_TIME and uneven(array[time]):
        warn(
            f"steps of {time!r} are uneven, and {method} counts steps; reindex the data set so that what is "
            "missing is NaN"
        )


def alike(history: xr.Dataset, ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Other years of some variables, in the units of a data set.

    Raises
    ------
    DataError
        If one is missing, or in a unit that cannot be converted.
    """
    return xr.Dataset({n: converted(pick(history, n), ds[n].attrs.get("units"))[0] for n in names})


def numeric(ds: xr.Dataset) -> list[str]:
    """The variables that hold real numbers."""
    return [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f" and ds[n].ndim]


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
