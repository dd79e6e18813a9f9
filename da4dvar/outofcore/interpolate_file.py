"""Interpolation from file to file, in memory if the data fit, otherwise in regions that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from da4dvar.analysis.error_bars import wanted
from da4dvar.analysis.notes import credit
from da4dvar.analysis.options import Options, check_options, completed, with_options
from da4dvar.analysis.samples import ensemble_of_samples
from da4dvar.analysis.window_solver import check_precision
from da4dvar.api import model_of
from da4dvar.config.types import parse_bytes, readable_bytes
from da4dvar.errors import DataError, warn
from da4dvar.fields.bounds import bounds_given
from da4dvar.fields.files.store import (
    add_history,
    files_of,
    load_dataset,
    open_in_parts,
    readable,
    write_dataset,
)
from da4dvar.fields.labels.filled import finished
from da4dvar.fields.labels.flags import scheme_of
from da4dvar.fields.labels.given import mapping_of, names_of
from da4dvar.fields.sampling import check_disk, check_samples
from da4dvar.fields.windows.grid import check_batch_size
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.fingerprint import check_unchanged, fingerprint
from da4dvar.outofcore.identity import check_same, identity
from da4dvar.outofcore.journal import Journal, check_journal, reported
from da4dvar.outofcore.plan import Needs, Plan, in_memory_bytes, surely_fits
from da4dvar.outofcore.rest import copy_rest, taken_in_parts, with_rest
from da4dvar.outofcore.run import output_chunks, stream, template_of, tiles_of, warn_of_gaps, write_terms
from da4dvar.outofcore.schedulers import Scheduler, scheduler_of
from da4dvar.outofcore.source import Source, check_sample
from da4dvar.outofcore.tile import Job
from da4dvar.progress import Progress
from da4dvar.variational.device import batch_of, device_of

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator

# Options that affect the values of a file filled in regions. A resumed run must use the same ones.
SETTINGS = (
    "variable",
    "mask",
    "dim",
    "fill_value",
    "times",
    "analysis",
    "observation_error",
    "batch_size",
    "precision",
    "device",
    "samples",
)


@with_options
def interpolate_file(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    model: Interpolator | str | Path,
    *,
    memory: str = "2GiB",
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    command: str | None = None,
    group: str | None = None,
    bounds: Sequence[str] = (),
    circular: Sequence[str] = (),
    max_gap: str | float | None = None,
    limit_area: str | None = None,
    flags: str = "da4dvar",
    **options: Unpack[Options],
) -> None:
    """Fill the gaps of a file of any size and write the result to another file.

    Parameters
    ----------
    source : path, glob or sequence of paths
        NetCDF files or Zarr stores.
    output : path
        A NetCDF file or a Zarr store, which appears only when it is complete.
    model : Interpolator, str or path
        A fitted model, the name of a shipped model, or the path of a model file.
    memory : str
        Memory limit of the whole process, such as ``500MB`` or ``2GiB``, without that of a GPU. A data set
        that fits is solved in memory. A larger one is solved in regions, and with fewer windows at once than
        `batch_size` if these do not fit; this requires a model without a first guess and without several
        sensors, and neither an ensemble nor samples. With a `scheduler`, the limit is for all processes of
        this machine together, or, if the scheduler is an address, for each worker.
    resume : bool
        Continue an interrupted run with its plan, keeping the regions that it finished.
    overwrite : bool
        Replace the output, and discard an interrupted run unless `resume` is set.
    scheduler : {"threads", "processes"} or str, optional
        Solve the data in regions on workers, even if they fit in memory. The workers run on this machine, one
        on each core, or belong to the dask scheduler at an address such as ``tcp://10.0.0.1:8786`` and must
        have access to the same files. In a script, ``processes`` requires ``if __name__ == "__main__":``.
    command : str, optional
        Line to add to the history of the output.
    group : str, optional
        Group of the files that holds the variables; see :func:`da4dvar.open_dataset`.
    bounds, circular : sequence of str
        Possible values ``NAME=LOWER:UPPER``, and names of directions; found from the data by default.
    max_gap, limit_area
        Limits on which gaps are filled; see :func:`da4dvar.fields.gaps.limits.within_limits`.
    flags : {"da4dvar", "qartod", "seadatanet", "argo", "fluxnet"}
        Codes of the flags.
    **options
        Keywords of :meth:`da4dvar.Interpolator.interpolate`.

    Raises
    ------
    DataError
        If the source does not match the model or cannot be read; if the output exists, cannot be written or
        is being written by another run; if the memory limit is too low; if the run to continue had a
        different source, model or option; or if the scheduler is unknown, does not answer or loses its
        workers.
    ModelError
        If the model does not exist.
    TypeError
        If an option is unknown.

    Notes
    -----
    `mask` must be the name of a variable in the files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from da4dvar.simulate import lorenz96
    >>> with TemporaryDirectory() as folder:
    ...     gappy, output = f"{folder}/gappy.nc", f"{folder}/filled.nc"
    ...     lorenz96(series=1, steps=40, seed=3).to_netcdf(gappy)
    ...     interpolate_file(gappy, output, "lorenz96", variable="x_observed")
    ...     with xr.open_dataset(output) as filled:
    ...         print(int(filled.x.isnull().sum()))
    0
    """
    given = completed(interpolate_file, options)
    check_options(**given)
    check_precision(given["precision"])
    device = device_of(given["device"])
    batch_size = batch_of(given["batch_size"], device)
    check_batch_size(batch_size)
    given["device"], given["batch_size"] = device.type, batch_size
    mask = given["mask"]
    if mask is not None and not isinstance(mask, str):
        raise DataError(
            f"mask is of type {type(mask).__name__}, expected the name of a variable in the files"
        )
    given_bounds, limited = bounds_given(bounds, circular), max_gap is not None or limit_area is not None
    workers = scheduler_of(scheduler)
    limit, files = parse_bytes(memory), files_of([source] if isinstance(source, str | Path) else source)
    journal = Journal(output)
    going_on = check_journal(journal, files, resume, overwrite)
    fitted = model_of(model)
    signature = fitted.fitted_signature()
    names, dims = names_of(signature, given["variable"]), mapping_of("dim", given["dim"])
    given["variable"], given["dim"] = names, dims
    ensemble = wanted(fitted.calibration, given["std"], given["members"], given["interval"])
    check_samples(given["samples"], given["seed"])
    if given["samples"]:
        ensemble = ensemble or ensemble_of_samples(fitted)
    with open_in_parts(files, group) as ds:
        notes: list[str] = []
        with readable(", ".join(files)):
            taken = taken_in_parts(fitted, ds, given, notes.append)
        opened = Source.of(taken, signature, names, mask, dims)
        check_disk(list(opened.whole.sources.values()), given["samples"], str(output))
        whole = None if going_on else why_whole(fitted, ensemble is not None, given["samples"])
        if scheduler is not None and whole is not None:
            raise DataError(
                f"scheduler {scheduler} distributes regions over workers, but {whole} needs all of the data "
                "at once; omit --scheduler"
            )
        if going_on or scheduler or not fits_in_memory(fitted, opened, given, limit, whole):
            if limited or given_bounds or scheme_of(flags) != "da4dvar":
                raise DataError(
                    "bounds, max_gap, limit_area and flags need data in memory, and this run is done in "
                    "regions; raise --memory, or omit them"
                )
            run = Run(
                fitted,
                opened,
                taken,
                notes,
                files,
                journal,
                {n: value for n, value in given.items() if n in SETTINGS},
                command,
            )
            if not (going_on or given["force"]):
                check_sample(fitted, opened)
            with journal.locked():
                plan, workers = run.resumed(limit, workers) if going_on else run.begun(limit, workers)
                run.write(plan, workers, given["progress"])
            return
    # Samples are computed, and therefore written, one at a time.
    filled = fitted.lazily(load_dataset(files, group), **given)
    if not fitted.sensors:
        time = dims.get(fitted.time, fitted.time)
        filled = finished(
            filled,
            fitted.layout.variables,
            time,
            bounds=given_bounds,
            max_gap=max_gap,
            limit_area=limit_area,
            scheme=scheme_of(flags),
            analysis=given["analysis"],
        )
    write_dataset(add_history(filled, command) if command else filled, output, overwrite)


def why_whole(model: Interpolator, ensemble: bool, samples: int) -> str | None:
    """Return the component that needs the whole data set at once, or None."""
    if model.first_guess is not None:
        return "the model's first guess"
    if model.sensors:
        return "a model of several sensors"
    if samples:
        return "a draw of samples"
    return "an ensemble" if ensemble else None


def fits_in_memory(
    model: Interpolator, source: Source, given: Mapping[str, Any], memory: int, whole: str | None
) -> bool:
    """Return whether the data set is solved in memory.

    Raises
    ------
    DataError
        If it must be solved in memory but does not fit.
    """
    sizes = [model.layout.window.get(d, source.whole.data.sizes[d]) for d in model.layout.dims]
    variables = len(source.whole.sources) + len(source.signature.covariates)
    window = 4 * variables * int(np.prod(sizes, dtype=np.int64))
    if surely_fits(source, window, given["batch_size"], memory, given["device"]):
        return True
    if whole is None:
        return False
    need = in_memory_bytes(source)
    if need > memory:
        raise DataError(
            f"memory is {readable_bytes(memory)}, but {whole} needs all of the data at once, about "
            f"{readable_bytes(need)}; give --memory {readable_bytes(need)}, select a part of the data, or "
            "use a model without a first guess and sensors, and neither an ensemble nor samples"
        )
    return True


@dataclass(frozen=True)
class Run:
    """A run that fills a file in regions.

    Attributes
    ----------
    model : Interpolator
        Fitted model.
    source : Source
        Opened data set under the names of the model.
    ds : Dataset
        The whole opened data set.
    notes : sequence of str
        What was changed in it.
    files : sequence of str
        Files of the source.
    journal : Journal
        Locked journal of the run.
    settings : mapping
        Options that affect the values.
    command : str, optional
        Line to add to the history of the output.
    """

    model: Interpolator
    source: Source
    ds: xr.Dataset
    notes: Sequence[str]
    files: Sequence[str]
    journal: Journal
    settings: Mapping[str, Any]
    command: str | None

    def begun(self, memory: int, workers: Scheduler) -> tuple[Plan, Scheduler]:
        """Create a plan and an empty output; return the plan and the workers that fit in memory."""
        for note in (*self.notes, *self.source.whole.notes):
            warn(note)
        needs = Needs.of(self.model, self.source, self.settings["observation_error"], self.settings["device"])
        workers = workers.within(memory, needs.bytes())
        plan = needs.plan(workers.share, self.settings["batch_size"], workers.tiles)
        self.journal.reset()
        template, large = self.template(plan)
        titled = add_history(template, credit(self.model))
        titled = add_history(titled, self.command) if self.command else titled
        with reported(self.journal):
            region_store.create(titled, self.journal.store, output_chunks(self.source, plan), large)
            self.journal.begin({**self.identity(), "plan": asdict(plan)}, plan.grid.shape)
        return plan, workers

    def resumed(self, memory: int, workers: Scheduler) -> tuple[Plan, Scheduler]:
        """Return the plan of the interrupted run and the workers that fit in memory."""
        kept = self.journal.plan()
        check_same(kept, self.identity())
        plan = Plan.from_json(kept.get("plan", {}))
        needs = Needs.of(self.model, self.source, self.settings["observation_error"], self.settings["device"])
        if self.journal.store.exists():
            region_store.check(self.template(plan)[0], self.journal.store, output_chunks(self.source, plan))
        return plan, workers.within(memory, needs.bytes(plan.regions, plan.batch_size))

    def write(self, plan: Plan, workers: Scheduler, progress: Progress | None) -> None:
        """Solve the remaining regions of a plan and publish the output under its name."""
        journal, settings, store = self.journal, self.settings, self.journal.store
        if not store.exists() and journal.output.exists():
            # The interrupted run was stopped after it had published the output.
            journal.end()
            return
        job = Job(
            self.source,
            tiles_of(self.source, plan),
            plan.dims,
            plan.batch_size,
            settings["observation_error"],
            settings["analysis"],
            settings["precision"],
            settings["device"],
        )
        (template, large), chunks = self.template(plan), output_chunks(self.source, plan)
        with reported(journal):
            stream(self.model, job, plan, journal, progress, workers)
            empty = write_terms(job, plan, journal, template)
            warn_of_gaps(job, plan, str(store), self.model.time, empty)
            copy_rest(self.ds, large, store, chunks)
            check_unchanged(journal.plan()["source"], fingerprint(self.source.ds, self.files))
            if journal.output.suffix != ".zarr":
                region_store.to_netcdf(store, template, journal.output, chunks, large)
            else:
                journal.publish()
        journal.end()

    def identity(self) -> dict[str, Any]:
        """Return the properties that an interrupted run must share with this one."""
        return identity(self.model, self.source, self.files, self.settings)

    def template(self, plan: Plan) -> tuple[xr.Dataset, set[str]]:
        """Return the output without values, and the variables whose values are copied from the source."""
        filled = template_of(self.model, self.source, plan, self.settings["analysis"])
        return with_rest(filled, self.ds, {str(s.name) for s in self.source.whole.sources.values()})
