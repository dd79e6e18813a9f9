"""Solution of one tile and completion of one region, as pure functions that any worker can run."""

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
    """Contribution of a tile to the field: Σ_w taper_w x_w, and both cost terms of each of its windows.

    Attributes
    ----------
    total : array of float32, shape ``(variable, *cells of the tile)``
        Weighted sum of the normalised estimates of the windows.
    terms : array of float32, shape ``(2, *windows of the tile)``
        Observation and prior terms; NaN for a window without observations.
    """

    total: np.ndarray
    terms: np.ndarray


@dataclass(frozen=True)
class Job:
    """Settings shared by all tiles.

    Attributes
    ----------
    source : Source
        Data set that the tiles are read from.
    tiles : Tiles
        Division of the field.
    dims : tuple of str
        Name of each dimension of the tiles in the model.
    batch_size : int
        Number of windows solved at once.
    observation_error : float, optional
        Standard deviation of the observation errors; see :meth:`da4dvar.Interpolator.interpolate`.
    analysis : bool
        Whether observed cells hold the analysis in place of their observed values.
    precision : str
        Precision of convolutions and matrix products, "float32" or "bfloat16".
    device : str
        Device on which windows are solved, "cpu" or "cuda".
    """

    source: Source
    tiles: Tiles
    dims: tuple[str, ...]
    batch_size: int = 16
    observation_error: float | None = None
    analysis: bool = False
    precision: str = "float32"
    device: str = "cpu"

    def named(self, cells: Cells) -> Mapping[str, slice]:
        """Return cells keyed by the names of their dimensions."""
        return dict(zip(self.dims, cells, strict=True))


def solve_tile(
    model: Interpolator, job: Job, number: Number, done: Callable[[int], None] | None = None
) -> Sums:
    """Read the cells of a tile and solve its windows.

    Parameters
    ----------
    model : Interpolator
        Model that solves the windows.
    job : Job
        Settings shared by all tiles.
    number : tuple of int
        Number of the tile along each dimension.
    done : callable, optional
        Function called with the number of windows that were solved or skipped.

    Returns
    -------
    Sums

    Raises
    ------
    DataError
        If the values cannot be read or used.
    """
    tiles = job.tiles
    extent, windows = tiles.extent(number), tiles.windows(number)
    shape = [cells.stop - cells.start for cells in extent]
    counts = [some.stop - some.start for some in windows]
    variables = len(model.layout.variables)
    if not all(counts):
        return Sums(np.zeros((variables, *shape), "float32"), np.empty((2, *counts), "float32"))
    conformed = job.source.part(job.named(extent))
    problem = pose_part(model, conformed, job.observation_error, job.precision, job.device)
    axes = len(model.layout.dims)
    members = int(np.prod(shape[:-axes], dtype=int))
    flat = problem.y.values.reshape(problem.y.sizes["variable"], members, *shape[-axes:])
    overlap = overlap_add(
        flat,
        tiles.subgrid(number, axes),
        # The taper of the whole field: a tile of one window is not a field without windows.
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
    """Return the estimates of a region with their labels.

    Parameters
    ----------
    model : Interpolator
        Model that solved the tiles.
    job : Job
        Settings shared by all tiles.
    number : tuple of int
        Number of the region along each dimension.
    total : array of float32, shape ``(variable, *cells of the region)``
        Sum over all tiles that contribute to the region.
    solved : array of bool
        Windows that were solved; see :meth:`da4dvar.outofcore.tiles.Tiles.weight`.

    Returns
    -------
    Dataset
        Estimates and flags of the region.

    Raises
    ------
    DataError
        If the source holds infinite values.
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
    # Drop the cells past the end of a dimension that was extended to the length of a window.
    real = {d: slice(0, conformed.data.sizes[d]) for d in job.dims}
    x = xr.DataArray(mean, dims=("variable", *job.dims)).isel(real)
    known = xr.DataArray(weight, dims=job.dims).isel(real)
    return labelled_values(conformed, physical(model, conformed, x), known, job.analysis)


Results = Generator[tuple[Number, Sums], None, None]
