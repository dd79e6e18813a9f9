"""A grid of overlapping windows, and the field that their answers add up to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from da4dvar.errors import DataError, warn
from da4dvar.fields.channels import Entries
from da4dvar.layout import Layout

Solve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class WindowGrid:
    """Where windows begin, from the sizes of a data set alone.

    Parameters
    ----------
    sizes : tuple of int
        The field's cells along each of the layout's dimensions.
    windows : tuple of int
        A window's cells along each.
    starts : tuple of tuple of int
        The first cells of the windows along each. The last window ends where the field ends.

    Examples
    --------
    >>> layout = Layout(["sst"], axes=["lat"], channels=["time"], window={"time": 4})
    >>> grid = WindowGrid.of(layout, {"time": 9, "lat": 3})
    >>> grid.starts, grid.shape
    (((0, 2, 4, 5), (0,)), (4, 1))
    """

    sizes: tuple[int, ...]
    windows: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, layout: Layout, sizes: Mapping[str, int]) -> Self:
        """The grid of a layout on a field; an axis shorter than its window is taken whole.

        Parameters
        ----------
        layout : Layout
        sizes : mapping of str to int
            Cells along each dimension of the layout.

        Returns
        -------
        WindowGrid
        """
        cells: list[int] = []
        windows: list[int] = []
        starts: list[tuple[int, ...]] = []
        for dim in layout.dims:
            size = sizes[dim]
            window = min(layout.window.get(dim, size), size)
            cells.append(size)
            windows.append(window)
            if window == size:
                starts.append((0,))
            elif dim in layout.periodic:
                starts.append(tuple(range(0, size, layout.stride(dim))))
            else:
                first = range(0, size - window, layout.stride(dim))
                starts.append((*first, size - window))
        return cls(tuple(cells), tuple(windows), tuple(starts))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows along each dimension."""
        return tuple(len(s) for s in self.starts)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The number of each window along each dimension, in order."""
        return itertools.product(*(range(n) for n in self.shape))

    def cells(self, number: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """An open mesh of the cells of a window; past a periodic end it goes on at the beginning.

        Parameters
        ----------
        number : tuple of int
            Of the window, along each dimension.

        Returns
        -------
        tuple of array of int
            As :func:`numpy.ix_` gives them.
        """
        return np.ix_(
            *(
                (starts[n] + np.arange(window)) % size
                for n, starts, window, size in zip(number, self.starts, self.windows, self.sizes, strict=True)
            )
        )

    def taper(self) -> np.ndarray:
        """sin²(π (i + ½) / n) along every dimension that is cut: a window counts least at its edges.

        Returns
        -------
        array, shape ``(*windows)``
            Above 0 everywhere.
        """
        weight = np.ones(self.windows, dtype="float32")
        for axis, (window, size) in enumerate(zip(self.windows, self.sizes, strict=True)):
            if window < size:
                profile = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
                shape = [-1 if a == axis else 1 for a in range(len(self.windows))]
                weight = weight * profile.reshape(shape).astype("float32")
        return weight

    def rows(self, axis: int, first: int, last: int) -> tuple[Self, slice]:
        """The windows from `first` up to `last` along one axis, and the cells they cover there.

        Parameters
        ----------
        axis : int
            Of the layout's dimensions.
        first, last : int
            Numbers along it; `last` is not among them.

        Returns
        -------
        grid : WindowGrid
            Of these windows alone.
        cells : slice
        """
        begin = self.starts[axis][first]
        end = self.starts[axis][last - 1] + self.windows[axis]
        starts = tuple(s - begin for s in self.starts[axis][first:last])
        sizes = (*self.sizes[:axis], end - begin, *self.sizes[axis + 1 :])
        all_starts = (*self.starts[:axis], starts, *self.starts[axis + 1 :])
        return type(self)(sizes, self.windows, all_starts), slice(begin, end)


@dataclass
class Overlap:
    """Weighted sums over windows.

    Parameters
    ----------
    total : array, shape ``(variable, batch, *sizes)``
    weight : array, shape ``(batch, *sizes)``
        Zero where no window of which something is known reaches.
    terms : array, shape ``(2, batch, *grid.shape)``
        The observation and prior terms of each window; NaN for one without observations.

    Examples
    --------
    >>> total, weight = np.array([[[2.0, 6.0, 0.0]]]), np.array([[1.0, 2.0, 0.0]])
    >>> Overlap(total, weight, np.zeros((2, 1, 2))).mean()
    array([[[ 2.,  3., nan]]])
    """

    total: np.ndarray
    weight: np.ndarray
    terms: np.ndarray

    def mean(self) -> np.ndarray:
        """The field, from the sums of the windows.

        Returns
        -------
        array, shape ``(variable, batch, *sizes)``
            NaN where no window reaches.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.weight > 0, self.total / self.weight, np.nan)


def check_batch_size(batch_size: int) -> None:
    """Refuse a number of windows with which none would be solved.

    Raises
    ------
    DataError
    """
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}, expected 1 or more")


def overlap_add(
    y: np.ndarray,
    grid: WindowGrid,
    taper: np.ndarray,
    solve: Solve,
    batch_size: int,
    done: Callable[[int], None] | None = None,
    entries: Entries | None = None,
) -> Overlap:
    """Solve every window of which something is known, and add up the answers.

    Parameters
    ----------
    y : array, shape ``(variable, batch, *grid.sizes)``
        NaN where not observed.
    grid : WindowGrid
        Where the windows are.
    taper : array, shape grid.windows
        What an answer counts with in each of its cells.
    solve : callable
        From windows, shape ``(n, variable, *grid.windows)``, to estimates of the variables that are
        sought, shape ``(n, sought, *grid.windows)``, and to both terms of the cost, shape (2, n).
    batch_size : int
        Windows handed to `solve` at once.
    done : callable, optional
        Told the number of windows solved or passed over.
    entries : Entries, optional
        What stands along the first axis; only variables that are observed and sought if not given.

    Returns
    -------
    Overlap

    Warns
    -----
    Da4dvarWarning
        If a solution is not finite: its window is left out, as if nothing of it were known.

    Examples
    --------
    >>> grid = WindowGrid.of(Layout(["x"], axes=["time"], window={"time": 4}), {"time": 6})
    >>> y = np.array([[[np.nan, 1.0, np.nan, np.nan, 3.0, np.nan]]], dtype="float32")
    >>> def mean(windows):
    ...     usual = np.nanmean(windows, axis=(1, 2), keepdims=True)
    ...     return np.broadcast_to(usual, windows.shape), np.zeros((2, len(windows)))
    >>> overlap_add(y, grid, grid.taper(), mean, batch_size=8).mean().round(1)
    array([[[1. , 1. , 1.3, 2.7, 3. , 3. ]]], dtype=float32)
    """
    entries = entries or Entries(len(y))
    total = np.zeros((entries.sought, *y.shape[1:]), dtype="float32")
    weight = np.zeros(y.shape[1:], dtype="float32")
    terms = np.full((2, y.shape[1], *grid.shape), np.nan, dtype="float32")
    every: tuple[Any, ...] = (slice(None),)
    everything = itertools.product(range(y.shape[1]), grid)
    lost = 0
    while some := list(itertools.islice(everything, batch_size)):
        places = [(member, number, grid.cells(number)) for member, number in some]
        full = [p for p in places if np.isfinite(y[: entries.telling, p[0]][every + p[2]]).any()]
        if full:
            x, costs = solve(np.stack([y[:, member][every + cells] for member, _, cells in full]))
            for k, (member, number, cells) in enumerate(full):
                if not np.isfinite(x[k]).all():
                    # It must not reach the cells that other windows cover.
                    lost += 1
                    continue
                total[:, member][every + cells] += taper * x[k]
                weight[member][cells] += taper
                terms[(*every, member, *number)] = costs[:, k]
        if done is not None:
            done(len(places))
    if lost:
        warn(
            f"{lost} windows have no finite solution and are left out; look for values that are no "
            "observations, such as a fill value that no attribute declares"
        )
    return Overlap(total, weight, terms)
