"""memory ≥ BASE + batch · window + cells of a tile · bytes of a cell: how a field is cut so that it fits."""

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

# What Python, its libraries and a first solution take, without any data (measured: 440 MB).
BASE = 480 * 10**6
# Of every cell and variable beside its source: it is normalised, summed, restored and labelled.
CELL = 64
# A window's solution takes some hundred times its values; more than this has not been seen.
LARGEST_SOLUTION = 1000
# Libraries beneath torch have working space that is not in a tensor.
MARGIN = 1.5


@dataclass(frozen=True)
class Plan:
    """How a field is cut.

    Attributes
    ----------
    dims : tuple of str
        The model's dimensions, those of a batch first.
    grid : WindowGrid
        Over all of them.
    regions, chunks : tuple of int
        Cells along each of them.
    batch_size : int
        Windows solved at once.
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
    """What a cell takes at the most, over all variables."""
    itemsizes = [a.dtype.itemsize for a in source.whole.sources.values()]
    others = len(source.signature.covariates) + (source.mask is not None)
    return sum(CELL + 3 * size for size in itemsizes) + 16 * others


def surely_fits(source: Source, problem_bytes: int, batch_size: int, memory: int) -> bool:
    """Whether a data set needs no streaming, without a trial of the solver."""
    return in_memory_bytes(source) + batch_size * problem_bytes * LARGEST_SOLUTION <= memory


def in_memory_bytes(source: Source) -> int:
    """What the usual way takes for a data set, but for the solver."""
    cells = max(int(np.prod(a.shape, dtype=np.int64)) for a in source.whole.sources.values())
    return BASE + cells * cell_bytes(source)


def full_grid(
    model: Interpolator, y: xr.DataArray, windows: WindowGrid
) -> tuple[tuple[str, ...], WindowGrid]:
    """The windows over every dimension: those of a batch are of one cell."""
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
    """What a solution takes, however the field is cut.

    Attributes
    ----------
    dims : tuple of str
    grid : WindowGrid
        See :class:`Plan`.
    cut : list of bool
        Dimensions that may be cut in regions.
    window, cell : int
        Bytes of a window's solution, and of a cell.
    """

    dims: tuple[str, ...]
    grid: WindowGrid
    cut: list[bool]
    window: int
    cell: int

    @classmethod
    def of(cls, model: Interpolator, source: Source, observation_error: float | None = None) -> Self:
        """Those of a model, without a first guess, on a data set."""
        from da4dvar.outofcore.memory import window_bytes

        problem = pose_part(model, source.whole, observation_error)
        dims, grid = full_grid(model, problem.y, problem.grid(model))
        one = window_bytes(problem.solve, problem.y.sizes["variable"], window_of(model, problem))
        return cls(dims, grid, may_be_cut(model, dims, grid), int(MARGIN * one), cell_bytes(source))

    def bytes(self, regions: Sequence[int] | None = None, batch_size: int = 1) -> int:
        """Bytes of a process that solves so many windows at once in regions of a size, or the smallest."""
        sizes, windows = self.grid.sizes, self.grid.windows
        cells = tile_cells(sizes, windows, regions or least_regions(sizes, windows, self.cut))
        return BASE + cells * self.cell + batch_size * self.window

    def plan(self, memory: int, batch_size: int = 16, tiles: int = 1) -> Plan:
        """The largest regions, and chunks, whose solution fits in memory.

        Parameters
        ----------
        memory : int
            Bytes of a process.
        batch_size : int
            Windows solved at once; fewer if so many do not fit.
        tiles : int
            At least so many, where a field has as many windows.

        Raises
        ------
        DataError
            If the memory is less than the smallest regions need.
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
    """Dimensions that need not be in one region: a window that wraps round needs both ends."""
    return [
        (window < size and dim not in model.layout.periodic) or dim not in model.layout.dims
        for dim, window, size in zip(dims, grid.windows, grid.sizes, strict=True)
    ]


def window_of(model: Interpolator, problem: Problem) -> tuple[int, ...]:
    """The cells of a window along each of the layout's dimensions."""
    return problem.grid(model).windows
