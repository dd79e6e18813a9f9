"""How large regions may be: bytes = rest + cells of a tile · bytes of a cell ≤ memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A chunk of this many cells is a few megabytes: neither many files nor much to read for one cell.
CHUNK = 2**20


def tile_cells(sizes: Sequence[int], windows: Sequence[int], regions: Sequence[int]) -> int:
    """Cells that the largest tile of regions of these sizes covers."""
    reach = (min(n, r + w - 1) for n, w, r in zip(sizes, windows, regions, strict=True))
    return math.prod(reach)


def least_regions(sizes: Sequence[int], windows: Sequence[int], cut: Sequence[bool]) -> tuple[int, ...]:
    """The smallest regions that there can be: one window along what may be cut, all of the rest."""
    return tuple(w if c else n for n, w, c in zip(sizes, windows, cut, strict=True))


def largest_regions(
    sizes: Sequence[int], windows: Sequence[int], cut: Sequence[bool], cells: int
) -> tuple[int, ...] | None:
    """The largest regions whose tiles have no more than so many cells.

    Parameters
    ----------
    sizes, windows : sequence of int
        Of each dimension. The last are made whole first, for they lie together in a file.
    cut : sequence of bool
        Dimensions that may be cut in regions.
    cells : int

    Returns
    -------
    tuple of int or None
        Nothing if the smallest have more.

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
    """Regions, some a little smaller, and the chunks that each of them is a whole number of.

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
        # A dimension that has one region need not be a whole number of chunks.
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
