"""Regions are as large as fits in memory, and whole chunks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da4dvar.config.types import parse_bytes, readable_bytes
from da4dvar.errors import DataError
from da4dvar.outofcore import regions
from da4dvar.outofcore.regions import chunked, largest_regions, least_regions, tile_cells


@st.composite
def fields(draw: st.DrawFn) -> tuple[list[int], list[int], list[bool]]:
    """Draw sizes, windows, and which dimensions may be cut."""
    count = draw(st.integers(1, 4))
    sizes = [draw(st.integers(1, 5000)) for _ in range(count)]
    windows = [draw(st.integers(1, min(n, 40))) for n in sizes]
    return sizes, windows, [draw(st.booleans()) for _ in sizes]


@given(fields(), st.integers(1, 10**9))
def test_regions_are_as_large_as_fits(field, cells: int) -> None:
    """The largest tile fits, and one more cell along any dimension would not."""
    sizes, windows, cut = field
    found = largest_regions(sizes, windows, cut, cells)
    if found is None:
        assert tile_cells(sizes, windows, least_regions(sizes, windows, cut)) > cells
        return
    assert tile_cells(sizes, windows, found) <= cells
    for axis, (n, w, r) in enumerate(zip(sizes, windows, found, strict=True)):
        assert w <= r <= n
        if cut[axis] and r < n:
            longer = [*found[:axis], r + 1, *found[axis + 1 :]]
            assert tile_cells(sizes, windows, longer) > cells or r + w - 1 >= n


@given(fields(), st.integers(1, 10**9))
def test_regions_are_whole_chunks(field, cells: int) -> None:
    """Regions are whole chunks, at least as long as a window, and not larger than before."""
    sizes, windows, cut = field
    found = largest_regions(sizes, windows, cut, cells)
    if found is None:
        return
    smaller, chunks = chunked(sizes, windows, found)
    for n, w, r, s, c in zip(sizes, windows, found, smaller, chunks, strict=True):
        assert w <= s <= r
        assert s == n or s % c == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        ("2GiB", 2**31),
        ("1.5 gb", 1_500_000_000),
        ("4096", 4096),
        ("3K", 3000),
        ("1e9", 10**9),
    ],
)
def test_sizes_of_memory(text: str, size: int) -> None:
    """MB means 10⁶ bytes, MiB means 2²⁰."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "much", "-1GB", "2 gallons", " ", "GB", "0", "0.5", "1e400", "1e", "nan", "inf"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """The error shows the given text and an example of a size."""
    with pytest.raises(DataError, match="expected a size such as 500MB or 2GiB"):
        parse_bytes(text)


@given(st.integers(1, 10**13))
def test_a_size_that_is_advised_is_enough(size: int) -> None:
    """The size in a message is read as at least the number of bytes."""
    assert size <= parse_bytes(readable_bytes(size)) <= size + 10**6


def test_chunks_of_a_large_field_have_a_useful_size() -> None:
    """A region of a thousand fields has neither one chunk nor thousands."""
    found, chunks = chunked((9000, 1024, 1024), (15, 32, 32), (500, 1024, 1024))
    assert regions.CHUNK // 8 <= math.prod(chunks) <= regions.CHUNK
    assert all(f % c == 0 or f == n for f, c, n in zip(found, chunks, (9000, 1024, 1024), strict=True))
