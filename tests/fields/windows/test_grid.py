"""Window grid and overlap-add, for any sizes, windows, overlaps and periodic dimensions."""

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
    """Generate a layout of one to three dimensions and the sizes of a field."""
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
    """Return the observations as estimate."""
    return y, np.zeros((2, len(y)))


def uneven(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates that depend on the position in the window, and terms that identify windows."""
    filled = np.nan_to_num(y)
    terms = np.stack([filled.reshape(len(y), -1).sum(1), np.isnan(y).reshape(len(y), -1).sum(1)])
    return np.cumsum(filled, axis=-1), terms


def field(grid: WindowGrid, seed: int = 0, members: int = 2, seen: float = 1.0) -> np.ndarray:
    """Return random values of shape (2, members, *sizes), NaN in the gaps."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((2, members, *grid.sizes)).astype("float32")
    return np.where(generator.random(values.shape) < seen, values, np.float32(np.nan))


def line(**settings_of: Any) -> Layout:
    """Return a layout of a single axis."""
    return Layout(["x"], axes=["time"], **settings_of)


@quick
@given(cases())
def test_windows_of_one_size_cover_the_field(case):
    """Every cell is covered, strides are respected, and windows do not extend beyond non-periodic ends."""
    layout, sizes = case
    grid = WindowGrid.of(layout, {"member": 7, **dict(reversed(sizes.items()))})
    covered = np.zeros(grid.sizes, dtype=int)
    for number in grid:
        assert covered[grid.cells(number)].shape == grid.windows
        covered[grid.cells(number)] += 1
    assert covered.min() >= 1
    for dim, starts, window in zip(layout.dims, grid.starts, grid.windows, strict=True):
        assert starts[0] == 0
        assert window == min(layout.window.get(dim, sizes[dim]), sizes[dim])
        if dim not in layout.periodic:
            assert starts[-1] + window == sizes[dim]
        if len(starts) > 1:
            assert 1 <= np.diff(starts).min() <= np.diff(starts).max() <= layout.stride(dim)


@quick
@given(cases(), st.integers(1, 50))
def test_windows_of_the_identity_add_up_to_the_field(case, batch):
    """With the identity as solver, the tapered sum is the field; progress counts every window."""
    layout, sizes = case
    grid = WindowGrid.of(layout, sizes)
    y, told = field(grid), []
    overlap = overlap_add(y, grid, grid.taper(), identity, batch, told.append)
    assert overlap.weight.min() > 0
    assert overlap.terms.shape == (2, 2, *grid.shape)
    assert sum(told) == 2 * len(list(grid))
    np.testing.assert_allclose(overlap.mean(), y, rtol=1e-5, atol=1e-6)


def test_the_taper_is_sin_squared_along_dimensions_that_are_cut():
    """The taper is sin² of the cell centres, and constant along whole dimensions."""
    layout = Layout(["x"], axes=["lat", "lon"], window={"lat": 15, "lon": 7})
    taper = WindowGrid.of(layout, {"lat": 5, "lon": 20}).taper()
    expected = np.sin(np.pi * (np.arange(7) + 0.5) / 7) ** 2
    np.testing.assert_allclose(taper, np.broadcast_to(expected, (5, 7)), rtol=1e-6)


@quick
@given(window=st.integers(1, 8), turns=st.integers(2, 4), shift=st.integers(0, 3))
def test_a_circle_has_no_beginning(window, turns, shift):
    """A field rotated by whole strides gives the rotated result."""
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


def test_a_window_without_observations_is_passed_over():
    """Windows without observations are not solved; without a finite solution, they are ignored."""
    grid = WindowGrid.of(line(window={"time": 4}, overlap={"time": 0.0}), {"time": 12})
    y = field(grid, members=1)
    y[..., 4:8] = y[1] = np.nan
    solved, told = [], []

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        solved.extend(windows)
        return uneven(windows)

    overlap = overlap_add(y, grid, grid.taper(), solve, 1, told.append)
    assert (len(solved), sum(told)) == (2, 3)
    np.testing.assert_array_equal(overlap.weight[0] > 0, [True] * 4 + [False] * 4 + [True] * 4)
    np.testing.assert_array_equal(np.isnan(overlap.mean()[:, 0]), [overlap.weight[0] == 0] * 2)
    np.testing.assert_array_equal(np.isnan(overlap.terms[:, 0]), [[False, True, False]] * 2)
    grid = WindowGrid.of(line(window={"time": 4}), {"time": 8})
    y = field(grid, members=1)
    y[0, 0, 0] = 1e30

    def solve(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = windows.copy()
        found[np.abs(windows).reshape(len(windows), -1).max(1) > 1e9, :, 1] = np.inf
        return found, np.zeros((2, len(windows)))

    with pytest.warns(Da4dvarWarning, match="1 windows have no finite solution and are ignored; check"):
        overlap = overlap_add(y, grid, grid.taper(), solve, 2)
    np.testing.assert_allclose(overlap.mean()[:, 0, 2:], y[:, 0, 2:], rtol=1e-6)
    assert np.isnan(overlap.mean()[:, 0, :2]).all()
    np.testing.assert_array_equal(np.isnan(overlap.terms[:, 0]), [[True, False, False]] * 2)


@quick
@given(cases(), st.data())
def test_a_run_of_windows_is_the_grid_of_the_cells_it_covers(case, data):
    """Windows of a part of the grid have the same cells as in the whole grid."""
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
