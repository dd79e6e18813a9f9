"""Cut a field to fit in memory: memory ≥ BASE + batch · window + cells of a tile · bytes per cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from da4dvar.analysis.problem import Problem, pose_part
from da4dvar.config.types import readable_bytes
from da4dvar.errors import DataError
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.outofcore.regions import chunked, largest_regions, least_regions, tile_cells
from da4dvar.outofcore.source import Source

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

# Bytes of Python, its libraries and a first solution without data (measured: 440 MB).
BASE = 480 * 10**6
# Bytes per cell and variable in addition to its source, for normalising, summing, restoring and labelling.
CELL = 64
# The solution of a window takes some hundred times the bytes of its values, and never more than this so far.
LARGEST_SOLUTION = 1000
# With a GPU, only its input and output are in the memory of the process.
LARGEST_TRANSFER = 12
# The libraries used by torch have working memory that is not in tensors.
MARGIN = 1.5


@dataclass(frozen=True)
class Plan:
    """Division of a field into regions.

    Attributes
    ----------
    dims : tuple of str
        Dimensions, batch dimensions first and then those of the model.
    grid : WindowGrid
        Windows over all dimensions.
    regions, chunks : tuple of int
        Cells of a region and of a chunk of the output along each dimension.
    batch_size : int
        Number of windows solved at once.
    """

    dims: tuple[str, ...]
    grid: WindowGrid
    regions: tuple[int, ...]
    chunks: tuple[int, ...]
    batch_size: int

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The plan that :func:`dataclasses.asdict` and JSON made a table of.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            return cls(**{**_tuples(kept), "grid": WindowGrid(**_tuples(kept["grid"]))})
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                "the plan of the interrupted run is broken; start over with --overwrite"
            ) from error


def _tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Entries whose lists, which JSON makes of tuples, are tuples again."""

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return {name: frozen(value) for name, value in kept.items()}


def cell_bytes(source: Source) -> int:
    """Return the largest number of bytes that a cell takes, over all variables."""
    itemsizes = [a.dtype.itemsize for a in source.whole.sources.values()]
    others = len(source.signature.covariates) + (source.mask is not None)
    return sum(CELL + 3 * size for size in itemsizes) + 16 * others


def surely_fits(
    source: Source, problem_bytes: int, batch_size: int, memory: int, device: str = "cpu"
) -> bool:
    """Whether a data set fits in memory even if the solver needs as much as ever; runs no solver."""
    most = LARGEST_SOLUTION if device == "cpu" else LARGEST_TRANSFER
    return in_memory_bytes(source) + batch_size * problem_bytes * most <= memory


def in_memory_bytes(source: Source) -> int:
    """Return the bytes needed to interpolate a data set in memory, without those of the solver."""
    cells = max(int(np.prod(a.shape, dtype=np.int64)) for a in source.whole.sources.values())
    return BASE + cells * cell_bytes(source)


def full_grid(
    model: Interpolator, y: xr.DataArray, windows: WindowGrid
) -> tuple[tuple[str, ...], WindowGrid]:
    """Return all dimensions and the windows over them; windows have one cell along batch dimensions."""
    dims = tuple(str(d) for d in y.dims[1:])
    batch = [y.sizes[d] for d in dims[: len(dims) - len(model.layout.dims)]]
    grid = WindowGrid(
        (*batch, *windows.sizes),
        (*[1] * len(batch), *windows.windows),
        (*(tuple(range(n)) for n in batch), *windows.starts),
    )
    return dims, grid


@dataclass(frozen=True)
class Needs:
    """Memory requirements of a solution, from which a plan is made.

    Attributes
    ----------
    dims : tuple of str
        See :class:`Plan`.
    grid : WindowGrid
        See :class:`Plan`.
    cut : list of bool
        Dimensions that may be cut into regions.
    window, cell : int
        Bytes of the solution of a window, and of a cell.
    """

    dims: tuple[str, ...]
    grid: WindowGrid
    cut: list[bool]
    window: int
    cell: int

    @classmethod
    def of(
        cls,
        model: Interpolator,
        source: Source,
        observation_error: float | None = None,
        device: str = "cpu",
    ) -> Self:
        """Measure the requirements of a model without a first guess on a data set."""
        from da4dvar.outofcore.memory import window_bytes

        problem = pose_part(model, source.whole, observation_error, device=device)
        dims, grid = full_grid(model, problem.y, problem.grid(model))
        one = window_bytes(problem.solve, problem.y.sizes["variable"], window_of(model, problem))
        return cls(dims, grid, may_be_cut(model, dims, grid), int(MARGIN * one), cell_bytes(source))

    def bytes(self, regions: Sequence[int] | None = None, batch_size: int = 1) -> int:
        """Return the bytes of a process that solves `batch_size` windows at once.

        `regions` are the cells of a region along each dimension, by default those of the smallest regions.
        """
        sizes, windows = self.grid.sizes, self.grid.windows
        cells = tile_cells(sizes, windows, regions or least_regions(sizes, windows, self.cut))
        return BASE + cells * self.cell + batch_size * self.window

    def plan(self, memory: int, batch_size: int = 16, tiles: int = 1) -> Plan:
        """Return the largest regions, and their chunks, whose solution fits in memory.

        Parameters
        ----------
        memory : int
            Memory of a process in bytes.
        batch_size : int
            Number of windows solved at once; reduced if they do not fit.
        tiles : int
            Smallest number of regions, if the field has as many windows.

        Returns
        -------
        Plan

        Raises
        ------
        DataError
            If the memory is too small for the smallest regions.
        """
        least = self.bytes()
        if least > memory:
            raise DataError(
                f"memory is {readable_bytes(memory)}, but one window and the cells around it need "
                f"{readable_bytes(least)}; give at least --memory {readable_bytes(least)}"
            )
        batch = max(1, min(batch_size, (memory - least) // self.window + 1))
        sizes, windows = self.grid.sizes, self.grid.windows
        fewest = tile_cells(sizes, windows, least_regions(sizes, windows, self.cut))
        cells = min((memory - BASE - batch * self.window) // self.cell, math.prod(sizes))
        while True:
            regions = largest_regions(sizes, windows, self.cut, max(cells, fewest))
            assert regions is not None
            if cells <= fewest or math.prod(-(-n // r) for n, r in zip(sizes, regions, strict=True)) >= tiles:
                break
            cells = cells * 7 // 8
        regions, chunks = chunked(sizes, windows, regions)
        return Plan(self.dims, self.grid, regions, chunks, batch)


def may_be_cut(model: Interpolator, dims: Sequence[str], grid: WindowGrid) -> list[bool]:
    """Return which dimensions may be cut; periodic ones may not, since a window may need both ends."""
    return [
        (window < size and dim not in model.layout.periodic) or dim not in model.layout.dims
        for dim, window, size in zip(dims, grid.windows, grid.sizes, strict=True)
    ]


def window_of(model: Interpolator, problem: Problem) -> tuple[int, ...]:
    """Return the cells of a window along each dimension of the layout."""
    return problem.grid(model).windows
