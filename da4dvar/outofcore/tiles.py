"""A field in disjoint regions: x̂(c) = Σ_w taper_w(c) x_w(c) / Σ_w taper_w(c), summed tile by tile.

Region k of an axis consists of the cells [b_k, b_{k+1}), tile k of the windows that start in them. A region
is at least as long as a window, so that a tile contributes only to its own region and the next. The
contributions to a region are added in a fixed order, which gives the same bits in whatever order the tiles
are solved.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from da4dvar.errors import DataError
from da4dvar.fields.windows.grid import WindowGrid

Number = tuple[int, ...]
Cells = tuple[slice, ...]


@dataclass(frozen=True)
class Tiles:
    """Division of a field into regions of cells and tiles of windows.

    Parameters
    ----------
    grid : WindowGrid
        Windows over all dimensions, with one cell along batch dimensions.
    bounds : tuple of tuple of int
        b of each dimension, from 0 to its size. A dimension that is periodic or not cut into windows has a
        single region.

    Raises
    ------
    DataError
        If a region between two others is shorter than a window.

    Examples
    --------
    >>> grid = WindowGrid((10,), (4,), ((0, 2, 4, 6),))
    >>> tiles = Tiles(grid, ((0, 5, 10),))
    >>> tiles.windows((0,)), tiles.extent((0,)), tiles.reached((0,))
    ((slice(0, 3, None),), (slice(0, 8, None),), [(0,), (1,)])
    """

    grid: WindowGrid
    bounds: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for edges, size, window in zip(self.bounds, self.grid.sizes, self.grid.windows, strict=True):
            between = np.diff(edges)[1:-1]
            if (edges[0], edges[-1]) != (0, size) or (np.diff(edges) < 1).any() or (between < window).any():
                raise DataError(
                    f"regions are bounded by {edges}, expected 0 to {size} in steps of {window} or more"
                )

    @classmethod
    def of(cls, grid: WindowGrid, regions: Sequence[int], turned: Sequence[bool] | None = None) -> Self:
        """Divide a field into regions of given sizes.

        Parameters
        ----------
        grid : WindowGrid
            Windows over all dimensions.
        regions : sequence of int
            Cells of a region along each dimension.
        turned : sequence of bool, optional
            Dimensions whose regions are counted from the end, because the output has the other direction.
        """
        bounds = []
        for n, region, other in zip(grid.sizes, regions, turned or [False] * len(regions), strict=True):
            if other:
                bounds.append((0, *sorted(range(n - region, 0, -region)), n))
            else:
                bounds.append((*range(0, n, region), n))
        return cls(grid, tuple(bounds))

    @property
    def shape(self) -> Number:
        """Number of regions along each dimension."""
        return tuple(len(edges) - 1 for edges in self.bounds)

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[Number]:
        return itertools.product(*(range(n) for n in self.shape))

    def region(self, number: Number) -> Cells:
        """Return the cells of a region."""
        return tuple(slice(edges[k], edges[k + 1]) for k, edges in zip(number, self.bounds, strict=True))

    def windows(self, number: Number) -> Cells:
        """Return the windows of a tile, which are those that start in its region."""
        return tuple(
            slice(int(np.searchsorted(starts, cells.start)), int(np.searchsorted(starts, cells.stop)))
            for starts, cells in zip(self.grid.starts, self.region(number), strict=True)
        )

    def extent(self, number: Number) -> Cells:
        """Return the cells from the start of a region to the end of the windows of its tile."""
        out = []
        for axis, (windows, cells) in enumerate(zip(self.windows(number), self.region(number), strict=True)):
            size, stop = self.grid.sizes[axis], cells.start
            if windows.start < windows.stop:
                stop = self.grid.starts[axis][windows.stop - 1] + self.grid.windows[axis]
            # A periodic dimension has a single region, which is all of it.
            out.append(slice(cells.start, min(stop, size)))
        return tuple(out)

    def subgrid(self, number: Number, axes: int) -> WindowGrid:
        """Return the windows of a tile along the last `axes` dimensions, relative to the tile's start."""
        extent, windows = self.extent(number)[-axes:], self.windows(number)[-axes:]
        return WindowGrid(
            tuple(cells.stop - cells.start for cells in extent),
            self.grid.windows[-axes:],
            tuple(
                tuple(s - cells.start for s in starts[some])
                for starts, some, cells in zip(self.grid.starts[-axes:], windows, extent, strict=True)
            ),
        )

    def shared(self, tile: Number, region: Number) -> Cells:
        """Return the cells of a region to which a tile contributes; slices are empty if there are none."""
        return tuple(
            slice(max(a.start, b.start), max(min(a.stop, b.stop), max(a.start, b.start)))
            for a, b in zip(self.extent(tile), self.region(region), strict=True)
        )

    def _neighbours(self, number: Number, step: int) -> Iterator[Number]:
        """Iterate over a region and its neighbours on one side, in order."""
        steps = sorted(itertools.product((0, step), repeat=len(number)))
        for offset in steps:
            near = tuple(k + o for k, o in zip(number, offset, strict=True))
            if all(0 <= k < n for k, n in zip(near, self.shape, strict=True)):
                yield near

    def reached(self, tile: Number) -> list[Number]:
        """Return the regions to which a tile contributes, including its own if it has windows."""
        near = self._neighbours(tile, 1)
        return [r for r in near if all(c.start < c.stop for c in self.shared(tile, r))]

    def contributors(self, region: Number) -> list[Number]:
        """Return the tiles that contribute to a region, in the order of summation."""
        near = self._neighbours(region, -1)
        return [t for t in near if all(c.start < c.stop for c in self.shared(t, region))]

    def reaching(self, region: Number) -> Cells:
        """Return the windows of any tile that overlap a region."""
        out = []
        for axis, cells in enumerate(self.region(region)):
            starts, window = self.grid.starts[axis], self.grid.windows[axis]
            whole = self.shape[axis] == 1
            first = 0 if whole else int(np.searchsorted(starts, cells.start - window, side="right"))
            out.append(slice(first, int(np.searchsorted(starts, cells.stop))))
        return tuple(out)

    def weight(self, region: Number, solved: np.ndarray) -> np.ndarray:
        """Return Σ_w taper_w of a region, recomputed from the windows that were solved.

        Parameters
        ----------
        region : tuple of int
            Number of the region along each dimension.
        solved : array of bool, shape that of `reaching(region)`
            Windows that had observations and were solved.

        Returns
        -------
        array of float32, shape that of the region
        """
        taper, cells = self.grid.taper(), self.region(region)
        out = np.zeros([c.stop - c.start for c in cells], dtype="float32")
        begin = [windows.start for windows in self.reaching(region)]
        for index in zip(*np.nonzero(solved), strict=True):
            into, out_of = [], []
            for axis, c in enumerate(cells):
                start, window = self.grid.starts[axis][begin[axis] + index[axis]], self.grid.windows[axis]
                covered = np.arange(start, start + window) % self.grid.sizes[axis]
                inside = (covered >= c.start) & (covered < c.stop)
                into.append(covered[inside] - c.start)
                out_of.append(np.flatnonzero(inside))
            out[np.ix_(*into)] += taper[np.ix_(*out_of)]
        return out
