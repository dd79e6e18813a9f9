"""Regions are as large as fits in memory; every window is in one tile, and every cell in one region."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.config.types import parse_bytes, readable_bytes
from da4dvar.errors import DataError
from da4dvar.fields.windows.grid import WindowGrid, overlap_add
from da4dvar.layout import Layout
from da4dvar.outofcore import regions
from da4dvar.outofcore.regions import chunked, largest_regions, least_regions, tile_cells
from da4dvar.outofcore.tiles import Tiles


@st.composite
def cut(draw: st.DrawFn) -> Tiles:
    """Draw a grid of one or two dimensions in regions at least as long as a window."""
    dims = ["a", "b"][: draw(st.integers(1, 2))]
    sizes = {d: draw(st.integers(1, 14)) for d in dims}
    window = {d: draw(st.integers(1, n)) for d, n in sizes.items()}
    overlap = {d: draw(st.sampled_from([0.0, 0.3, 0.5, 0.8])) for d in dims}
    periodic = [d for d in dims if draw(st.booleans())]
    grid = WindowGrid.of(Layout(["x"], dims, periodic=periodic, window=window, overlap=overlap), sizes)
    regions = [
        n if d in periodic else draw(st.integers(w, n))
        for d, w, n in zip(dims, grid.windows, grid.sizes, strict=True)
    ]
    return Tiles.of(grid, regions, [draw(st.booleans()) for _ in dims])


def solve(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an estimate that depends on the position of a cell in its window."""
    filled = np.nan_to_num(y)
    return np.cumsum(filled, axis=-1), np.zeros((2, len(y)), "float32")


@given(cut())
def test_tiles_share_out_the_field(tiles):
    """Cells are in one region, windows in one tile, and a tile's cells in the regions that list it."""
    seen = np.zeros(tiles.grid.sizes, int)
    for number in tiles:
        seen[tiles.region(number)] += 1
    assert (seen == 1).all()
    assert len(tiles) == len(list(tiles))
    seen = np.zeros(tiles.grid.shape, int)
    for number in tiles:
        seen[tiles.windows(number)] += 1
    assert (seen == 1).all()
    for number in tiles:
        cells = np.zeros(tiles.grid.sizes, int)
        for region in tiles.reached(number):
            assert number in tiles.contributors(region)
            cells[tiles.shared(number, region)] += 1
        covered = np.zeros_like(cells)
        covered[tiles.extent(number)] = 1
        assert (cells == covered).all()


@settings(max_examples=60)
@given(cut(), st.integers(1, 7), st.randoms(use_true_random=False))
def test_sums_over_tiles_are_those_of_the_whole(tiles, batch_size, random):
    """The totals have the same bits for any order of tiles, and equal the direct sum up to rounding."""
    generator = np.random.default_rng(1)
    y = generator.standard_normal(tiles.grid.sizes).astype("float32")
    y[generator.random(y.shape) < 0.8] = np.nan
    taper, axes = tiles.grid.taper(), len(tiles.grid.sizes)
    whole = overlap_add(y[None, None], tiles.grid, taper, solve, batch_size)
    order = list(tiles)
    random.shuffle(order)
    parts, solved = {}, np.zeros(tiles.grid.shape, bool)
    for number in order:
        extent = tiles.extent(number)
        if all(c.start < c.stop for c in extent):
            some = overlap_add(y[extent][None, None], tiles.subgrid(number, axes), taper, solve, batch_size)
            parts[number] = some.total[0, 0]
            solved[tiles.windows(number)] = ~np.isnan(some.terms[0, 0])
    total = np.zeros_like(y)
    for region, tile in itertools.chain(*([(r, t) for t in tiles.contributors(r)] for r in tiles)):
        shared = tiles.shared(tile, region)
        begin = [c.start for c in tiles.extent(tile)]
        total[shared] += parts[tile][
            tuple(slice(c.start - b, c.stop - b) for c, b in zip(shared, begin, strict=True))
        ]
    np.testing.assert_allclose(total, whole.total[0, 0], rtol=1e-5, atol=1e-5)
    for region in tiles:
        weight = tiles.weight(region, solved[tiles.reaching(region)])
        np.testing.assert_allclose(weight, whole.weight[0][tiles.region(region)], rtol=1e-5, atol=1e-6)


def test_a_region_shorter_than_a_window_is_refused():
    """A region shorter than a window is refused, since a window would reach past the next."""
    with pytest.raises(DataError, match="expected 0 to 12 in steps of 4 or more"):
        Tiles(WindowGrid((12,), (4,), ((0, 4, 8),)), ((0, 3, 6, 9, 12),))


@st.composite
def fields(draw: st.DrawFn) -> tuple[list[int], list[int], list[bool]]:
    """Draw sizes, windows, and which dimensions may be cut."""
    count = draw(st.integers(1, 4))
    sizes = [draw(st.integers(1, 5000)) for _ in range(count)]
    windows = [draw(st.integers(1, min(n, 40))) for n in sizes]
    return sizes, windows, [draw(st.booleans()) for _ in sizes]


@given(fields(), st.integers(1, 10**9))
def test_regions_are_as_large_as_fits(field, cells):
    """The largest tile fits, and one more cell would not; smaller regions are whole chunks."""
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
    smaller, chunks = chunked(sizes, windows, found)
    for n, w, r, s, c in zip(sizes, windows, found, smaller, chunks, strict=True):
        assert w <= s <= r
        assert s == n or s % c == 0


@pytest.mark.parametrize(("text", "size"), [
    ("500MB", 500_000_000), ("2GiB", 2**31), ("1.5 gb", 1_500_000_000), ("4096", 4096), ("3K", 3000),
    ("1e9", 10**9),
])  # fmt: skip
def test_sizes_of_memory(text, size):
    """MB means 10⁶ bytes, MiB means 2²⁰."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "much", "-1GB", "2 gallons", " ", "GB", "0", "0.5", "1e400", "1e", "nan", "inf"]
)
def test_what_is_no_size_is_refused(text):
    """The error shows the given text and an example of a size."""
    with pytest.raises(DataError, match="expected a size such as 500MB or 2GiB"):
        parse_bytes(text)


@given(st.integers(1, 10**13))
def test_a_size_that_is_advised_is_enough(size):
    """The size in a message is read as at least the number of bytes."""
    assert size <= parse_bytes(readable_bytes(size)) <= size + 10**6


def test_chunks_of_a_large_field_have_a_useful_size():
    """A region of a thousand fields has neither one chunk nor thousands."""
    found, chunks = chunked((9000, 1024, 1024), (15, 32, 32), (500, 1024, 1024))
    assert regions.CHUNK // 8 <= math.prod(chunks) <= regions.CHUNK
    assert all(f % c == 0 or f == n for f, c, n in zip(found, chunks, (9000, 1024, 1024), strict=True))
