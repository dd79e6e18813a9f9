"""Lazy fields: the same answer as at once, each window solved once, and nothing before it is asked for."""

from __future__ import annotations

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
LAYOUTS = {
    "in time": Layout(["a", "b"], ["lat", "lon"], ["time"], window={"time": 4}),
    "in space": Layout(
        ["a", "b"], ["lat", "lon"], ["time"], window={"lat": 3, "lon": 4}, overlap={"lat": 0.7}
    ),
    "on a circle": Layout(["a", "b"], ["lat", "lon"], ["time"], periodic=["lon"], window={"lon": 4}),
    "on two circles": Layout(
        ["a", "b"], ["lat", "lon"], ["time"], periodic=["lat", "lon"], window={"lat": 4, "lon": 4}
    ),
    "circle and time": Layout(
        ["a", "b"], ["lat", "lon"], ["time"], periodic=["lon"], window={"lon": 3, "time": 5}
    ),
    "whole": Layout(["a", "b"], ["lat", "lon"], ["time"]),
}


def field(seen: float = 0.03) -> xr.DataArray:
    """Two variables, so sparse that some windows are empty."""
    generator = np.random.default_rng(0)
    shape = (2, *SIZES.values())
    values = generator.standard_normal(shape).astype("float32")
    return xr.DataArray(
        np.where(generator.random(shape) < seen, values, np.float32(np.nan)), dims=("variable", *SIZES)
    )


def uneven(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An estimate that depends on where in its window a cell is, and terms that tell windows apart."""
    filled = np.nan_to_num(y)
    terms = np.stack([filled.reshape(len(y), -1).sum(1), np.isnan(y).reshape(len(y), -1).sum(1)])
    return np.cumsum(filled, axis=-1) + np.cumsum(filled, axis=2), terms


def chunkings() -> st.SearchStrategy[dict[str, tuple[int, ...]]]:
    """Every way to cut each of the dimensions into chunks."""

    def pieces(size: int) -> st.SearchStrategy[tuple[int, ...]]:
        cuts = st.sets(st.integers(1, max(1, size - 1)), max_size=3)
        return cuts.map(lambda c: tuple(np.diff([0, *sorted(k for k in c if k < size), size]).tolist()))

    return st.fixed_dictionaries({d: pieces(n) for d, n in {"variable": 2, **SIZES}.items()})


def assert_same(lazy: tuple[xr.DataArray, ...], eager: tuple[xr.DataArray, ...]) -> None:
    """Estimate, weight and terms agree to rounding, NaN where NaN."""
    for got, expected in zip(dask.compute(*lazy), eager, strict=True):
        assert got.dims == expected.dims
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.values, expected.values, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(chunkings(), st.sampled_from(sorted(LAYOUTS)), st.integers(1, 40))
def test_any_chunking_gives_the_same_answer(
    chunks: dict[str, tuple[int, ...]], name: str, batch_size: int
) -> None:
    """A lazy field is solved to what the same field in memory is, whatever its chunks."""
    y, layout = field(), LAYOUTS[name]
    grid = WindowGrid.of(layout, y.sizes)
    with dask.config.set(scheduler="synchronous"):
        assert_same(reconstruct(y.chunk(chunks), grid, uneven, batch_size), reconstruct(y, grid, uneven, 16))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_nothing_is_computed_before_it_is_asked_for(name: str) -> None:
    """Neither a window is solved nor a chunk read while the graph is built."""

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed too early")

    y, layout = field(), LAYOUTS[name]
    with dask.config.set(scheduler=never):
        parts = reconstruct(y.chunk(time=3), WindowGrid.of(layout, y.sizes), never, 2)
    assert all(part.chunks is not None for part in parts)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_batch_of_no_windows_is_refused(lazy: bool) -> None:
    """Rather than an answer without a single value, and before anything is computed."""
    y = field()
    grid = WindowGrid.of(LAYOUTS["in time"], y.sizes)
    with pytest.raises(DataError, match="batch_size is 0, expected 1 or more"):
        reconstruct(y.chunk(time=3) if lazy else y, grid, uneven, 0)


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_each_window_is_solved_exactly_once(name: str, batch_size: int) -> None:
    """Estimate, weight and terms come from one solution, which pieces share."""
    layout, lock = LAYOUTS[name], threading.Lock()
    solved: list[bytes] = []

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(windows) <= batch_size
        with lock:
            solved.extend(w.tobytes() for w in windows)
        return uneven(windows)

    y = field(seen=1.0)
    grid = WindowGrid.of(layout, y.sizes)
    dask.compute(*reconstruct(y.chunk(time=2, member=2), grid, solve, batch_size))
    assert len(solved) == len(set(solved)) == SIZES["member"] * len(list(grid))


@pytest.mark.parametrize("lazy", [False, True])
def test_labels_of_the_parts(lazy: bool) -> None:
    """The estimate has the field's dimensions, the terms one dimension of windows for each axis."""
    y, layout = field(), LAYOUTS["in time"]
    grid = WindowGrid.of(layout, y.sizes)
    x, weight, terms = reconstruct(y.chunk(time=3) if lazy else y, grid, uneven, 4)
    assert (x.dims, x.shape) == (y.dims, y.shape)
    assert (weight.dims, weight.shape) == (y.dims[1:], y.shape[1:])
    assert terms.sizes == {
        "term": 2, "member": 3, "window_time": 5, "window_lat": 1, "window_lon": 1,
    }  # fmt: skip


@pytest.mark.parametrize("batch", [[], ["member"], ["run", "member"]])
@pytest.mark.parametrize("lazy", [False, True])
def test_any_number_of_batch_dimensions(batch: list[str], lazy: bool) -> None:
    """Each member comes back in its own place."""
    generator = np.random.default_rng(1)
    sizes = {"variable": 2, **dict.fromkeys(batch, 2), "time": 8}
    y = xr.DataArray(generator.standard_normal(list(sizes.values())).astype("float32"), dims=list(sizes))
    grid = WindowGrid.of(Layout(["a", "b"], ["time"], window={"time": 3}), y.sizes)
    x, _, _ = reconstruct(y.chunk(time=2) if lazy else y, grid, lambda w: (w, np.zeros((2, len(w)))), 3)
    np.testing.assert_allclose(x.values, y.values, rtol=1e-5, atol=1e-6)


def test_progress_goes_up_to_all_windows() -> None:
    """A caller is told how many windows are done and of how many."""
    y, layout = field(), LAYOUTS["in time"]
    told: list[tuple[int, int]] = []
    reconstruct(y, WindowGrid.of(layout, y.sizes), uneven, 4, lambda done, of: told.append((done, of)))
    assert told == [(4, 15), (8, 15), (12, 15), (15, 15)]
