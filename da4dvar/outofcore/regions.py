"""Sizes of regions that fit in memory: bytes = constant + cells of a tile · bytes per cell ≤ memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A chunk of this many cells is a few megabytes: neither many files nor much to read for one cell.
CHUNK = 2**20


def tile_cells(sizes: Sequence[int], windows: Sequence[int], regions: Sequence[int]) -> int:
    """Return the number of cells that the largest tile covers, given the sizes of the regions."""
    reach = (min(n, r + w - 1) for n, w, r in zip(sizes, windows, regions, strict=True))
    return math.prod(reach)


def least_regions(sizes: Sequence[int], windows: Sequence[int], cut: Sequence[bool]) -> tuple[int, ...]:
    """Return the smallest possible regions: one window along dimensions that may be cut, else all cells."""
    return tuple(w if c else n for n, w, c in zip(sizes, windows, cut, strict=True))


def largest_regions(
    sizes: Sequence[int], windows: Sequence[int], cut: Sequence[bool], cells: int
) -> tuple[int, ...] | None:
    """Return the largest regions whose tiles have at most a given number of cells.

    Parameters
    ----------
    sizes, windows : sequence of int
        Cells of the field and of a window along each dimension. The last dimensions, which are contiguous in
        a file, are enlarged first.
    cut : sequence of bool
        Dimensions that may be cut into regions.
    cells : int
        Largest number of cells of a tile.

    Returns
    -------
    tuple of int or None
        Cells of a region along each dimension; None if even the smallest regions are too large.

    Examples
    --------
    >>> largest_regions((100, 20), (5, 8), (True, True), 1000)
    (46, 20)
    """
    regions = list(least_regions(sizes, windows, cut))
    if tile_cells(sizes, windows, regions) > cells:
        return None
    for axis in reversed(range(len(sizes))):
        if not cut[axis]:
            continue
        rest = tile_cells(sizes, windows, regions) // min(sizes[axis], regions[axis] + windows[axis] - 1)
        reach = cells // rest
        regions[axis] = sizes[axis] if reach >= sizes[axis] else reach - windows[axis] + 1
    return tuple(regions)


def chunked(
    sizes: Sequence[int], windows: Sequence[int], regions: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return regions that are a whole number of chunks, some slightly reduced, and these chunks.

    Examples
    --------
    >>> chunked((9000, 1024), (15, 32), (3001, 1024))
    ((3000, 1024), (750, 1024))
    """
    pieces = [1] * len(sizes)

    def chunk() -> list[int]:
        return [r // p for r, p in zip(regions, pieces, strict=True)]

    while math.prod(now := chunk()) > CHUNK:
        free = [a for a, r in enumerate(regions) if r // (2 * pieces[a]) * 2 * pieces[a] >= windows[a]]
        # Along a dimension with a single region, the region need not be a whole number of chunks.
        axis = max(free, key=lambda a: now[a], default=None)
        if axis is None or now[axis] < 2:
            break
        pieces[axis] *= 2
    out_regions, chunks = [], []
    for n, r, p in zip(sizes, regions, pieces, strict=True):
        one = r >= n
        c = -(-r // p) if one else r // p
        chunks.append(c)
        out_regions.append(n if one else c * p)
    return tuple(out_regions), tuple(chunks)
