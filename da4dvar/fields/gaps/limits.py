"""Limits on which gaps are filled, with the words and the definitions of xarray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import is_dates

AREAS = ("inside", "outside")
MaxGap: TypeAlias = str | float | np.timedelta64 | pd.Timedelta


def within_limits(
    observed: xr.DataArray,
    dims: Sequence[str],
    max_gap: MaxGap | None = None,
    limit_area: str | None = None,
) -> xr.DataArray:
    """Return true at the missing values that may be filled.

    Parameters
    ----------
    observed : DataArray of bool
        True where there is an observation.
    dims : sequence of str
        Dimensions along which gaps are measured. A value is filled if its gap along at least one of them
        is within the limits.
    max_gap : str, number or timedelta, optional
        Largest gap to fill: the difference of the coordinate between the observations on both sides of the
        gap or, for a gap at an end of the record, between the last observation and the end. A string such as
        "5D" or "12h" for dates, and a number for any other coordinate. With several dimensions, a duration
        is measured along those that hold dates, and a number along the others.
    limit_area : {"inside", "outside"}, optional
        Fill only gaps between observations, or only those that are not between observations.

    Returns
    -------
    DataArray of bool
        False where observed.

    Raises
    ------
    DataError
        If a limit is invalid, or does not match the coordinate.

    Examples
    --------
    >>> seen = xr.DataArray([True, False, True, False, False, False, True, False], dims="x")
    >>> within_limits(seen, ["x"], max_gap=2).values.astype(int)
    array([0, 1, 0, 0, 0, 0, 0, 1])
    >>> within_limits(seen, ["x"], limit_area="inside").values.astype(int)
    array([0, 1, 0, 1, 1, 1, 0, 0])
    """
    if limit_area is not None and limit_area not in AREAS:
        raise DataError(f"limit_area is {limit_area!r}, expected 'inside' or 'outside'")
    for dim in dims:
        if dim not in observed.dims:
            raise DataError(
                f"variable {observed.name!r} has no dimension {dim!r}; "
                f"it has {', '.join(map(str, observed.dims))}"
            )
    if max_gap is None and limit_area is None:
        return ~observed
    if isinstance(max_gap, str):
        max_gap = _number_or_duration(max_gap)
    found = observed & False
    for dim in _measured(observed, dims, max_gap):
        position, limit = _positions(observed, dim, max_gap)
        found = found | xr.apply_ufunc(
            _allowed,
            observed if observed.chunks is None else observed.chunk({dim: -1}),
            input_core_dims=[[dim]],
            output_core_dims=[[dim]],
            kwargs={"position": position, "limit": limit, "area": limit_area},
            dask="parallelized",
            output_dtypes=[bool],
        ).transpose(*observed.dims)
    return found & ~observed


def _measured(observed: xr.DataArray, dims: Sequence[str], max_gap: MaxGap | None) -> Sequence[str]:
    """Return the dimensions along which a gap can be compared with `max_gap`, or all if there are none."""
    if max_gap is None:
        return dims
    dated = [d for d in dims if d in observed.coords and is_dates(observed[d])]
    return ([d for d in dims if d not in dated] if _is_number(max_gap) else dated) or dims


def _is_number(max_gap: MaxGap | None) -> bool:
    return isinstance(max_gap, int | float | np.number) and not isinstance(max_gap, np.timedelta64)


def _positions(observed: xr.DataArray, dim: str, max_gap: MaxGap | None) -> tuple[np.ndarray, float]:
    """Return the coordinate as numbers, and the largest gap in the same unit."""
    coordinate = observed[dim] if dim in observed.coords else None
    dates = coordinate is not None and is_dates(coordinate)
    if coordinate is None or (coordinate.dtype.kind not in "iufM" and not dates):
        position = np.arange(float(observed.sizes[dim]))
    elif dates:
        instants = coordinate.values
        position = (
            np.array([t.total_seconds() for t in instants - instants[0]])
            if instants.dtype == object
            else ((instants - instants[0]) / np.timedelta64(1, "s"))
        )
    else:
        position = coordinate.values.astype(float)
    if max_gap is None:
        return position, np.inf
    if _is_number(max_gap):
        if dates:
            raise DataError(
                f"max_gap is {max_gap:g}, but {dim!r} holds dates; give a duration such as '5D' or '12h'"
            )
        limit = float(max_gap)
    else:
        if not dates:
            raise DataError(
                f"max_gap is {max_gap}, but {dim!r} holds no dates; give a number in units of the coordinate"
            )
        limit = pd.Timedelta(max_gap).total_seconds()
    if not limit > 0:
        raise DataError(f"max_gap is {max_gap}, expected more than 0")
    return position, limit


def _number_or_duration(text: str) -> float | pd.Timedelta:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return pd.Timedelta(text if text[:1].isdigit() else f"1{text}")
    except ValueError:
        raise DataError(
            f"max_gap is {text!r}, expected a duration such as '5D' or '12h', or a number"
        ) from None


def _allowed(seen: np.ndarray, position: np.ndarray, limit: float, area: str | None) -> np.ndarray:
    steps = np.arange(seen.shape[-1])
    before = np.maximum.accumulate(np.where(seen, steps, -1), axis=-1)
    after = np.minimum.accumulate(np.where(seen, steps, steps.size)[..., ::-1], axis=-1)[..., ::-1]
    inside = (before >= 0) & (after < steps.size)
    size = np.abs(position[after.clip(max=steps.size - 1)] - position[before.clip(min=0)])
    allowed: np.ndarray = size <= limit * (1 + 1e-9)
    if area == "inside":
        allowed &= inside
    elif area == "outside":
        allowed &= ~inside
    return allowed
