"""Matching of arrays by their coordinates, which may differ by rounding or by a turn of longitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, warn
from da4dvar.fields.labels.cf import geographic, is_dates

# Labels are the same within this fraction of a step, and within this fraction of a value if there is none.
WITHIN, ROUNDING = 0.01, 1e-6
# Least fraction of the cells of the smaller array that must match.
LEAST = 0.5


def aligned(arrays: Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Return arrays on the cells that all of them have, with the labels and dimension order of the first.

    Parameters
    ----------
    arrays : sequence of DataArray
        Arrays with the same dimensions. Labels match if they differ by less than a hundredth of a step;
        longitudes may differ by 360 degrees.

    Returns
    -------
    list of DataArray

    Raises
    ------
    DataError
        If the dimensions differ, or fewer than half of the cells of the smallest array match.

    Warns
    -----
    Da4dvarWarning
        If not all cells match, or longitudes were turned.

    Examples
    --------
    >>> one = xr.DataArray([1.0, 2.0], {"lat": np.array([28.1, 28.2])})
    >>> other = one.assign_coords(lat=one.lat.astype("float32"))
    >>> [array.size for array in aligned([one, other])]
    [2, 2]
    """
    first, *others = arrays
    whole = [array.size for array in arrays]
    for other in others:
        if set(other.dims) != set(first.dims):
            raise DataError(
                f"variable {first.name!r} has dimensions {', '.join(map(str, first.dims))} in "
                f"one file and {', '.join(map(str, other.dims))} in another; "
                "rename the dimensions of one file"
            )
    turned = []
    for dim in map(str, first.dims):
        places = [positions(first, other, dim) for other in others]
        turned += [dim] if any(by for _, by in places) else []
        kept = np.all([index >= 0 for index, _ in places], axis=0)
        first = taken(first, dim, np.flatnonzero(kept))
        others = [taken(other, dim, index[kept]) for other, (index, _) in zip(others, places, strict=True)]
        if dim in first.coords:
            others = [other.assign_coords({dim: first[dim]}) for other in others]
        else:
            others = [other.drop_vars(dim, errors="ignore") for other in others]
    if not first.size:
        raise DataError(
            f"the files have no coordinates in common for {first.name!r}; "
            "check that they cover the same times and places"
        )
    if first.size < LEAST * min(whole):
        raise DataError(
            f"only {first.size} of {min(whole)} cells of {first.name!r} are in both files; select the same "
            "times and places of both (labels match within a hundredth of a step)"
        )
    for dim in turned:
        warn(f"{first.name}: {dim!r} of one file was turned by 360 degrees")
    if first.size < max(whole):
        warn(f"{first.name}: compared on the {first.size} cells that the files share, of up to {max(whole)}")
    return [first, *(other.transpose(*first.dims) for other in others)]


def taken(array: xr.DataArray, dim: str, index: np.ndarray) -> xr.DataArray:
    """Return entries of an array, without a copy if these are all of them in their order."""
    return array if np.array_equal(index, np.arange(array.sizes[dim])) else array.isel({dim: index})


def positions(first: xr.DataArray, other: xr.DataArray, dim: str) -> tuple[np.ndarray, bool]:
    """Return the position in another array of each label of a dimension, -1 where there is none.

    Returns
    -------
    index : array of int
        Positions in `other`.
    turned : bool
        Whether longitudes of `other` were turned by 360 degrees.

    Raises
    ------
    DataError
        If there are no labels and the sizes differ, a label occurs twice, or calendars differ.
    """
    if dim not in first.indexes or dim not in other.indexes:
        if first.sizes[dim] != other.sizes[dim]:
            raise DataError(
                f"{dim!r} has {first.sizes[dim]} entries in one file and {other.sizes[dim]} in another, and "
                "no labels to match them; give it a coordinate"
            )
        return np.arange(first.sizes[dim]), False
    labels, theirs = first.indexes[dim], other.indexes[dim]
    if labels.equals(theirs):
        return np.arange(labels.size), False
    for index in (labels, theirs):
        if not index.is_unique:
            raise DataError(f"{dim!r} has duplicates, such as {index[index.duplicated()][0]}; drop them")
    a, b = numbers(first[dim], first[dim], dim), numbers(other[dim], first[dim], dim)
    if a is None or b is None:
        return theirs.get_indexer(labels), False
    turned = False
    step = min((s for s in (usual_step(a), usual_step(b)) if s), default=0.0)
    within = WITHIN * step or ROUNDING * max(1.0, float(np.abs(a).max()))
    if any(str(c.name) == dim for c in geographic(first.coords, "X")):
        around = (b - a.min() + within) % 360 + a.min() - within
        turned = bool((np.abs(around - b) > 1).any()) and bool(
            (nearest_positions(a, around, within) >= 0).any()
        )
        b = around if turned else b
    return nearest_positions(a, b, within), turned


def numbers(coordinate: xr.DataArray, like: xr.DataArray, dim: str) -> np.ndarray | None:
    """Return labels as numbers, of dates in seconds since the first date of `like`; None for text.

    Raises
    ------
    DataError
        If one of them holds dates and the other does not, or their calendars differ.
    """
    values, origin = coordinate.values, like.values[:1]
    if is_dates(coordinate) != is_dates(like):
        raise DataError(f"{dim!r} holds dates in one file and none in another; give both the same units")
    if is_dates(coordinate):
        try:
            apart = values - origin
        except (TypeError, ValueError):
            raise DataError(f"{dim!r} has another calendar in one file; convert one of them") from None
        if values.dtype.kind == "M":
            return np.asarray(apart / np.timedelta64(1, "s"), dtype="float64")
        return np.array([one.total_seconds() for one in apart])
    return values.astype("float64") if values.dtype.kind in "iuf" else None


def usual_step(values: np.ndarray) -> float:
    """Return the median distance of neighbouring labels; 0 for a single label."""
    return float(np.median(np.diff(np.sort(values)))) if values.size > 1 else 0.0


def nearest_positions(wanted: np.ndarray, known: np.ndarray, within: float) -> np.ndarray:
    """Return the position of the nearest of the known numbers for each wanted one, -1 if it is too far.

    Examples
    --------
    >>> nearest_positions(np.array([1.0, 2.0, 5.0]), np.array([2.001, 1.0]), 0.01)
    array([ 1,  0, -1])
    """
    order = np.argsort(known)
    ordered = known[order]
    right = np.searchsorted(ordered, wanted).clip(0, known.size - 1)
    left = (right - 1).clip(0)
    best = np.where(np.abs(ordered[left] - wanted) <= np.abs(ordered[right] - wanted), left, right)
    return np.where(np.abs(ordered[best] - wanted) <= within, order[best], -1)
