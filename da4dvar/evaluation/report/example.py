"""Choice of the slice of a data set that a figure shows: a typical error and many scored cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.report.part import number
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.labels.cf import is_dates
from da4dvar.fields.scores.metrics import rmse

# Largest number of steps in a space-time image or a series; print cannot show more.
LONGEST = 200


@dataclass(frozen=True)
class Example:
    """A slice of a variable by dimension, and the reason for its choice."""

    where: dict[str, int | slice]
    reason: str


def example_of(one: Comparison, shape: Shape, at: str | None) -> Example:
    """Choose the slice to draw: one time of a grid, otherwise one period; and one index of each repetition.

    The slice is that with the most scored cells among those whose RMSE is between the 40th and the 60th
    percentile. A slice with few observations would show little, so that slices with at least half the median
    number of observations are preferred.

    Parameters
    ----------
    one : Comparison
        Estimate and truth.
    shape : Shape
        Roles of the dimensions.
    at : str or None
        Time to draw; chosen by the error if None.

    Returns
    -------
    Example

    Raises
    ------
    DataError
        If `at` is not among the times.
    """
    time, grid, over = shape.time, len(shape.space) == 2, list(shape.space)
    square = ((one.estimate - one.truth).astype("float64") ** 2).where(one.scored)
    counts = [one.scored.sum(over), square.sum(over)]
    counts.append(counts[0] if one.observed is None else one.observed.sum(over))
    fixed: dict[str, int | slice] = {}
    if time is not None and at is not None:
        k = index_at(one.estimate[time], at)
        fixed[time] = k if grid else around(k, one.estimate.sizes[time])
        counts = [_cut(a, fixed, time) for a in counts]
    elif time is not None and not grid:
        counts = [_blocks(a, time, np.arange(0, one.estimate.sizes[time], LONGEST)) for a in counts]
    where, reason = _usual(counts[0], counts[1], counts[2], "times" if grid else "periods")
    if time is not None and time in where and not grid:
        first = where.pop(time) * LONGEST
        fixed[time] = slice(first, min(first + LONGEST, one.estimate.sizes[time]))
    if at is not None:
        reason = f"the time given with --at, {reason}"
    return Example({**fixed, **where}, reason)


def _usual(
    count: xr.DataArray, square: xr.DataArray, seen: xr.DataArray, said: str
) -> tuple[dict[str, int], str]:
    """Choose one of the candidates, all on the same dimensions; return its indexes and the reason."""
    cells, error = count.values.ravel(), np.full(count.size, np.nan)
    known = cells > 0
    error[known] = np.sqrt(square.values.ravel()[known] / cells[known])
    if not known.any():
        return dict.fromkeys(map(str, count.dims), 0), "the first, since there are no scored cells"
    observed = seen.values.ravel()
    able = known & (observed >= np.median(observed[observed > 0]) / 2) if observed.any() else known
    able = able if able.any() else known
    low, high = np.quantile(error[able], [0.4, 0.6])
    among = able & (error >= low) & (error <= high)
    # Of very few candidates, none may be in the middle fifth.
    among = among if among.any() else able
    chosen = int(np.argmax(np.where(among, cells, -1)))
    number_of = np.unravel_index(chosen, count.shape) if count.ndim else ()
    where = {str(d): int(k) for d, k in zip(count.dims, number_of, strict=True)}
    has = f"RMSE {number(float(error[chosen]))} over {int(cells[chosen])} scored cells"
    if able.sum() < 2:
        return where, has
    return where, (
        f"{has}. A typical case: of {int(able.sum())} {said}{_with(count)}, the one with the most scored "
        f"cells among those with an RMSE near the median ({number(float(low))} to {number(float(high))})"
    )


def _with(count: xr.DataArray) -> str:
    others = [str(d) for d in count.dims[:-1]] if count.ndim > 1 else []
    return f" and {', '.join(others)}" if others else ""


def _cut(array: xr.DataArray, fixed: dict[str, int | slice], time: str) -> xr.DataArray:
    cut = array.isel(fixed)
    return cut.sum(time) if time in cut.dims else cut


def _blocks(array: xr.DataArray, time: str, starts: np.ndarray) -> xr.DataArray:
    """Sums over periods that begin at `starts`."""
    axis = array.get_axis_num(time)
    return xr.DataArray(np.add.reduceat(array.values, starts, axis=axis), dims=array.dims)


def around(k: int, size: int, steps: int = LONGEST) -> slice:
    """Return a period of at most `steps` steps that contains step k, in its middle where possible."""
    first = int(np.clip(k - steps // 2, 0, max(0, size - steps)))
    return slice(first, min(size, first + steps))


def index_at(times: xr.DataArray, at: str) -> int:
    """Return the index of the time nearest to `at`.

    Raises
    ------
    DataError
        If `at` cannot be read as a time, or lies outside the data.

    Examples
    --------
    >>> index_at(xr.DataArray([0.0, 0.5, 1.0], dims="time"), "0.45")
    1
    """
    values = times.values
    ends = f"{times.name!r} goes from {values[0]} to {values[-1]}; choose a time in that range"
    try:
        if values.dtype.kind == "M":
            wanted = pd.Timestamp(at).to_datetime64()
            away = np.abs((values - wanted) / np.timedelta64(1, "s"))
            # A date stands for any time of its day.
            slack = 86400.0
        elif is_dates(times):
            stamp = pd.Timestamp(at)
            first = values[0]
            wanted = type(first)(stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute)
            away = np.array([abs((v - wanted).total_seconds()) for v in values])
            slack = 86400.0
        else:
            away, slack = np.abs(values.astype(float) - float(at)), 0.0
    except (ValueError, TypeError) as error:
        raise DataError(f"--at {at}: cannot be read as a time: {ends}") from error
    step = float(np.median(np.abs(np.diff(np.sort(away))))) if away.size > 1 else 0.0
    if away.min() > max(slack, step):
        raise DataError(f"--at {at}: outside the data: {ends}")
    return int(away.argmin())


def places_of(
    one: Comparison, shape: Shape, window: dict[str, int | slice], wanted: int
) -> list[dict[str, int]]:
    """Choose places whose series to draw, with a low, a typical and a high RMSE and many scored cells."""
    cut = {d: k for d, k in window.items() if d == shape.time}
    over = shape.time
    scored = one.scored.isel(cut)
    count = scored.sum(over)
    error = rmse(one.estimate.isel(cut).where(scored), one.truth.isel(cut), over)
    if not count.ndim:
        return [{}]
    error_row, count_row = error.values.ravel(), count.values.ravel()
    enough = (
        count_row >= max(1, np.quantile(count_row[count_row > 0], 0.5)) if (count_row > 0).any() else None
    )
    if enough is None:
        return [dict.fromkeys(map(str, count.dims), 0)]
    candidates = np.flatnonzero(enough & np.isfinite(error_row))
    ranked = candidates[np.argsort(error_row[candidates], kind="stable")]
    ranks = np.quantile(np.arange(ranked.size), [0.1, 0.5, 0.9][:wanted], method="nearest").astype(int)
    chosen = list(dict.fromkeys(int(ranked[r]) for r in ranks))
    return [
        {str(d): int(k) for d, k in zip(count.dims, np.unravel_index(c, count.shape), strict=True)}
        for c in chosen
    ]


def words_of(one: Comparison, where: Mapping[str, int | slice]) -> str:
    """Describe the position of a slice in words."""
    return words_in(one.estimate, where)


def words_in(array: xr.DataArray, where: Mapping[str, int | slice]) -> str:
    """Describe the position of a slice of an array in words."""
    words = []
    for dim, k in where.items():
        known = array[dim].values if dim in array.coords else np.arange(array.sizes[dim])
        values = known[[k]] if isinstance(k, int) else known[k][[0, -1]]
        words.append(f"{dim} {' to '.join(worded(v) for v in values)}")
    return ", ".join(words)


def worded(value: object) -> str:
    """Format a coordinate value: dates without a zero time of day, numbers to five digits."""
    if isinstance(value, np.datetime64):
        return str(value)[:16].removesuffix("T00:00").replace("T", " ")
    return f"{value:.5g}" if isinstance(value, float | np.floating) else str(value)
