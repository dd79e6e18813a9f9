"""Grid of overlapping windows, and the weighted sum of their solutions."""

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
    """Positions of windows, which depend only on the sizes of the data set.

    Parameters
    ----------
    sizes : tuple of int
        Cells of the field along each dimension of the layout.
    windows : tuple of int
        Cells of a window along each dimension.
    starts : tuple of tuple of int
        First cells of the windows along each dimension. The last window ends at the end of the field, except
        along periodic dimensions.

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
        """Return the grid of a layout on a field. An axis shorter than its window gets a single window.

        Parameters
        ----------
        layout : Layout
            Layout with windows and overlaps.
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
        """Number of windows along each dimension."""
        return tuple(len(s) for s in self.starts)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Iterate over the windows, as tuples of their index along each dimension."""
        return itertools.product(*(range(n) for n in self.shape))

    def cells(self, number: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Return an open mesh of the cells of a window, wrapped around at the end of periodic dimensions.

        Parameters
        ----------
        number : tuple of int
            Index of the window along each dimension.

        Returns
        -------
        tuple of array of int
            Mesh in the form of :func:`numpy.ix_`.
        """
        return np.ix_(
            *(
                (starts[n] + np.arange(window)) % size
                for n, starts, window, size in zip(number, self.starts, self.windows, self.sizes, strict=True)
            )
        )

    def taper(self) -> np.ndarray:
        """sin²(π (i + ½) / n) along each dimension that is cut: weight of the cells of a window.

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
        """Return the windows from `first` to `last` along one axis, and the cells that they cover there.

        Parameters
        ----------
        axis : int
            Index of the dimension in the layout.
        first, last : int
            Window indices along the axis, `last` excluded.

        Returns
        -------
        grid : WindowGrid
            Grid of these windows.
        cells : slice
            Cells of the field along the axis.
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
        Sum of the weighted estimates.
    weight : array, shape ``(batch, *sizes)``
        Sum of the weights, zero in cells that no solved window covers.
    terms : array, shape ``(2, batch, *grid.shape)``
        Observation and prior terms of each window, NaN for windows that were not solved.

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
        """Return the field, the weighted mean over the windows.

        Returns
        -------
        array, shape ``(variable, batch, *sizes)``
            NaN in cells that no solved window covers.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.weight > 0, self.total / self.weight, np.nan)


def check_batch_size(batch_size: int) -> None:
    """Raise an error if the batch size is below 1.

    Raises
    ------
    DataError
        If `batch_size` is below 1.
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
    """Solve all windows with observations or a first guess, and add up the tapered solutions.

    Parameters
    ----------
    y : array, shape ``(variable, batch, *grid.sizes)``
        Normalised field, NaN where not observed.
    grid : WindowGrid
        Grid of the windows.
    taper : array, shape grid.windows
        Weight of each cell of a window.
    solve : callable
        Function from windows, shape ``(n, variable, *grid.windows)``, to the estimates of the state
        variables, shape ``(n, sought, *grid.windows)``, and both cost terms, shape ``(2, n)``.
    batch_size : int
        Number of windows passed to `solve` at once.
    done : callable, optional
        Called after each batch with its number of windows, whether solved or skipped.
    entries : Entries, optional
        Meaning of the entries along the first axis. By default all are observed state variables.

    Returns
    -------
    Overlap
        Weighted sums over the windows.

    Warns
    -----
    Da4dvarWarning
        If a solution is not finite. Its window is ignored, as if nothing was observed in it.

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
                    # It must not affect cells that other windows cover.
                    lost += 1
                    continue
                total[:, member][every + cells] += taper * x[k]
                weight[member][cells] += taper
                terms[(*every, member, *number)] = costs[:, k]
        if done is not None:
            done(len(places))
    if lost:
        warn(
            f"{lost} windows have no finite solution and are ignored; check the data for invalid values, "
            "such as a fill value that no attribute declares"
        )
    return Overlap(total, weight, terms)
