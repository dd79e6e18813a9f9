"""Random numbers of cells: each a function of a key and of where the cell is, and of nothing else.

A member of an ensemble is the same whatever the chunks, the batches and the order in which it is computed.
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
    """One number of (0, 1) for each cell, by a hash of its place (SplitMix64; Steele, Lea & Flood, 2014).

    Parameters
    ----------
    key : sequence of int
        Numbers from 0 up: the seed, the member and what is drawn.
    index : sequence of array of int
        The cell's place along each dimension, as an open mesh (``np.ix_``).

    Returns
    -------
    array of float
        Of the shape that the mesh has.

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
    """What `draw` makes of the places of cells, for all of `like`; lazy if that is."""
    if like.chunks is None:
        return like.copy(data=draw(np.ix_(*map(np.arange, like.shape))).astype(like.dtype))

    def block(block_info: Mapping[int | None, Any]) -> np.ndarray:
        ends = block_info[None]["array-location"]
        return draw(np.ix_(*(np.arange(a, b) for a, b in ends))).astype(like.dtype)

    return like.copy(data=dask.array.map_blocks(block, chunks=like.chunks, dtype=like.dtype))


def normal(like: xr.DataArray, key: Sequence[int]) -> xr.DataArray:
    """N(0, 1) for every cell, independent of each other."""
    return by_cell(like, lambda index: ndtri(uniform(key, index)))


def withheld(
    like: xr.DataArray, key: Sequence[int], part: float, block: Mapping[str, int] | None = None
) -> xr.DataArray:
    """1 in boxes of cells that cover about a part of them, chosen at random, and 0 elsewhere.

    Parameters
    ----------
    like : DataArray
    key : sequence of int
    part : float
        Part of the boxes, and so about of the cells.
    block : mapping of str to int, optional
        Cells of a box along a dimension; 1 where not given. Where the boxes begin is drawn as well.
    """
    sizes = [int((block or {}).get(str(d), 1)) for d in like.dims]
    first = [int(n) for n in np.random.default_rng(key).integers(sizes)]

    def draw(index: Index) -> np.ndarray:
        boxes = [(i + a) // n for i, a, n in zip(index, first, sizes, strict=True)]
        return uniform(key, boxes) < part

    return by_cell(like, draw)
