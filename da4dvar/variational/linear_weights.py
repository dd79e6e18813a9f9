"""Weights of the linear interpolation of a gridded field to points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

# Distance beyond the first or the last entry of an axis, in cells, at which a point still counts as inside:
# coordinates in single precision are not exact.
SLACK = 1e-6


def linear_weights(
    axes: Sequence[np.ndarray], at: np.ndarray, periods: Sequence[float | None] | None = None
) -> tuple[csr_array, np.ndarray]:
    """H, with (H x)ᵢ = Σ_corners Π_axes w x(corner): multilinear interpolation of a field to points.

    Parameters
    ----------
    axes : sequence of array
        Coordinates along each axis of the field, increasing or decreasing. An axis with a single entry has
        the weight 1 everywhere.
    at : array, shape (point, axis)
        Coordinates of the points.
    periods : sequence of float or None, optional
        Period of each axis, such as 360 for longitudes around the globe.

    Returns
    -------
    matrix : sparse array, shape (point, cell)
        H, for fields that are flattened with the last axis fastest. The rows of points outside the grid are
        empty.
    inside : array of bool, shape (point,)
        Whether a point is inside the grid.

    Raises
    ------
    ValueError
        If an axis is neither increasing nor decreasing.

    Examples
    --------
    >>> axes, at = [np.array([0.0, 2.0]), np.arange(3.0)], np.array([[0.5, 1.0], [0.0, 9.0]])
    >>> matrix, inside = linear_weights(axes, at)
    >>> matrix.toarray()
    array([[0.  , 0.75, 0.  , 0.  , 0.25, 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  , 0.  ]])
    >>> inside
    array([ True, False])
    """
    number = len(at)
    column, weight = np.zeros((number, 1), int), np.ones((number, 1))
    inside = np.ones(number, bool)
    for k, axis in enumerate(axes):
        low, share, within = _bracketed(np.asarray(axis, float), at[:, k], periods[k] if periods else None)
        inside &= within
        both = np.stack([low, np.where(share > 0, (low + 1) % len(axis), low)], 1)
        column = (column[:, :, None] * len(axis) + both[:, None]).reshape(number, -1)
        weight = (weight[:, :, None] * np.stack([1 - share, share], 1)[:, None]).reshape(number, -1)
    row = np.broadcast_to(np.arange(number)[:, None], column.shape)
    kept = (weight != 0) & inside[:, None]
    shape = (number, int(np.prod([len(axis) for axis in axes])))
    return csr_array((weight[kept], (row[kept], column[kept])), shape=shape), inside


def _bracketed(
    axis: np.ndarray, at: np.ndarray, period: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entry of an axis before each point, the weight of the next one, and which are inside."""
    size = len(axis)
    if size == 1:
        return np.zeros(at.size, int), np.zeros(at.size), np.ones(at.size, bool)
    apart = np.diff(axis)
    if not ((apart > 0).all() or (apart < 0).all()):
        raise ValueError("an axis is neither increasing nor decreasing; sort it")
    entries = np.arange(float(size))
    if apart[0] < 0:
        axis, entries = axis[::-1], entries[::-1]
    if period is not None:
        at = axis[0] + np.mod(at - axis[0], period)
        if np.isclose(axis[-1] - axis[0] + np.abs(apart).max(), period, rtol=0.01):
            # The last cell of the axis is followed by the first one.
            axis = np.append(axis, axis[0] + period)
            entries = np.append(entries, entries[-1] + np.sign(entries[1] - entries[0]))
    slack = SLACK * float(np.median(np.abs(apart)))
    within = (at >= axis[0] - slack) & (at <= axis[-1] + slack)
    where = np.interp(at, axis, entries)
    low = np.floor(where).astype(int)
    return np.mod(low, size), where - low, within
