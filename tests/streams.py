"""A file in small regions: what the tests of streaming share."""

from pathlib import Path
from typing import Any

import xarray as xr

import da4dvar
from da4dvar.analysis.problem import pose_part
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.journal import Journal
from da4dvar.outofcore.plan import Plan, full_grid, may_be_cut
from da4dvar.outofcore.rest import with_rest
from da4dvar.outofcore.run import output_chunks, stream, template_of, tiles_of, warn_of_gaps, write_terms
from da4dvar.outofcore.source import Source
from da4dvar.outofcore.tile import Job


def small_plan(model: da4dvar.Interpolator, source: Source, cells: int = 7, batch_size: int = 5) -> Plan:
    """Regions of so many cells, or a window, along every dimension that may be cut."""
    problem = pose_part(model, source.whole)
    dims, grid = full_grid(model, problem.y, problem.grid(model))
    regions = tuple(
        min(n, max(cells, w)) if c else n
        for n, w, c in zip(grid.sizes, grid.windows, may_be_cut(model, dims, grid), strict=True)
    )
    return Plan(dims, grid, regions, regions, batch_size)


def in_regions(
    model: da4dvar.Interpolator, ds: xr.Dataset, output: Path, cells=7, batch_size=5, analysis=True
) -> xr.Dataset:
    """A data set filled region by region."""
    source = Source.of(ds, model.signature)
    plan = small_plan(model, source, cells, batch_size)
    job = Job(source, tiles_of(source, plan), plan.dims, batch_size, None, analysis)
    assert len(job.tiles) > 1
    journal = Journal(output)
    with journal.locked():
        template, large = with_rest(template_of(model, source, plan, analysis), ds, {"sst"})
        region_store.create(template, journal.store, output_chunks(source, plan), large)
        journal.begin({}, plan.grid.shape)
        stream(model, job, plan, journal)
        empty = write_terms(job, plan, journal, template)
        warn_of_gaps(job, plan, str(journal.store), model.time, empty)
        journal.publish()
        journal.end()
    return opened(output)


def opened(path: Path, **options: Any) -> xr.Dataset:
    """Return a file or store in memory."""
    options |= {"engine": "zarr", "consolidated": False} if path.suffix == ".zarr" else {"engine": "netcdf4"}
    with xr.open_dataset(path, decode_timedelta=False, **options) as ds:
        return ds.load()


def fill(
    files: Path, model: object, output: str = "out.zarr", source: str = "in.nc", **options: object
) -> xr.Dataset:
    """Fill a file of a folder and return the output."""
    da4dvar.interpolate_file(files / source, files / output, model, **options)
    return opened(files / output)
