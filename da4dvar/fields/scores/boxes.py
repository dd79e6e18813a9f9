"""Coverage of intervals of means over boxes and periods, from joint samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.fields.labels.cf import is_dates, spacing

# Sides of the boxes in cells, None for all cells, and lengths of the periods in days, or steps without dates.
SIDES: tuple[int | None, ...] = (1, 2, 4, 8, None)
PERIODS = (1, 7, 30)


def box_coverage(
    samples: xr.DataArray,
    truth: xr.DataArray,
    observed: xr.DataArray,
    space: Sequence[str],
    time: str,
    level: float = 0.9,
    sides: Sequence[int | None] = SIDES,
) -> dict[str, dict[str, float]]:
    """Fraction of the true means over boxes and periods in the interval of the means of the samples.

    Boxes do not overlap, and a period begins at every step. Cells without a truth or a sample are left out of
    the mean, and boxes without an unobserved cell are not scored. The interval of level p lies between the
    order statistics (1 ± p) (M + 1) / 2 of M samples, and where these are no whole numbers, the fraction is
    interpolated between ranks, so that it is p for samples that are as uncertain as they say.

    Parameters
    ----------
    samples : DataArray
        Samples, with a dimension ``realization`` and the dimensions of `truth`.
    truth : DataArray
        True values; NaN where they are unknown.
    observed : DataArray of bool
        True where there was an observation.
    space : sequence of str
        Up to two space dimensions of the boxes.
    time : str
        Name of the time dimension.
    level : float
        Level of the interval.
    sides : sequence of int or None
        Sides of the boxes, in cells; None for all cells.

    Returns
    -------
    dict of str to dict of str to float
        Fraction for each box, such as ``"2 x 2"``, and each period, such as ``"7 days"``; NaN where there is
        nothing to score.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((40, 200, 4, 4))
    >>> samples = xr.DataArray(draws[1:], dims=("realization", "time", "lat", "lon"))
    >>> truth = xr.DataArray(draws[0], dims=("time", "lat", "lon"))
    >>> found = box_coverage(samples, truth, truth > 9, ("lat", "lon"), "time", sides=(1, 2))
    >>> round(found["2 x 2"]["7 steps"], 1)
    0.9
    """
    order = (*(d for d in truth.dims if d not in (time, *space)), time, *space)
    # Other dimensions are more boxes.
    true = truth.transpose(*order).values.reshape(-1, *(truth.sizes[d] for d in (time, *space)))
    seen = observed.transpose(*order).values.reshape(true.shape)
    drawn = samples.transpose("realization", *order)
    known = np.isfinite(true) & np.isfinite(drawn[0].values.reshape(true.shape))
    number = drawn.sizes["realization"]
    lengths = periods_of(truth, time)
    most = max(true.shape[2:], default=1)
    boxes = {title_of(side, len(space)): most if side is None else side for side in sides}
    below: dict[tuple[str, str], np.ndarray] = {}
    expected = {box: _sums(np.where(known, true, 0.0), side) for box, side in boxes.items()}
    for k in range(number):
        values = np.where(known, drawn[k].values.reshape(true.shape), 0.0)
        for box, side in boxes.items():
            less = _sums(values, side) - expected[box]
            for name, length in lengths.items():
                lower = _running(less, length) < 0
                below[box, name] = below.get((box, name), 0) + lower
    out: dict[str, dict[str, float]] = {}
    for box, side in boxes.items():
        hidden = _sums((known & ~seen).astype("float64"), side)
        for name, length in lengths.items():
            scored = _running(hidden, length) > 0.5
            inside = inside_by_rank(below[box, name][scored], number, level)
            out.setdefault(box, {})[name] = float(inside.mean()) if inside.size else float("nan")
    return out


def periods_of(array: xr.DataArray, time: str) -> dict[str, int]:
    """Return the periods of 1, 7 and 30 days, or steps without dates, in steps of a coordinate.

    Examples
    --------
    >>> hours = xr.date_range("2001-01-01", periods=9, freq="6h")
    >>> periods_of(xr.DataArray(np.zeros(9), {"time": hours}, "time"), "time")
    {'1 day': 4, '7 days': 28, '30 days': 120}
    """
    apart = spacing(array[time]) if time in array.coords and is_dates(array[time]) else None
    if not apart:
        return {f"{n} step{'s' if n > 1 else ''}": n for n in PERIODS}
    each = 86400 / abs(apart)
    return {f"{n} day{'s' if n > 1 else ''}": max(1, round(n * each)) for n in PERIODS}


def inside_by_rank(below: np.ndarray, number: int, level: float) -> np.ndarray:
    """Return which truths are in the central interval of samples, from the number of samples below each.

    Parameters
    ----------
    below : array of int
        Number of samples below the truth.
    number : int
        Number of samples M.
    level : float
        Level of the interval.

    Returns
    -------
    array of float
        1 inside and 0 outside. A rank at an end of the interval is inside in part, so that the mean over all
        M + 1 ranks is the level.

    Examples
    --------
    >>> inside_by_rank(np.arange(5), 4, 0.5)
    array([0.  , 0.75, 1.  , 0.75, 0.  ])
    """
    outside = (1 - level) / 2 * (number + 1)
    from_end = np.minimum(below, number - below)
    out: np.ndarray = (from_end + 1 - outside).clip(0.0, 1.0)
    return out


def title_of(side: int | None, axes: int) -> str:
    """Return the name of a box: ``"2 x 2"``, or ``"all"`` cells."""
    return "all" if side is None else " x ".join([str(side)] * max(axes, 1))


def _sums(values: np.ndarray, side: int) -> np.ndarray:
    """Return sums over boxes of the space axes of (..., time, *space); the last boxes may be smaller."""
    for axis in range(2, values.ndim):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], side), axis)
    return values


def _running(values: np.ndarray, length: int) -> np.ndarray:
    """Return sums over `length` successive times, or over all if there are fewer."""
    length = min(length, values.shape[1])
    total = np.cumsum(np.pad(values, [(0, 0), (1, 0), *[(0, 0)] * (values.ndim - 2)]), axis=1)
    out: np.ndarray = total[:, length:] - total[:, :-length]
    return out
