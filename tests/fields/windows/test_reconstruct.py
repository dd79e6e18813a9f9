"""Solution of all windows: lazy fields give the same result, and each window is solved once."""

import threading
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.errors import DataError
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.fields.windows.reconstruct import reconstruct
from da4dvar.layout import Layout

SIZES = {"member": 3, "time": 11, "lat": 6, "lon": 7}
CUTS: dict[str, dict[str, Any]] = {
    "in time": {"window": {"time": 4}},
    "in space": {"window": {"lat": 3, "lon": 4}, "overlap": {"lat": 0.7}},
    "on a circle": {"periodic": ["lon"], "window": {"lon": 4}},
    "on two circles": {"periodic": ["lat", "lon"], "window": {"lat": 4, "lon": 4}},
    "circle and time": {"periodic": ["lon"], "window": {"lon": 3, "time": 5}},
    "whole": {},
}
LAYOUTS = {name: Layout(["a", "b"], ["lat", "lon"], ["time"], **cut) for name, cut in CUTS.items()}


def field(seen: float = 0.03) -> xr.DataArray:
    """Return two variables that are so sparse that some windows are empty."""
    generator = np.random.default_rng(0)
    shape = (2, *SIZES.values())
    values = generator.standard_normal(shape).astype("float32")
    return xr.DataArray(
        np.where(generator.random(shape) < seen, values, np.float32(np.nan)), dims=("variable", *SIZES)
    )


def uneven(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates that depend on the position in the window, and terms that identify windows."""
    filled = np.nan_to_num(y)
    terms = np.stack([filled.reshape(len(y), -1).sum(1), np.isnan(y).reshape(len(y), -1).sum(1)])
    return np.cumsum(filled, axis=-1) + np.cumsum(filled, axis=2), terms


def chunkings() -> st.SearchStrategy[dict[str, tuple[int, ...]]]:
    """Generate all ways to chunk each dimension."""

    def pieces(size: int) -> st.SearchStrategy[tuple[int, ...]]:
        cuts = st.sets(st.integers(1, max(1, size - 1)), max_size=3)
        return cuts.map(lambda c: tuple(np.diff([0, *sorted(k for k in c if k < size), size]).tolist()))

    return st.fixed_dictionaries({d: pieces(n) for d, n in {"variable": 2, **SIZES}.items()})


def assert_same(lazy: tuple[xr.DataArray, ...], eager: tuple[xr.DataArray, ...]) -> None:
    """Check that estimates, weights and terms agree to rounding."""
    for got, expected in zip(dask.compute(*lazy), eager, strict=True):
        assert (got.dims, got.dtype) == (expected.dims, expected.dtype)
        np.testing.assert_allclose(got.values, expected.values, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(chunkings(), st.sampled_from(sorted(LAYOUTS)), st.integers(1, 40))
def test_any_chunking_gives_the_same_answer(chunks, name, batch_size):
    """Lazy fields of any chunks give the result of the field in memory."""
    y, layout = field(), LAYOUTS[name]
    grid = WindowGrid.of(layout, y.sizes)
    with dask.config.set(scheduler="synchronous"):
        assert_same(reconstruct(y.chunk(chunks), grid, uneven, batch_size), reconstruct(y, grid, uneven, 16))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_batch_of_no_windows_is_refused(lazy):
    """A batch size of 0 is refused before anything is computed."""
    y = field()
    grid = WindowGrid.of(LAYOUTS["in time"], y.sizes)
    with pytest.raises(DataError, match="batch_size is 0, expected 1 or more"):
        reconstruct(y.chunk(time=3) if lazy else y, grid, uneven, 0)


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_each_window_is_solved_exactly_once(name, batch_size):
    """Windows are solved once, in batches of the requested size, and not while the graph is built."""
    lock, solved = threading.Lock(), []

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(windows) <= batch_size
        with lock:
            solved.extend(w.tobytes() for w in windows)
        return uneven(windows)

    y = field(seen=1.0)
    grid = WindowGrid.of(LAYOUTS[name], y.sizes)
    parts = reconstruct(y.chunk(time=2, member=2), grid, solve, batch_size)
    assert not solved
    assert all(part.chunks is not None for part in parts)
    dask.compute(*parts)
    assert len(solved) == len(set(solved)) == SIZES["member"] * len(list(grid))


@pytest.mark.parametrize("batch", [[], ["member"], ["run", "member"]])
@pytest.mark.parametrize("lazy", [False, True])
def test_any_number_of_batch_dimensions(batch, lazy):
    """Each member keeps its place; terms have one dimension of windows for each axis."""
    sizes = {"variable": 2, **dict.fromkeys(batch, 2), "time": 8}
    values = np.random.default_rng(1).standard_normal(list(sizes.values())).astype("float32")
    y = xr.DataArray(values, dims=list(sizes))
    grid = WindowGrid.of(Layout(["a", "b"], ["time"], window={"time": 3}), y.sizes)
    x, weight, terms = reconstruct(
        y.chunk(time=2) if lazy else y, grid, lambda w: (w, np.zeros((2, len(w)))), 3
    )
    assert (x.dims, weight.dims, terms.dims) == (y.dims, y.dims[1:], ("term", *batch, "window_time"))
    np.testing.assert_allclose(x.values, y.values, rtol=1e-5, atol=1e-6)


def test_progress_goes_up_to_all_windows():
    """Progress reports the finished windows and their total."""
    y, layout = field(), LAYOUTS["in time"]
    told: list[tuple[int, int]] = []
    reconstruct(y, WindowGrid.of(layout, y.sizes), uneven, 4, lambda done, of: told.append((done, of)))
    assert told == [(4, 15), (8, 15), (12, 15), (15, 15)]
