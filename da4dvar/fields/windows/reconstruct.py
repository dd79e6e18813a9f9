"""Solution of all windows of a labelled field, immediately or, for lazy fields, as dask tasks."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import dask.array
import numpy as np
import xarray as xr
from dask.delayed import Delayed, delayed

from da4dvar.fields.channels import Entries
from da4dvar.fields.windows.grid import Overlap, Solve, WindowGrid, check_batch_size, overlap_add

Progress = Callable[[int, int], None]


def of_runs(progress: Progress | None, run: int, runs: int) -> Progress | None:
    """Return a progress callback for one of several runs, which reports to that of all runs."""
    if progress is None:
        return None
    return lambda done, windows: progress(run * windows + done, runs * windows)


def reconstruct(
    y: xr.DataArray,
    grid: WindowGrid,
    solve: Solve,
    batch_size: int,
    progress: Progress | None = None,
    entries: Entries | None = None,
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Solve all windows of a field.

    Parameters
    ----------
    y : DataArray, dims ``(variable, *batch, *dims of the grid)``
        Normalised field, NaN where not observed.
    grid : WindowGrid
        Grid of the windows.
    solve : callable
        See :func:`da4dvar.fields.windows.grid.overlap_add`.
    batch_size : int
        Number of windows passed to `solve` at once.
    progress : callable, optional
        Called with the number of finished windows and their total. Not called for lazy fields.
    entries : Entries, optional
        Meaning of the entries along ``variable``. By default all are observed state variables.

    Returns
    -------
    x : DataArray, dims of `y`
        Estimates of the state variables, NaN where nothing could be estimated.
    weight : DataArray, dims of `y` without the variable
        Sum of the window weights, zero where nothing could be estimated.
    terms : DataArray, dims ``(term, *batch, window_<dim>...)``
        Observation and prior terms of each window.

    Raises
    ------
    DataError
        If `batch_size` is less than 1.
    """
    check_batch_size(batch_size)
    entries = entries or Entries(y.sizes["variable"])
    axes = y.dims[y.ndim - len(grid.sizes) :]
    batch = y.dims[1 : y.ndim - len(axes)]
    members = int(np.prod([y.sizes[d] for d in batch], dtype=int))
    flat = y.data.reshape(y.sizes["variable"], members, *grid.sizes)
    found: tuple[np.ndarray | dask.array.Array, ...]
    if y.chunks is None:
        found = _at_once(flat, grid, solve, batch_size, progress, entries)
    else:
        found = _lazily(flat, grid, solve, batch_size, entries)
    x, weight, terms = found
    shape = [y.sizes[d] for d in batch]
    window_dims = [f"window_{d}" for d in axes]
    return (
        xr.DataArray(x.reshape(x.shape[0], *y.shape[1:]), dims=y.dims),
        xr.DataArray(weight.reshape(*shape, *grid.sizes), dims=(*batch, *axes)),
        xr.DataArray(terms.reshape(2, *shape, *grid.shape), dims=("term", *batch, *window_dims)),
    )


def _at_once(
    y: np.ndarray,
    grid: WindowGrid,
    solve: Solve,
    batch_size: int,
    progress: Progress | None,
    entries: Entries,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    windows = y.shape[1] * int(np.prod(grid.shape))
    finished = 0

    def tell(count: int) -> None:
        nonlocal finished
        finished += count
        if progress is not None:
            progress(finished, windows)

    overlap = overlap_add(y, grid, grid.taper(), solve, batch_size, tell, entries)
    return overlap.mean(), overlap.weight, overlap.terms


def _lazily(
    y: dask.array.Array, grid: WindowGrid, solve: Solve, batch_size: int, entries: Entries
) -> tuple[dask.array.Array, dask.array.Array, dask.array.Array]:
    """Build one task for each run of windows along the longest axis, and one for each output chunk."""
    axis = max(range(len(grid.shape)), key=lambda a: grid.shape[a] * _runs_straight(grid, a))
    rows = grid.shape[axis] if _runs_straight(grid, axis) else 1
    per_row = int(np.prod(grid.shape)) // grid.shape[axis]
    step = min(rows, max(2, -(-batch_size // per_row)))
    groups = [(a, min(a + step, rows)) for a in range(0, rows, step)]
    if rows == 1:
        groups = [(0, grid.shape[axis])]
    block = max(1, batch_size // (per_row * step))
    # One task holds the network and one the taper; otherwise every task would hold a copy of them.
    run = uuid4().hex
    shared = delayed(solve, name=f"solve-{run}", traverse=False)
    taper = delayed(grid.taper(), name=f"taper-{run}", traverse=False)
    columns = [
        _members(y[:, first : first + block], grid, axis, groups, shared, taper, batch_size, entries)
        for first in range(0, y.shape[1], block)
    ]
    joined = dask.array.concatenate([c[0] for c in columns], axis=1)
    terms = dask.array.concatenate([c[1] for c in columns], axis=1)
    return joined[:-1], joined[-1], terms


def _runs_straight(grid: WindowGrid, axis: int) -> bool:
    """Whether no window wraps around the end of an axis."""
    return grid.starts[axis][-1] + grid.windows[axis] <= grid.sizes[axis]


def _members(
    y: dask.array.Array,
    grid: WindowGrid,
    axis: int,
    groups: list[tuple[int, int]],
    solve: Delayed,
    taper: Delayed,
    batch_size: int,
    entries: Entries,
) -> tuple[dask.array.Array, dask.array.Array]:
    parts, terms, begins = [], [], []
    for first, last in groups:
        whole = (first, last) == (0, grid.shape[axis])
        sub, cells = (grid, slice(0, grid.sizes[axis])) if whole else grid.rows(axis, first, last)
        at = (slice(None),) * (2 + axis) + (cells,)
        # One chunk, not optimised separately, so that neighbours share the chunks that they read.
        block = y[at].rechunk(-1).to_delayed(optimize_graph=False).item()
        part = delayed(overlap_add, pure=False)(block, sub, taper, solve, batch_size, None, entries)
        parts.append((part, cells))
        begins.append(cells.start)
        shape = (2, y.shape[1], *sub.shape)
        terms.append(dask.array.from_delayed(part.terms, shape, "float32"))
    pieces = []
    for begin, end in zip(begins, [*begins[1:], grid.sizes[axis]], strict=True):
        reach = [(p, c.start) for p, c in parts if c.start < end and c.stop > begin]
        piece = delayed(_piece, pure=False)([p for p, _ in reach], [s for _, s in reach], axis, begin, end)
        sizes = [end - begin if a == axis else n for a, n in enumerate(grid.sizes)]
        shape = (entries.sought + 1, y.shape[1], *sizes)
        pieces.append(dask.array.from_delayed(piece, shape, "float32"))
    return (
        dask.array.concatenate(pieces, axis=2 + axis),
        dask.array.concatenate(terms, axis=2 + axis),
    )


def _piece(parts: list[Overlap], starts: list[int], axis: int, begin: int, end: int) -> np.ndarray:
    """Return the estimate from `begin` to `end`, with its weight as an additional variable."""
    shape = list(parts[0].total.shape)
    shape[2 + axis] = end - begin
    total = np.zeros(shape, dtype="float32")
    weight = np.zeros(shape[1:], dtype="float32")
    for part, start in zip(parts, starts, strict=True):
        first, last = max(begin, start), min(end, start + part.total.shape[2 + axis])
        into = (slice(None),) * (1 + axis) + (slice(first - begin, last - begin),)
        out_of = (slice(None),) * (1 + axis) + (slice(first - start, last - start),)
        total[(slice(None), *into)] += part.total[(slice(None), *out_of)]
        weight[into] += part.weight[out_of]
    return np.concatenate([Overlap(total, weight, np.empty(0)).mean(), weight[None]])
