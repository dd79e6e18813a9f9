"""Filling of data sets larger than memory, region by region."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dask.array
import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.files.store import add_history
from da4dvar.fields.labels.flags import in_scheme
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.labels.output import FLAGS
from da4dvar.fields.labels.samples import REALIZATION, with_samples
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.fingerprint import check_settings, check_unchanged, fingerprint
from da4dvar.outofcore.journal import Journal, reported
from da4dvar.outofcore.rest import copy_rest, with_rest
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.autofit.covariance import covariance_method
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.autofit.state import from_state

# Bytes of memory that a fill takes for each value of a region, measured with optimal interpolation.
BYTES_PER_VALUE = 350
# Cells around a region from which its cells are estimated as well: half a correlation length, within these.
HALO = (4, 12)


@dataclass(frozen=True)
class Limits:
    """Options of :meth:`Fitted.interpolate` for a fill in regions."""

    analysis: bool
    std: bool
    interval: tuple[float, ...]
    max_gap: Any
    limit_area: str | None
    flags: str
    samples: int = 0
    seed: int = 0

    def of(self, fitted: Fitted, part: xr.Dataset) -> xr.Dataset:
        """Fill a part of the data, with samples that are computed when they are written."""
        return fitted.lazily(
            part,
            analysis=self.analysis,
            std=self.std,
            interval=self.interval,
            max_gap=self.max_gap,
            limit_area=self.limit_area,
            flags=self.flags,
            samples=self.samples,
            seed=self.seed,
        )


def is_larger(ds: xr.Dataset, names: Sequence[str], memory: int) -> bool:
    """Whether the variables to fill do not fit in memory with the working copies of a fill."""
    return max((ds[n].size for n in names), default=0) * BYTES_PER_VALUE > memory


def fill_in_regions(
    ds: xr.Dataset,
    fit: Callable[[], Fitted],
    journal: Journal,
    limits: Limits,
    *,
    files: Sequence[str],
    memory: int,
    resume: bool,
    command: str,
    phase: Phase,
    progress: Progress | None,
) -> Fitted:
    """Fill a lazy data set region by region, and write it under its name when it is complete.

    Parameters
    ----------
    ds : Dataset
        Data as they were taken in, lazy.
    fit : callable
        Makes the fit. A resumed run takes that of the interrupted run instead.
    journal : Journal
        Journal of the run.
    limits : Limits
        Options.
    files : sequence of str
        Files of the data.
    memory : int
        Memory limit in bytes.
    resume : bool
        Continue an interrupted run.
    command : str
        Line to add to the history.
    phase : callable
        Called with the name of each phase when it begins.
    progress : callable, optional
        Called with the number of finished regions and their total number.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If the data or the options changed since the interrupted run, or the output cannot be written.
    """
    settings = asdict(limits) | {"interval": list(limits.interval)}
    with journal.locked():
        going_on = resume and journal.begun()
        if going_on:
            plan = journal.plan()
            check_unchanged(plan.get("source", {}), fingerprint(ds, files))
            check_settings(plan.get("settings", {}), settings)
            fitted, sides = from_state(plan["fit"]), dict(plan["sides"])
        else:
            fitted = fit()
            sides = sides_of(ds, fitted, memory)
            for name, result in fitted.results.items() if limits.samples else ():
                # One covariance for all regions.
                covariance_method(result, ds[name], fitted.time)
        template, rest = template_of(ds, fitted, limits, sides)
        # Samples are computed, and therefore written, one at a time.
        chunks = {d: min(side, ds.sizes[d]) for d, side in sides.items()} | {REALIZATION: 1}
        with reported(journal):
            if not going_on:
                journal.reset()
                titled = add_history(template, command)
                region_store.create(titled, journal.store, chunks, rest)
                source = fingerprint(ds, files)
                state = {"fit": fitted.state(), "sides": sides, "source": source, "settings": settings}
                journal.begin(state, (1,))
            regions = list(regions_of(ds, fitted, sides))
            phase(f"filling {len(regions)} regions")
            for number, (key, name, region) in enumerate(regions):
                if not journal.finished(key):
                    part = filled_region(ds, fitted, name, region, limits)
                    region_store.write(part, journal.store, region)
                    journal.finish(key)
                if progress is not None:
                    progress(number + 1, len(regions))
            phase("writing")
            copy_rest(ds, rest, journal.store, chunks)
            check_unchanged(journal.plan()["source"], fingerprint(ds, files))
            if journal.output.suffix != ".zarr":
                region_store.to_netcdf(journal.store, template, journal.output, chunks, rest)
            else:
                journal.publish()
        journal.end()
    return fitted


def sides_of(ds: xr.Dataset, fitted: Fitted, memory: int) -> dict[str, int]:
    """Return the sides of the regions along each dimension: all times, and as much of space as fits.

    Raises
    ------
    DataError
        If not even a few cells with all times fit.
    """
    sides: dict[str, int] = {}
    for name, result in fitted.results.items():
        array = ds[name]
        space = [d for d in result.reach.space if d in array.dims]
        others = [str(d) for d in array.dims if str(d) not in (*space, fitted.time)]
        values = memory // 2 // BYTES_PER_VALUE // array.sizes[fitted.time]
        if not space:  # stations help each other
            sides |= {d: array.sizes[d] for d in others}
            continue
        side = int(values ** (1 / len(space))) - 2 * HALO[1]
        least = 2 * BYTES_PER_VALUE * array.sizes[fitted.time] * (3 * HALO[1]) ** len(space)
        if side < HALO[1]:
            raise DataError(
                f"--memory is too low to fill {name!r} with its {array.sizes[fitted.time]} times; "
                f"give at least {least / 2**20:.0f}MiB"
            )
        sides |= dict.fromkeys(others, 1) | {d: min(side, array.sizes[d]) for d in space}
    return {d: n for d, n in sides.items() if d != fitted.time}


def regions_of(
    ds: xr.Dataset, fitted: Fitted, sides: dict[str, int]
) -> Iterator[tuple[tuple[int, ...], str, dict[str, slice]]]:
    """Yield the number, the variable and the range of each region."""
    for k, name in enumerate(fitted.results):
        array = ds[name]
        dims = [str(d) for d in array.dims if str(d) in sides]
        steps = [range(0, array.sizes[d], sides[d]) for d in dims]
        whole = {str(d): slice(0, n) for d, n in array.sizes.items()}
        for number, starts in enumerate(itertools.product(*steps)):
            own = {d: slice(s, min(s + sides[d], array.sizes[d])) for d, s in zip(dims, starts, strict=True)}
            yield (k, number), name, whole | own


def filled_region(
    ds: xr.Dataset, fitted: Fitted, name: str, region: dict[str, slice], limits: Limits
) -> xr.Dataset:
    """Fill a region of a variable, with the help of the cells around it."""
    space = fitted.results[name].reach.space
    around, inner = {}, {}
    for dim, own in region.items():
        halo = int(np.clip(space[dim] / 2, *HALO)) if dim in space else 0
        start, stop = max(0, own.start - halo), min(ds.sizes[dim], own.stop + halo)
        around[dim], inner[dim] = slice(start, stop), slice(own.start - start, own.stop - start)
    part = ds[[name]].isel(around).load()
    alone = Fitted({name: fitted.results[name]}, {name: fitted.bounds[name]}, fitted.time)
    if not bool(part[name].notnull().any()):
        # Nothing to learn from, as over land.
        filled = delivered_empty(part, name, limits)
    else:
        filled = limits.of(alone, part)
    return filled.isel(inner)[[n for n in filled.data_vars if str(n).startswith(name)]]


def delivered_empty(part: xr.Dataset, name: str, limits: Limits) -> xr.Dataset:
    """Return the output of a region without any observation."""
    array = part[name]
    none = array.copy(data=np.full(array.shape, FLAGS["not_estimable"], dtype="int8"))
    names = [name, *([f"{name}_std"] if limits.std or limits.interval else [])]
    names += [end for level in limits.interval for end in ends(name, level)]
    out = part.assign(dict.fromkeys(names, array)).assign(
        {f"{name}_flag": in_scheme(none.rename(f"{name}_flag"), limits.flags)}
    )
    return (
        with_samples(out, name, array.expand_dims({REALIZATION: limits.samples})) if limits.samples else out
    )


def template_of(
    ds: xr.Dataset, fitted: Fitted, limits: Limits, sides: dict[str, int]
) -> tuple[xr.Dataset, set[str]]:
    """Return the output without its values, and the other variables whose values are copied in parts."""
    out = ds[[n for n in ds.data_vars if n in fitted.results]].copy()
    for name in fitted.results:
        # The labels and attributes are those of a small part that is filled.
        array = ds[name]
        corner = {d: slice(0, min(n, 4)) for d, n in array.sizes.items() if str(d) != fitted.time}
        sample = ds[[name]].isel(corner).load()
        alone = Fitted({name: fitted.results[name]}, {name: fitted.bounds[name]}, fitted.time)
        some = sample.assign({name: sample[name].fillna(0.0)})
        shown = limits.of(alone, some)
        for made in (n for n in shown.data_vars if str(n).startswith(name)):
            like = shown[made]
            sizes = {d: array.sizes.get(d, n) for d, n in like.sizes.items()}
            chunks = [1 if d == REALIZATION else min(sides.get(str(d), n), n) for d, n in sizes.items()]
            zeros = dask.array.zeros(tuple(sizes.values()), dtype=like.dtype, chunks=chunks)
            coords = dict(array.coords) | {d: like[d] for d in sizes if d == REALIZATION}
            lazy = xr.DataArray(zeros, dims=like.dims, coords=coords, attrs=like.attrs, name=made)
            lazy.encoding = dict(array.encoding) if made == name else {}
            out[made] = lazy
    complete, rest = with_rest(out, ds, set())
    return complete, rest
