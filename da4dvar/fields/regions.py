"""How large regions may be: bytes = rest + cells of a tile · bytes of a cell ≤ memory."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from da4dvar.errors import DataError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {f"{letter}I": 2 ** (10 * power) for power, letter in enumerate("KMGT", 1)}
# A chunk of this many cells is a few megabytes: neither many files nor much to read for one cell.
CHUNK = 2**20


def parse_bytes(text: str) -> int:
    """Bytes, of a text such as ``500MB`` (10⁶) or ``2GiB`` (2³⁰).

    Raises
    ------
    DataError
        If it is no size.

    Examples
    --------
    >>> parse_bytes("1.5GB"), parse_bytes("2GiB")
    (1500000000, 2147483648)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?I?)B?\s*", text.upper())
    if found is None or found[2] not in UNITS or not (size := int(float(found[1]) * UNITS[found[2]])):
        raise DataError(f"memory is {text!r}, expected a size such as 500MB or 2GiB")
    return size


def readable_bytes(size: float) -> str:
    """A size in megabytes, or in bytes if it is less than one, rounded up, as :func:`parse_bytes` reads it.

    Examples
    --------
    >>> readable_bytes(411_200_000), readable_bytes(300)
    ('412MB', '300B')
    """
    return f"{math.ceil(size / 1e6)}MB" if size >= 1e6 else f"{math.ceil(size)}B"


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
