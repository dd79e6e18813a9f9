"""The window grid and the overlap-add, for any sizes, windows, overlaps and circles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.errors import Da4dvarWarning
from da4dvar.fields.windows.grid import WindowGrid, overlap_add
from da4dvar.layout import Layout

quick = settings(deadline=None, max_examples=60)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layout, dict[str, int]]:
    """A layout of one to three dimensions, and the sizes of a field."""
    dims = ["a", "b", "c"][: draw(st.integers(1, 3))]
    folded = draw(st.integers(0, len(dims) - 1))
    axes = dims[folded:]
    cut = [d for d in dims if draw(st.booleans())]
    layout = Layout(
        ["x"],
        axes=axes,
        channels=dims[:folded],
        periodic=[d for d in axes if draw(st.booleans())],
        window={d: draw(st.integers(1, 9)) for d in cut},
        overlap={d: draw(st.sampled_from([0.0, 0.25, 0.5, 0.8])) for d in cut},
    )
    return layout, {d: draw(st.integers(1, 10)) for d in dims}


def identity(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An estimate equal to what was seen."""
    return y, np.zeros((2, len(y)))


def uneven(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An estimate that depends on where in its window a cell is, and terms that tell windows apart."""
    filled = np.nan_to_num(y)
    terms = np.stack([filled.reshape(len(y), -1).sum(1), np.isnan(y).reshape(len(y), -1).sum(1)])
    return np.cumsum(filled, axis=-1), terms


def field(grid: WindowGrid, seed: int = 0, members: int = 2, seen: float = 1.0) -> np.ndarray:
    """Random values, shape (2, members, *sizes), NaN where not seen."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((2, members, *grid.sizes)).astype("float32")
    return np.where(generator.random(values.shape) < seen, values, np.float32(np.nan))


def line(**settings_of: Any) -> Layout:
    """A layout of a single axis."""
    return Layout(["x"], axes=["time"], **settings_of)


@quick
@given(cases())
def test_every_cell_is_in_a_window(case: tuple[Layout, dict[str, int]]) -> None:
    """The grid covers the field, edges too, and all windows are of one size."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    covered = np.zeros(grid.sizes, dtype=int)
    for number in grid:
        assert covered[grid.cells(number)].shape == grid.windows
        covered[grid.cells(number)] += 1
    assert covered.min() >= 1


@quick
@given(cases())
def test_the_last_window_ends_where_the_field_ends(case: tuple[Layout, dict[str, int]]) -> None:
    """No window hangs over an edge, unless the edge is joined to the beginning."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    for dim, starts, window in zip(layout.dims, grid.starts, grid.windows, strict=True):
        assert starts[0] == 0
        if dim not in layout.periodic:
            assert starts[-1] + window == sizes[dim]
        if len(starts) > 1:
            assert 1 <= np.diff(starts).min() <= np.diff(starts).max() <= layout.stride(dim)


@quick
@given(cases())
def test_the_grid_is_a_function_of_the_sizes_alone(case: tuple[Layout, dict[str, int]]) -> None:
    """Neither the order of the dimensions nor a batch dimension changes it."""
    layout, sizes = case
    other = {"member": 7, **dict(reversed(sizes.items()))}
    assert WindowGrid.of(layout, other) == WindowGrid.of(layout, sizes)


@quick
@given(cases(), st.integers(1, 50))
def test_windows_of_the_identity_add_up_to_the_field(
    case: tuple[Layout, dict[str, int]], batch_size: int
) -> None:
    """Tapers are a partition of unity after division: what goes in comes out."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    y = field(grid)
    overlap = overlap_add(y, grid, grid.taper(), identity, batch_size)
    assert overlap.weight.min() > 0
    assert overlap.terms.shape == (2, 2, *grid.shape)
    np.testing.assert_allclose(overlap.mean(), y, rtol=1e-5, atol=1e-6)


@quick
@given(window=st.integers(1, 8), turns=st.integers(2, 4), shift=st.integers(0, 3))
def test_a_circle_has_no_beginning(window: int, turns: int, shift: int) -> None:
    """A field turned by whole strides gives the answer turned by as many."""
    layout = line(periodic=["time"], window={"time": window})
    size = turns * max(window, layout.stride("time"))
    size -= size % layout.stride("time")
    if size <= window:
        return
    grid = WindowGrid.of(layout, {"time": size})
    y = field(grid, seen=0.7)
    turn = shift * layout.stride("time")
    straight = overlap_add(y, grid, grid.taper(), uneven, 3).mean()
    turned = overlap_add(np.roll(y, turn, -1), grid, grid.taper(), uneven, 3).mean()
    np.testing.assert_allclose(turned, np.roll(straight, turn, -1), rtol=1e-5, atol=1e-5)


def test_a_window_goes_past_a_periodic_end() -> None:
    """The last window of a circle of 10 holds its last and its first cells."""
    grid = WindowGrid.of(line(periodic=["time"], window={"time": 4}), {"time": 10})
    assert grid.starts == ((0, 2, 4, 6, 8),)
    assert [list(grid.cells((k,))[0]) for k in (0, 4)] == [[0, 1, 2, 3], [8, 9, 0, 1]]


def test_an_axis_shorter_than_its_window_is_taken_whole() -> None:
    """A field of 5 days and a window of 15 make one window of 5 days, not tapered."""
    grid = WindowGrid.of(line(window={"time": 15}), {"time": 5})
    assert (grid.windows, grid.starts) == ((5,), ((0,),))
    np.testing.assert_array_equal(grid.taper(), np.ones(5))


def test_an_axis_without_a_window_is_taken_whole() -> None:
    """What is not cut is neither cut nor tapered."""
    layout = Layout(["x"], axes=["lat", "lon"], window={"lon": 4})
    grid = WindowGrid.of(layout, {"lat": 6, "lon": 9})
    assert (grid.windows, grid.shape) == ((6, 4), (1, 4))
    np.testing.assert_array_equal(grid.taper(), np.repeat(grid.taper()[:1], 6, axis=0))


def test_a_window_counts_most_in_its_middle_and_not_least_nothing() -> None:
    """The taper is sin² of the cells' centres: symmetric, and above zero at the edges."""
    grid = WindowGrid.of(line(window={"time": 7}), {"time": 20})
    taper = grid.taper()
    np.testing.assert_allclose(taper, np.sin(np.pi * (np.arange(7) + 0.5) / 7) ** 2, rtol=1e-6)
    np.testing.assert_allclose(taper, taper[::-1], rtol=1e-6)
    assert 0 < taper[0] < taper[3] == taper.max()


def test_a_window_without_observations_is_passed_over() -> None:
    """It is never solved; its terms are NaN, and cells that no other reaches are NaN, weight 0."""
    grid = WindowGrid.of(line(window={"time": 4}, overlap={"time": 0.0}), {"time": 12})
    y = field(grid, members=1)
    y[..., 4:8] = np.nan
    solved: list[np.ndarray] = []

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        solved.extend(windows)
        return uneven(windows)

    overlap = overlap_add(y, grid, grid.taper(), solve, 5)
    assert len(solved) == 2
    assert all(np.isfinite(w).any() for w in solved)
    np.testing.assert_array_equal(overlap.weight[0] > 0, [True] * 4 + [False] * 4 + [True] * 4)
    np.testing.assert_array_equal(np.isnan(overlap.mean()[0, 0]), overlap.weight[0] == 0)
    np.testing.assert_array_equal(np.isnan(overlap.terms[:, 0]), [[False, True, False]] * 2)


def test_a_window_without_a_finite_solution_spoils_no_other() -> None:
    """It is left out, and said to be: cells that another window covers have the answer of that one."""
    grid = WindowGrid.of(line(window={"time": 4}), {"time": 8})
    y = field(grid, members=1)
    y[0, 0, 0] = 1e30

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = windows.copy()
        found[np.abs(windows).reshape(len(windows), -1).max(1) > 1e9, :, 1] = np.inf
        return found, np.zeros((2, len(windows)))

    with pytest.warns(Da4dvarWarning, match="1 windows have no finite solution and are left out; look for"):
        overlap = overlap_add(y, grid, grid.taper(), solve, 2)
    np.testing.assert_allclose(overlap.mean()[:, 0, 2:], y[:, 0, 2:], rtol=1e-6)
    assert np.isnan(overlap.mean()[:, 0, :2]).all()
    np.testing.assert_array_equal(np.isnan(overlap.terms[:, 0]), [[True, False, False]] * 2)


def test_nothing_is_solved_where_nothing_was_observed() -> None:
    """A field of NaN gives NaN, and does not call the solver with an empty batch."""
    grid = WindowGrid.of(line(window={"time": 4}), {"time": 9})

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("called")

    overlap = overlap_add(field(grid, seen=0.0), grid, grid.taper(), solve, 2)
    assert np.isnan(overlap.mean()).all()
    assert np.isnan(overlap.terms).all()


def test_one_variable_that_is_seen_is_enough() -> None:
    """A window is solved for all variables if any of them was observed in it."""
    grid = WindowGrid.of(line(), {"time": 3})
    y = field(grid, members=1)
    y[1] = np.nan
    overlap = overlap_add(y, grid, grid.taper(), uneven, 1)
    assert np.isfinite(overlap.mean()).all()


@quick
@given(cases(), st.integers(1, 50))
def test_progress_is_told_of_every_window(case: tuple[Layout, dict[str, int]], batch_size: int) -> None:
    """Windows that are passed over count as done."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    told: list[int] = []
    overlap_add(field(grid, seen=0.1), grid, grid.taper(), uneven, batch_size, told.append)
    assert sum(told) == 2 * len(list(grid))


@quick
@given(cases(), st.data())
def test_a_run_of_windows_is_the_grid_of_the_cells_it_covers(
    case: tuple[Layout, dict[str, int]], data: st.DataObject
) -> None:
    """Windows of the part hold the same cells as those of the whole."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    axis = data.draw(st.integers(0, len(grid.shape) - 1))
    straight = [n for n, s in enumerate(grid.starts[axis]) if s + grid.windows[axis] <= grid.sizes[axis]]
    first = data.draw(st.sampled_from(straight))
    last = data.draw(st.sampled_from([n + 1 for n in straight if n >= first]))
    part, cells = grid.rows(axis, first, last)
    whole = np.arange(np.prod(grid.sizes)).reshape(grid.sizes)
    cut = whole[(slice(None),) * axis + (cells,)]
    for number in part:
        there = (*number[:axis], number[axis] + first, *number[axis + 1 :])
        np.testing.assert_array_equal(cut[part.cells(number)], whole[grid.cells(there)])
