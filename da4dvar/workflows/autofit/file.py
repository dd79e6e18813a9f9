"""From a gappy file to a filled one, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dask
import xarray as xr

from da4dvar.config.types import parse_bytes
from da4dvar.errors import DataError
from da4dvar.fields.files.opening import PART
from da4dvar.fields.files.store import (
    add_history,
    check_output,
    files_of,
    load_dataset,
    open_in_parts,
    readable,
    write_dataset,
    write_text,
)
from da4dvar.fields.gaps.limits import MaxGap
from da4dvar.fields.intake.take import Intake, take_in
from da4dvar.fields.labels.flags import scheme_of
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.sampling import check_disk, check_samples
from da4dvar.outofcore.journal import Journal, check_journal
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.fill import (
    check_device,
    check_options,
    checked_minutes,
    fit_taken,
    write_recipe,
)
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.autofit.regions import Limits, fill_in_regions, is_larger
from da4dvar.workflows.report.outcome import LEVEL, outcomes_of
from da4dvar.workflows.report.write import Run, report_of


def fill_file(
    source: Sequence[str],
    output: str,
    *,
    minutes: float,
    method: str,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    mask: str | None,
    fill_value: str,
    times: str,
    group: str | None,
    bounds: Sequence[str],
    circular: Sequence[str],
    recipe: str | None,
    settings: Sequence[str],
    save: Path | None,
    report: Path | None,
    seed: int,
    device: str,
    analysis: bool,
    std: bool,
    interval: Sequence[float],
    max_gap: MaxGap | None,
    limit_area: str | None,
    flags: str,
    samples: int,
    memory: str,
    resume: bool,
    overwrite: bool,
    phase: Phase,
    progress: Progress | None,
    command: str,
    say: Callable[[str], None],
) -> Fitted:
    """Fit to a file and write it filled; see :func:`da4dvar.fit` and :func:`da4dvar.fill`.

    Parameters
    ----------
    source : sequence of str
        Files of the input.
    output : str
        File or store to write.
    group : str or None
        Group of the input.
    save : Path or None
        Model file to write.
    report : Path or None
        HTML page to write.
    phase : callable
        Called with the name of each phase when it begins.
    memory, resume, overwrite, progress, command
        See :func:`da4dvar.interpolate_file`.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If the input cannot be read or filled, or the output cannot be written.
    """
    clock = Clock(checked_minutes(minutes))
    check_device(device)
    check_samples(samples, seed)
    limits = Limits(analysis, std, tuple(interval), max_gap, limit_area, scheme_of(flags), samples, seed)
    files, limit, journal = files_of(source), parse_bytes(memory), Journal(output)
    going_on = check_journal(journal, files, resume, overwrite)
    recipe_path = Path(output).with_suffix(".recipe.toml")
    if save is not None:
        others = [*files, output, *([recipe] if recipe else [])]
        check_output(save, others, overwrite, (".json", ".safetensors"))
    if report is not None:
        check_output(report, [*files, output], overwrite, (".html",))
    notes: list[str] = []

    def noted(line: str) -> None:
        notes.append(line)
        say(line)

    def reported(taken: Intake, filled: xr.Dataset, fitted: Fitted) -> str:
        phase("making the report")
        outcomes = outcomes_of(taken.data, filled, fitted.scores, taken.time)
        run = Run(files, output, command, minutes, clock.spent(), notes, taken.carried)
        return report_of(taken.data, outcomes, taken.time, run)

    def taken(ds: xr.Dataset) -> Intake:
        found = take_in(
            ds,
            variable=variable or None,
            dim=dim or None,
            mask=mask,
            fill_value=fill_value,
            times=times,
            say=noted,
        )
        check_disk([found.data[name] for name in found.fields], samples, output)
        return found

    def fitted_to(taken: Intake) -> Fitted:
        return fit_taken(
            taken,
            clock,
            method=method,
            variable=variable or None,
            mask=mask,
            bounds=bounds,
            circular=circular,
            recipe=recipe,
            settings=settings,
            paths=files,
            seed=seed,
            device=device,
            phase=phase,
            progress=progress,
            say=noted,
        )

    phase("reading")
    with open_in_parts(files, group) as opened:
        numbers = [str(n) for n, a in opened.data_vars.items() if a.dtype.kind in "iuf" and a.ndim > 1]
        if going_on or is_larger(opened, numbers, limit):
            noted("the data do not fit in --memory with what a fill needs; they are filled region by region")
            with dask.config.set({"array.chunk-size": PART}):
                lazy = opened.chunk(dict.fromkeys(opened.dims, "auto"))
            with readable(", ".join(files)):
                whole = taken(lazy)
            check_options(whole, interval, max_gap, limit_area)
            fitted = fill_in_regions(
                whole.data,
                lambda: fitted_to(whole),
                journal,
                limits,
                files=files,
                memory=limit,
                resume=resume,
                command=command,
                phase=phase,
                progress=progress,
            )
            if report is not None:
                with open_in_parts([output]) as filled:
                    write_text(report, reported(whole, filled, fitted))
            return fitted
    whole = taken(load_dataset(source, group))
    check_options(whole, interval, max_gap, limit_area)
    fitted = fitted_to(whole)
    if save is not None and save.suffix != ".json" and fitted.model is None:
        raise DataError(
            f"--save {save}: there is no network to save, as the best methods are "
            f"{', '.join(sorted(set(fitted.method.values()))) or 'none'}; train one with --method learned, "
            "or save the fit to a .json file"
        )
    phase("filling")
    extra = report is not None and LEVEL not in limits.interval
    shown = replace(limits, interval=(*limits.interval, LEVEL)) if extra else limits
    filled = shown.of(fitted, whole.data)
    fitted.counted(whole.data)
    page = None if report is None else reported(whole, filled, fitted)
    if extra:
        filled = without_bars(filled, fitted.method, std=limits.std or bool(limits.interval))
    phase("writing")
    write_dataset(add_history(filled, command), output, overwrite)
    if fitted.model is not None:
        write_recipe(fitted.tables, recipe_path)
    if save is not None:
        fitted.save(save)
    if report is not None and page is not None:
        write_text(report, page)
    return fitted


def without_bars(filled: xr.Dataset, names: Iterable[str], std: bool) -> xr.Dataset:
    """Drop the intervals that only the report needed, and unless `std` is set the standard errors."""
    for name in names:
        unwanted = {*ends(name, LEVEL), *([] if std else [f"{name}_std"])}
        filled = filled.drop_vars(unwanted, errors="ignore")
        listed = filled[name].attrs["ancillary_variables"].split()
        filled[name].attrs["ancillary_variables"] = " ".join(n for n in listed if n not in unwanted)
    return filled
