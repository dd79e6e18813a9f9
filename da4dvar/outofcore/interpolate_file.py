"""From a file to a file: in memory where the data fit, or else region by region, to be gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from da4dvar.analysis.calibration import levels_of
from da4dvar.analysis.notes import credit
from da4dvar.analysis.window_solver import check_precision
from da4dvar.config.types import parse_bytes, readable_bytes
from da4dvar.errors import Da4dvarError, DataError, first_line, warn
from da4dvar.fields.files.store import (
    add_history,
    check_output,
    files_of,
    load_dataset,
    open_in_parts,
    write_dataset,
)
from da4dvar.fields.labels.signature import Signature
from da4dvar.fields.windows.grid import WindowGrid, check_batch_size
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.fingerprint import check_unchanged, fingerprint
from da4dvar.outofcore.journal import Journal
from da4dvar.outofcore.plan import Needs, Plan, in_memory_bytes, surely_fits
from da4dvar.outofcore.run import output_chunks, stream, template_of, tiles_of, warn_of_gaps, write_terms
from da4dvar.outofcore.schedulers import Scheduler, scheduler_of
from da4dvar.outofcore.source import Source
from da4dvar.outofcore.tile import Job
from da4dvar.progress import Progress

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator


def interpolate_file(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    model: Interpolator | str | Path,
    *,
    variable: Mapping[str, str] | None = None,
    mask: str | None = None,
    dim: Mapping[str, str] | None = None,
    keep_observed: bool = False,
    observation_error: float | None = None,
    batch_size: int = 16,
    memory: str = "2GiB",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    members: int | None = 0,
    interval: float | Sequence[float] = (),
    seed: int = 0,
    precision: str = "float32",
    scheduler: str | None = None,
    command: str | None = None,
) -> None:
    """Fill the gaps of a file, of any size, into another.

    Parameters
    ----------
    source : path, glob or sequence of paths
        NetCDF files or Zarr stores.
    output : path
        A NetCDF file or a Zarr store; it has its name once it is whole.
    model : Interpolator, str or path
        A fitted model, the name of one that ships with the package, or the path of a model file.
    variable, mask, dim, keep_observed, observation_error, batch_size
        See :meth:`da4dvar.Interpolator.interpolate`. With less memory, fewer windows are solved at once.
    memory : str
        Of the whole process, such as ``500MB`` or ``2GiB``. A data set that fits is solved in memory; a
        larger one in regions, if the model has neither a first guess nor several sensors, and no ensemble
        is asked for. With a `scheduler`, of all processes of this machine together; of each worker, if it
        is an address.
    resume : bool
        Go on with an interrupted run: with its plan, without solving again what it finished.
    overwrite : bool
        Replace the output, and forget an interrupted run if `resume` is not said.
    progress : callable, optional
        Told how many windows are done, and of how many.
    members, interval, seed, precision
        See :meth:`da4dvar.Interpolator.interpolate`.
    scheduler : {"threads", "processes"} or str, optional
        Who solves the regions, whether the data fit in memory or not: workers of this machine, one on each
        core, or those of the dask scheduler at an address such as ``tcp://10.0.0.1:8786``, which must see
        the same files. ``processes`` needs ``if __name__ == "__main__":`` in a script.
    command : str, optional
        A line for the history of the output.

    Raises
    ------
    DataError
        If the source does not fit the model or cannot be read, the output exists, cannot be written or is
        being written by another run, the memory is too small, the source is not that of the run to go on
        with, or the scheduler is none, does not answer or loses its workers.
    ModelError
        If there is no such model.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from da4dvar.simulate import lorenz96
    >>> with TemporaryDirectory() as folder:
    ...     gappy, output = f"{folder}/gappy.nc", f"{folder}/filled.nc"
    ...     lorenz96(series=1, steps=40, seed=3).to_netcdf(gappy)
    ...     interpolate_file(gappy, output, "lorenz96", variable={"x": "x_observed"})
    ...     with xr.open_dataset(output) as filled:
    ...         print(int(filled.x.isnull().sum()))
    0
    """
    from da4dvar.api import load

    check_precision(precision)
    check_batch_size(batch_size)
    interval = levels_of(interval)
    solvers = scheduler_of(scheduler)
    limit, files = parse_bytes(memory), files_of([source] if isinstance(source, str | Path) else source)
    journal = Journal(output)
    going_on = resume and journal.begun()
    check_output(output, files, overwrite or going_on)
    if journal.begun() and not (resume or overwrite):
        # A run that is still writing is told as that.
        with journal.locked():
            raise DataError(
                f"{output}: an interrupted run is beside it; go on with --resume, or begin anew "
                "with --overwrite"
            )
    if resume and not going_on:
        warn("there is nothing to resume; the run begins")
    fitted = load(model) if isinstance(model, str | Path) else model
    ds = open_in_parts(files)
    names: dict[str, Any] = {"variable": variable, "mask": mask, "dim": dim}
    settings = {
        "keep_observed": keep_observed,
        "observation_error": observation_error,
        "precision": precision,
    }
    try:
        opened = Source.of(ds, fitted_signature(fitted), **names)
        whole = None if going_on else why_whole(fitted, members, interval)
        if scheduler is not None and whole is not None:
            raise DataError(
                f"scheduler {scheduler} shares regions among workers, but {whole} needs all of the data at "
                "once; leave --scheduler out"
            )
        alone = scheduler is None and not going_on
        if not (alone and fits_in_memory(fitted, opened, batch_size, limit, whole)):
            with journal.locked():
                stated = {"batch_size": batch_size, **names, **settings}
                _streamed(fitted, opened, files, journal, stated, limit, resume, progress, solvers, command)
            return
    finally:
        ds.close()
    filled = fitted.interpolate(
        load_dataset(files),
        **names,
        keep_observed=keep_observed,
        observation_error=observation_error,
        precision=precision,
        batch_size=batch_size,
        progress=progress,
        members=members,
        interval=interval,
        seed=seed,
    )
    write_dataset(add_history(filled, command) if command else filled, output, overwrite)


def fitted_signature(model: Interpolator) -> Signature:
    """The signature of a model that has one."""
    if model.signature is None:
        model.conform(xr.Dataset())  # says so
    assert model.signature is not None
    return model.signature


def why_whole(model: Interpolator, members: int | None, interval: Sequence[float]) -> str | None:
    """What needs all of a data set at once, if anything."""
    if model.first_guess is not None:
        return "the model's first guess"
    if model.sensors:
        return "a model of several sensors"
    return "an ensemble" if members != 0 or len(interval) else None


def fits_in_memory(
    model: Interpolator, source: Source, batch_size: int, memory: int, whole: str | None
) -> bool:
    """Whether the usual way is taken.

    Raises
    ------
    DataError
        If it must be, and the data do not fit.
    """
    sizes = [model.layout.window.get(d, source.whole.data.sizes[d]) for d in model.layout.dims]
    variables = len(source.whole.sources) + len(source.signature.covariates)
    window = 4 * variables * int(np.prod(sizes, dtype=np.int64))
    if surely_fits(source, window, batch_size, memory):
        return True
    if whole is None:
        return False
    need = in_memory_bytes(source)
    if need > memory:
        raise DataError(
            f"memory is {readable_bytes(memory)}, but {whole} needs all of the data at once, about "
            f"{readable_bytes(need)}; give --memory {readable_bytes(need)}, select a part of the data, or "
            "use what can be streamed: a model without first guess and sensors, and no ensemble"
        )
    return True


def digest(model: Interpolator) -> str:
    """A hash of everything that a model file would hold."""
    from da4dvar.modelfile.write import header_of

    found = hashlib.sha256(json.dumps(header_of(model), default=str, sort_keys=True).encode())
    arrays = {k: v.cpu().numpy() for k, v in model.model.state_dict().items()}
    for name, array in {**arrays, **model.scaling.arrays(), **model.covariates.arrays()}.items():
        found.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _streamed(
    model: Interpolator,
    source: Source,
    files: Sequence[str],
    journal: Journal,
    stated: dict[str, Any],
    memory: int,
    resume: bool,
    progress: Progress | None,
    solvers: Scheduler,
    command: str | None,
) -> None:
    """Begin or go on with a journal, to its end."""
    keep_observed, error = stated["keep_observed"], stated["observation_error"]
    now = {
        "version": version("da4dvar"),
        "source": fingerprint(source.ds, files),
        "model": digest(model),
        "settings": json.loads(json.dumps(stated)),
    }
    going_on = resume and journal.begun()
    for note in [] if going_on else source.whole.notes:
        warn(note)
    needs = Needs.of(model, source, error)
    if going_on:
        plan = plan_of(journal.plan(), now)
        solvers = solvers.within(memory, needs.bytes(plan.regions, plan.batch_size))
    else:
        solvers = solvers.within(memory, needs.bytes())
        plan = needs.plan(solvers.share, stated["batch_size"], solvers.tiles)
        journal.reset()
    template, chunks = template_of(model, source, plan, keep_observed), output_chunks(source, plan)
    job = Job(
        source, tiles_of(source, plan), plan.dims, plan.batch_size, error, keep_observed, stated["precision"]
    )
    try:
        if not going_on:
            titled = add_history(template, credit(model))
            titled = add_history(titled, command) if command else titled
            region_store.create(titled, journal.store, chunks)
            journal.begin({**now, "plan": asdict(plan)}, plan.grid.shape)
        elif journal.store.exists():
            region_store.check(template, journal.store, chunks)
        elif journal.output.exists():
            # Killed after the output had its name.
            journal.end()
            return
        stream(model, job, plan, journal, progress, solvers)
        empty = write_terms(job, plan, journal, template)
        warn_of_gaps(job, plan, str(journal.store), model.time, empty)
        check_unchanged(now["source"], fingerprint(source.ds, files))
        if journal.output.suffix == ".nc":
            region_store.to_netcdf(journal.store, template, journal.output, chunks)
        else:
            journal.publish()
    except Da4dvarError:
        raise
    except (OSError, RuntimeError) as failure:
        begun = journal.begun()
        said = f"what is finished is kept in {journal.folder.name}" if begun else "nothing was kept of it"
        raise DataError(
            f"{journal.output}: could not be written ({first_line(failure)}); {said}. "
            f"Check the space on the disk and the permissions{', then go on with --resume' if begun else ''}"
        ) from failure
    journal.end()


def plan_of(then: Mapping[str, Any], now: Mapping[str, Any]) -> Plan:
    """The plan of an interrupted run, if this run is the same.

    Raises
    ------
    DataError
        If the version, the source, the model or an option is another.
    """
    if then.get("version") != now["version"]:
        raise DataError(
            f"this is da4dvar {now['version']}, but the interrupted run began with {then.get('version')}; "
            "go on with that one, or begin anew with --overwrite"
        )
    check_unchanged(then["source"], now["source"])
    if then["model"] != now["model"]:
        raise DataError(
            "the model is not the one that the interrupted run began with; give that one, or begin anew "
            "with --overwrite"
        )
    for name, value in now["settings"].items():
        if then["settings"].get(name) != value:
            raise DataError(
                f"{name} is {value!r}, but the interrupted run began with {then['settings'].get(name)!r}; "
                "give the same, or begin anew with --overwrite"
            )
    kept = then["plan"]
    grid = WindowGrid(
        tuple(kept["grid"]["sizes"]),
        tuple(kept["grid"]["windows"]),
        tuple(tuple(starts) for starts in kept["grid"]["starts"]),
    )
    return Plan(
        tuple(kept["dims"]), grid, tuple(kept["regions"]), tuple(kept["chunks"]), int(kept["batch_size"])
    )
