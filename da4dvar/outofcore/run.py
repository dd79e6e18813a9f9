"""x̂ region by region: tiles are solved, their sums are kept, and completed regions are written."""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.analysis import notes
from da4dvar.analysis.problem import physical
from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import missing_run
from da4dvar.fields.labels.output import FLAGS, labelled
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.journal import Journal
from da4dvar.outofcore.placeholders import placeholder, zeros
from da4dvar.outofcore.plan import Plan
from da4dvar.outofcore.schedulers import InProcess, Scheduler
from da4dvar.outofcore.source import Source
from da4dvar.outofcore.tile import Job, Sums, finish_region
from da4dvar.outofcore.tiles import Number, Tiles
from da4dvar.progress import Progress

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


def tiles_of(source: Source, plan: Plan) -> Tiles:
    """Return the tiles of a plan, with regions that are whole chunks of the output in its own direction."""
    turned = [d in source.whole.flipped for d in plan.dims]
    return Tiles.of(plan.grid, plan.regions, turned)


def template_of(model: Interpolator, source: Source, plan: Plan, analysis: bool) -> xr.Dataset:
    """Return the output with lazy zeros for its values, without reading or computing anything."""
    whole, variables = source.whole, len(model.layout.variables)
    sizes = [whole.data.sizes[d] for d in plan.dims]
    x = xr.DataArray(zeros((variables, *sizes), "float32"), dims=("variable", *plan.dims))
    weight = xr.DataArray(zeros(sizes, "float32"), dims=plan.dims)
    batch = len(plan.dims) - len(model.layout.dims)
    names = [d if k < batch else f"window_{d}" for k, d in enumerate(plan.dims)]
    terms = xr.DataArray(zeros((2, *plan.grid.shape), "float32"), dims=("term", *names))
    estimates = physical(model, whole, x)
    # Windows have one cell along batch dimensions, which the grid of the labels does not include.
    inner = type(plan.grid)(plan.grid.sizes[batch:], plan.grid.windows[batch:], plan.grid.starts[batch:])
    out = labelled(whole, estimates, weight, terms, inner, model.layout, analysis)
    # Placeholders drop the task graph that led to the labels.
    return out.assign({n: placeholder(a) for n, a in out.data_vars.items()})


def output_chunks(source: Source, plan: Plan) -> dict[str, int]:
    """Return the chunk size along each dimension of the output; terms are chunked along the first."""
    chunks = {source.whole.dims.get(d, d): c for d, c in zip(plan.dims, plan.chunks, strict=True)}
    first, steps = terms_slabs(source, plan)
    return {**chunks, first: steps} if first.startswith("window_") else chunks


def terms_slabs(source: Source, plan: Plan) -> tuple[str, int]:
    """Return the first dimension of the terms in the output, and the number of entries to write at once."""
    dim = source.whole.dims.get(plan.dims[0])
    rest = math.prod(plan.grid.shape[1:])
    if dim is None:
        return plan.dims[0], plan.chunks[0]
    return f"window_{dim}", max(1, min(plan.grid.shape[0], 2**20 // rest))


def stream(
    model: Interpolator,
    job: Job,
    plan: Plan,
    journal: Journal,
    progress: Progress | None = None,
    scheduler: Scheduler | None = None,
) -> None:
    """Solve the unfinished part of a plan and write it to the store of the journal.

    Every window is solved once; if a run was killed, only the tiles in progress are solved again.

    Parameters
    ----------
    model : Interpolator
        Model that solves the tiles.
    job : Job
        Settings shared by all tiles.
    plan : Plan
        Division of the field.
    journal : Journal
        Journal in which the plan has been recorded.
    progress : callable, optional
        Function called with the number of finished windows and their total.
    scheduler : Scheduler, optional
        Scheduler that solves the tiles; this process by default.

    Raises
    ------
    DataError
        If the values cannot be used.
    """
    windows, done = math.prod(plan.grid.shape), 0
    solved = {number for number in job.tiles if journal.solved(number)}
    # A region may be solved but not finished if it waits for other tiles, or the run was killed just then.
    finished = {number for number in solved if journal.finished(number)}

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, windows)

    def ready(number: Number) -> bool:
        mine = number in solved and number not in finished
        return mine and all(tile in solved for tile in job.tiles.contributors(number))

    def finish(number: Number, own: np.ndarray) -> None:
        part = finish_region(model, job, number, *complete(job, journal, number, own))
        region_store.write(part, journal.store, job.source.users(clipped(job, number)))
        journal.finish(number)
        finished.add(number)

    tell(sum(math.prod(w.stop - w.start for w in job.tiles.windows(number)) for number in solved))
    for number in filter(ready, sorted(solved)):
        finish(number, journal.take(number, number))
    numbers = [number for number in job.tiles if number not in solved]
    with closing((scheduler or InProcess()).solved(model, job, numbers, tell)) as results:
        for number, sums in results:
            keep(job, journal, number, sums)
            own = share(job, number, number, sums)
            solved.add(number)
            if ready(number):
                finish(number, own)
            else:
                # The part of its own region is stored last: where it exists, the tile is stored completely.
                journal.put(number, number, own)
            for later in filter(ready, job.tiles.reached(number)):
                finish(later, journal.take(later, later))


def share(job: Job, tile: Number, region: Number, sums: Sums) -> np.ndarray:
    """Return the contribution of a tile to a region."""
    begin = [cells.start for cells in job.tiles.extent(tile)]
    shared = job.tiles.shared(tile, region)
    at = tuple(slice(c.start - b, c.stop - b) for c, b in zip(shared, begin, strict=True))
    return sums.total[(slice(None), *at)]


def keep(job: Job, journal: Journal, number: Number, sums: Sums) -> None:
    """Store the contributions of a tile to later regions, and its terms, in the journal."""
    for region in job.tiles.reached(number):
        if region != number:
            journal.put(region, number, share(job, number, region, sums))
    if sums.terms.size:
        journal.put_terms(job.tiles.windows(number), sums.terms)


def complete(job: Job, journal: Journal, number: Number, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the contributions to a region in a fixed order; return the sum and which windows were solved."""
    tiles = job.tiles
    begin = [cells.start for cells in tiles.region(number)]
    total = np.zeros((len(own), *(c.stop - c.start for c in tiles.region(number))), dtype="float32")
    for tile in tiles.contributors(number):
        shared = tiles.shared(tile, number)
        at = tuple(slice(c.start - b, c.stop - b) for c, b in zip(shared, begin, strict=True))
        total[(slice(None), *at)] += own if tile == number else journal.take(number, tile)
    return total, ~np.isnan(journal.take_terms(tiles.reaching(number))[0])


def clipped(job: Job, number: Number) -> dict[str, slice]:
    """Return the cells of a region within the data set, whose grid may extend past its end to a window."""
    sizes = job.source.whole.data.sizes
    return {d: slice(c.start, min(c.stop, sizes[d])) for d, c in job.named(job.tiles.region(number)).items()}


def write_terms(job: Job, plan: Plan, journal: Journal, template: xr.Dataset) -> int:
    """Write the terms of all windows to the store; return the number of windows without observations."""
    name, steps = terms_slabs(job.source, plan)
    dims, empty = template["observation_term"].dims, 0
    for first in range(0, plan.grid.shape[0], steps):
        slab = slice(first, min(first + steps, plan.grid.shape[0]))
        terms = journal.take_terms((slab, *(slice(0, n) for n in plan.grid.shape[1:])))
        empty += int(np.isnan(terms[0]).sum())
        part = xr.Dataset({"observation_term": (dims, terms[0]), "prior_term": (dims, terms[1])})
        region_store.write(part, journal.store, {name: slab})
    return empty


def warn_of_gaps(job: Job, plan: Plan, store: str, time: str, empty: int) -> None:
    """Warn of windows without observations as `analysis.notes.report` does, reading flags by region.

    Raises
    ------
    DataError
        If no window has an observation.
    """
    windows = math.prod(plan.grid.shape)
    if not empty:
        return
    if empty == windows:
        names = ", ".join(str(s.name) for s in job.source.whole.sources.values())
        raise DataError(
            f"variable {names!r} holds no observation at all; check the variable, its fill value and the mask"
        )
    runs = {}
    with xr.open_zarr(store, chunks=None, consolidated=False) as filled:
        for name, source in job.source.whole.sources.items():
            theirs = job.source.whole.dims.get(time)
            if theirs not in source.dims:
                continue
            flags, count, longest = filled[f"{name}_flag"], 0, 0
            for number in job.tiles:
                if number[plan.dims.index(time)]:
                    continue
                cells = job.source.users({d: c for d, c in clipped(job, number).items() if d != time})
                steps = max(1, plan.chunks[plan.dims.index(time)])
                found = missing_run(flags.isel(cells), str(theirs), FLAGS["not_estimable"], steps)
                count, longest = count + found[0], max(longest, found[1])
            runs[name] = (count, longest)
    notes.warn_of_gaps(empty, windows, runs)
