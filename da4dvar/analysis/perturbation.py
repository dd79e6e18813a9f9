"""Random numbers for cells, each determined only by a key and the position of the cell.

The members of an ensemble therefore do not depend on chunks, batches or the order of computation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from scipy.special import ndtri

Index = Sequence[np.ndarray]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def uniform(key: Sequence[int], index: Index) -> np.ndarray:
    """Uniform numbers in (0, 1), from a hash of the position (SplitMix64; Steele, Lea & Flood, 2014).

    Parameters
    ----------
    key : sequence of int
        Integers of 0 or more: seed, member, and a number for the purpose of the draw.
    index : sequence of array of int
        Position of the cells along each dimension, as an open mesh (``np.ix_``).

    Returns
    -------
    array of float
        Array with the shape of the mesh.

    Examples
    --------
    >>> whole = uniform([0, 1], np.ix_(range(4), range(5)))
    >>> part = uniform([0, 1], np.ix_(range(2, 4), range(1, 3)))
    >>> bool((part == whole[2:, 1:3]).all())
    True
    """
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    for place in index:
        state = _mixed(state + GOLDEN * (place.astype(np.uint64) + np.uint64(1)))
    return ((state >> np.uint64(11)).astype("float64") + 0.5) * 2.0**-53


def _mixed(state: np.ndarray) -> np.ndarray:
    for shift, factor in ROUNDS:
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed


def by_cell(like: xr.DataArray, draw: Callable[[Index], np.ndarray]) -> xr.DataArray:
    """Apply `draw` to the positions of all cells of `like`; the result is lazy if `like` is."""
    if like.chunks is None:
        return like.copy(data=draw(np.ix_(*map(np.arange, like.shape))).astype(like.dtype))

    def block(block_info: Mapping[int | None, Any]) -> np.ndarray:
        ends = block_info[None]["array-location"]
        return draw(np.ix_(*(np.arange(a, b) for a, b in ends))).astype(like.dtype)

    return like.copy(data=dask.array.map_blocks(block, chunks=like.chunks, dtype=like.dtype))


def normal(like: xr.DataArray, key: Sequence[int]) -> xr.DataArray:
    """Draw independent numbers from N(0, 1) for each cell."""
    return by_cell(like, lambda index: ndtri(uniform(key, index)))


def withheld(
    like: xr.DataArray, key: Sequence[int], part: float, block: Mapping[str, int] | None = None
) -> xr.DataArray:
    """Return 1 in randomly chosen boxes of cells, and 0 elsewhere.

    Parameters
    ----------
    like : DataArray
        Array with the wanted dimensions, chunks and dtype.
    key : sequence of int
        See :func:`uniform`.
    part : float
        Fraction of the boxes, and approximately of the cells, that is 1.
    block : mapping of str to int, optional
        Cells of a box along each dimension, 1 by default. The offset of the boxes is random, too.
    """
    sizes = [int((block or {}).get(str(d), 1)) for d in like.dims]
    first = [int(n) for n in np.random.default_rng(key).integers(sizes)]

    def draw(index: Index) -> np.ndarray:
        boxes = [(i + a) // n for i, a, n in zip(index, first, sizes, strict=True)]
        return uniform(key, boxes) < part

    return by_cell(like, draw)
