"""Initial state x(0) of a solver, from the observations alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def linear_in_time(y: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate linearly along one axis; NaN marks the gaps.

    Cells before the first and after the last observation take the value of the nearest one. A line without
    observations stays NaN.

    Parameters
    ----------
    y : array
        Values, NaN or infinite where not observed.
    axis : int
        Evenly spaced time axis.

    Returns
    -------
    array
        Same shape and dtype as `y`.

    Examples
    --------
    >>> linear_in_time(np.array([np.nan, 1.0, np.nan, 3.0, np.nan]), 0)
    array([1., 1., 2., 3., 3.])
    """
    lines = np.moveaxis(y, axis, -1)
    steps = np.arange(lines.shape[-1])
    observed = np.isfinite(lines)
    lines = np.where(observed, lines, np.nan)  # infinite values do not count as observations
    before = np.maximum.accumulate(np.where(observed, steps, -1), axis=-1)
    last = steps.size
    after = np.minimum.accumulate(np.where(observed, steps, last)[..., ::-1], axis=-1)[..., ::-1]
    left = np.where(before >= 0, before, after)
    right = np.where(after < last, after, before)
    empty = ~observed.any(-1, keepdims=True)
    left, right = np.where(empty, 0, left), np.where(empty, 0, right)
    low = np.take_along_axis(lines, left, -1)
    high = np.take_along_axis(lines, right, -1)
    width = np.where(right > left, right - left, 1)
    slope = (high - low) * ((steps - left) / width).astype(y.dtype)
    return np.moveaxis(np.where(left == right, low, low + slope), -1, axis)


def check_initial(kind: str, time: str, dims: Sequence[str]) -> None:
    """Raise an error for an unknown kind of initial state, or a linear one without a time dimension.

    Raises
    ------
    ValueError
        If `kind` is unknown, or is "linear" and `time` is not in `dims`.
    """
    if kind not in ("zero", "observed", "linear"):
        raise ValueError(f"initial is {kind!r}, expected 'zero', 'observed' or 'linear'")
    if kind == "linear" and time not in dims:
        raise ValueError(f"initial is linear in {time!r}, which is not a dimension of the layout")


def start(y: np.ndarray, kind: str, time_axis: int | None) -> np.ndarray:
    """Return the initial state x(0) for normalised observations.

    Parameters
    ----------
    y : array
        Normalised observations, NaN in the gaps.
    kind : {"zero", "observed", "linear"}
        The mean (0) everywhere; the observations, and the mean in the gaps; or linear interpolation in time.
    time_axis : int, optional
        Time axis of `y`; required for "linear".

    Returns
    -------
    array
        Same shape as `y`, without NaN.
    """
    if kind == "zero":
        return np.zeros_like(y)
    if kind == "linear":
        if time_axis is None:
            raise ValueError("initial 'linear' needs a time dimension; use 'zero' or 'observed'")
        y = linear_in_time(y, time_axis)
    return np.where(np.isfinite(y), y, np.zeros_like(y))
