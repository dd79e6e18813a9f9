"""One tile solved, one region finished: functions of their arguments alone, for any worker to run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.analysis.problem import physical, pose_part
from da4dvar.errors import DataError
from da4dvar.fields.labels.output import labelled_values
from da4dvar.fields.windows.grid import overlap_add
from da4dvar.outofcore.source import Source
from da4dvar.outofcore.tiles import Cells, Number, Tiles

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

Tell = Callable[[int], None]


@dataclass(frozen=True)
class Sums:
    """What a tile adds to the field: Σ_w taper_w x_w, and both terms of each of its windows.

    Attributes
    ----------
    total : array of float32, shape ``(variable, *cells of the tile)``
        Normalised.
    terms : array of float32, shape ``(2, *windows of the tile)``
        NaN for a window of which nothing was known.
    """

    total: np.ndarray
    terms: np.ndarray


@dataclass(frozen=True)
class Job:
    """All that is the same for every tile.

    Attributes
    ----------
    source : Source
    tiles : Tiles
    dims : tuple of str
        The model's name of each dimension of the tiles.
    batch_size : int
        Windows solved at once.
    observation_error : float, optional
    keep_observed : bool
    precision : str
    """

    source: Source
    tiles: Tiles
    dims: tuple[str, ...]
    batch_size: int = 16
    observation_error: float | None = None
    keep_observed: bool = False
    precision: str = "float32"

    def named(self, cells: Cells) -> Mapping[str, slice]:
        """Cells by the names of their dimensions."""
        return dict(zip(self.dims, cells, strict=True))


def solve_tile(
    model: Interpolator, job: Job, number: Number, done: Callable[[int], None] | None = None
) -> Sums:
    """Read the cells of a tile and solve its windows.

    Parameters
    ----------
    model : Interpolator
    job : Job
    number : tuple of int
        Of the tile, along each dimension.
    done : callable, optional
        Told the number of windows solved or passed over.

    Raises
    ------
    DataError
        If the values cannot be used.
    """
    tiles = job.tiles
    extent, windows = tiles.extent(number), tiles.windows(number)
    shape = [cells.stop - cells.start for cells in extent]
    counts = [some.stop - some.start for some in windows]
    variables = len(model.layout.variables)
    if not all(counts):
        return Sums(np.zeros((variables, *shape), "float32"), np.empty((2, *counts), "float32"))
    conformed = job.source.part(job.named(extent))
    problem = pose_part(model, conformed, job.observation_error, job.precision)
    axes = len(model.layout.dims)
    members = int(np.prod(shape[:-axes], dtype=int))
    flat = problem.y.values.reshape(problem.y.sizes["variable"], members, *shape[-axes:])
    overlap = overlap_add(
        flat,
        tiles.subgrid(number, axes),
        # Of the whole field: a tile of one window is not a field that is taken whole.
        tiles.grid.taper().reshape(tiles.grid.windows[-axes:]),
        problem.solve,
        job.batch_size,
        done,
        problem.solve.entries,
    )
    return Sums(overlap.total.reshape(variables, *shape), overlap.terms.reshape(2, *counts))


def finish_region(
    model: Interpolator, job: Job, number: Number, total: np.ndarray, solved: np.ndarray
) -> xr.Dataset:
    """The estimates of a region with their labels.

    Parameters
    ----------
    model : Interpolator
    job : Job
    number : tuple of int
    total : array of float32, shape ``(variable, *cells of the region)``
        Summed over all tiles that add to it.
    solved : array of bool
        See :meth:`da4dvar.outofcore.tiles.Tiles.weight`.
    """
    cells = job.tiles.region(number)
    conformed = job.source.part(job.named(cells))
    for name, source in conformed.sources.items():
        if infinite := int(np.isinf(conformed.data[name].values).sum()):
            raise DataError(
                f"variable {source.name!r} has {infinite} infinite values; "
                "replace them by NaN where nothing was observed"
            )
    weight = job.tiles.weight(number, solved)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0, total / weight, np.float32(np.nan))
    # Cells past the end of a dimension that was lengthened to a window.
    real = {d: slice(0, conformed.data.sizes[d]) for d in job.dims}
    x = xr.DataArray(mean, dims=("variable", *job.dims)).isel(real)
    known = xr.DataArray(weight, dims=job.dims).isel(real)
    return labelled_values(conformed, physical(model, conformed, x), known, job.keep_observed)


Results = Generator[tuple[Number, Sums], None, None]
