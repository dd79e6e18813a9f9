"""Commands that fill gaps: interpolate and baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.ensemble import Intervals, Members, Std
from da4dvar.cli.fitting import MINUTES, Method, Minutes, RecipeFile, ReportTo, SaveTo, Settings
from da4dvar.cli.points import (
    Bias,
    Errors,
    Every,
    GridFile,
    Levels,
    Resolution,
    are_points,
    interpolate_points,
)
from da4dvar.cli.shell import (
    ERROR_BARS,
    WITH_FIT,
    WITH_MODEL,
    Analysis,
    BoundsOption,
    CircularOption,
    Device,
    Dims,
    FillValue,
    Flags,
    Force,
    Group,
    Inputs,
    LimitArea,
    Mask,
    MaxGap,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    Times,
    as_text,
    command,
    command_line,
    pairs,
    say,
    split,
)
from da4dvar.cli.stream import BatchSize, Memory, Precision, Resume, Scheduler, resumable
from da4dvar.errors import DataError
from da4dvar.progress import phases, shown

if TYPE_CHECKING:
    from da4dvar.workflows.autofit.fitted import Fitted
    from da4dvar.workflows.points.mapped import Mapped

MEMORY = "2GiB"


@command
def interpolate(
    files: Inputs,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Fill with this shipped model or model file.", autocompletion=models
        ),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit to the input itself, which is the default without --model.")
    ] = False,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    fill_value: FillValue = "auto",
    times: Times = "insert",
    group: Group = None,
    bounds: BoundsOption = None,
    circular: CircularOption = None,
    max_gap: MaxGap = None,
    limit_area: LimitArea = None,
    flags: Flags = "da4dvar",
    analysis: Analysis = False,
    std: Std = False,
    interval: Intervals = None,
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Add N joint samples of each variable, NAME_samples, whose errors are correlated like those "
            "of the estimate; da4dvar aggregate uses them. A model must be calibrated, have "
            "dynamics, or start from optimal interpolation.",
            min=0,
            rich_help_panel=ERROR_BARS,
        ),
    ] = 0,
    members: Members = None,
    observation_error: Annotated[
        float | None,
        typer.Option(
            metavar="STD",
            help="Standard deviation of the observation error, if different from that in training.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    overwrite: Overwrite = False,
    memory: Memory = MEMORY,
    resume: Resume = False,
    scheduler: Scheduler = None,
    batch_size: BatchSize = None,
    precision: Precision = "float32",
    device: Device = "auto",
    force: Force = False,
    minutes: Minutes = MINUTES,
    method: Method = "auto",
    recipe: RecipeFile = None,
    settings: Settings = None,
    save: SaveTo = None,
    report: ReportTo = None,
    grid: GridFile = None,
    resolution: Resolution = None,
    every: Every = None,
    levels: Levels = None,
    error: Errors = None,
    bias: Bias = None,
    seed: Seed = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON.", rich_help_panel=WITH_FIT)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fill gaps by the best of all methods, or with a model.

    Example: da4dvar interpolate gappy.nc filled.nc

    Example: da4dvar interpolate gappy.nc filled.nc --minutes 30 --interval 0.9 --max-gap 5D

    Example: da4dvar interpolate gappy.nc filled.nc --report report.html

    Example: da4dvar interpolate gappy.nc filled.nc --samples 50

    Example: da4dvar interpolate l3.nc filled.nc --mask 'quality_level>=4'

    Example: da4dvar interpolate gappy.nc filled.nc --model oisst-tasman

    Example: da4dvar interpolate tracks.nc map.nc --resolution 0.25 --every 1D

    Example: da4dvar interpolate tracks.nc map.nc --resolution 0.25 --every 1D --samples 20

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --memory 4GiB --resume

    Without --model, all methods compete for each variable at points that are hidden from them, and the best
    one fills its gaps. Observed values are kept, and every value has a flag. Observations at points that lie
    on no grid are mapped with --grid or --resolution.
    """
    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    if fit and model is not None:
        raise DataError("expected either --model NAME or --fit, which fits to the input; got both")
    for option, given, with_model in (
        ("--observation-error", observation_error is not None, True),
        ("--precision", precision != "float32", True),
        ("--batch-size", batch_size is not None, True),
        ("--members", members is not None, True),
        ("--scheduler", scheduler is not None, True),
        ("--force", force, True),
        ("--minutes", minutes != MINUTES, False),
        ("--method", method != "auto", False),
        ("--recipe", recipe is not None, False),
        ("--set", bool(settings), False),
        ("--save", save is not None, False),
        ("--report", report is not None, False),
        ("--json", as_json, False),
    ):
        if given and with_model != (model is not None):
            remedy = "name a model" if with_model else "omit --model"
            raise DataError(f"{option} {'requires' if with_model else 'excludes'} --model; {remedy}")
    note: Callable[[str], None] = (lambda line: None) if quiet else say
    of_points = {"--grid": grid, "--resolution": resolution, "--every": every, "--levels": levels}
    if are_points(inputs, of_points | {"--error": error, "--bias": bias}):
        mapped = interpolate_points(
            inputs,
            output,
            error=error,
            bias=bias,
            levels=levels,
            excluded={
                "--dim": bool(dims),
                "--times": times != "insert",
                "--observation-error": observation_error is not None,
                "--members": members is not None,
                "--circular": bool(circular),
                "--max-gap": max_gap is not None,
                "--limit-area": limit_area is not None,
                "--analysis": analysis,
                "--resume": resume,
                "--memory": memory != MEMORY,
                "--recipe": recipe is not None,
                "--set": bool(settings),
                "--save": save is not None,
                "--report": report is not None,
            },
            quiet=quiet,
            say=say,
            note=note,
            model=model,
            grid=grid,
            resolution=resolution,
            every=every,
            minutes=minutes,
            method=method,
            variable=names,
            mask=mask,
            fill_value=fill_value,
            group=group,
            bounds=bounds or (),
            std=std,
            interval=interval or (),
            flags=flags,
            samples=samples,
            seed=seed,
            device=device,
            overwrite=overwrite,
            command=command_line(),
        )
        if mapped is not None:
            print_scores(mapped, as_json)
        note(f"wrote {output}" + (f", mapped: {filled_by(mapped.method)}" if mapped else ""))
        return
    if model is None:
        from da4dvar.workflows.autofit.file import fill_file

        with phases(quiet, say) as (phase, progress), resumable(output):
            fitted = fill_file(
                inputs,
                output,
                minutes=minutes,
                method=method,
                variable=names,
                dim=dims,
                mask=mask,
                fill_value=fill_value,
                times=times,
                group=group,
                bounds=bounds or (),
                circular=circular or (),
                recipe=recipe,
                settings=settings or (),
                save=save,
                report=report,
                seed=seed,
                device=device,
                analysis=analysis,
                std=std,
                interval=interval or (),
                max_gap=max_gap,
                limit_area=limit_area,
                flags=flags,
                samples=samples,
                memory=memory,
                resume=resume,
                overwrite=overwrite,
                phase=phase,
                progress=progress,
                command=command_line(),
                say=lambda line: note(f"note: {line}"),
            )
        print_scores(fitted, as_json)
        note(f"wrote {output}, filled: {filled_by(fitted.method)}")
        if report is not None:
            note(f"wrote {report}")
        return
    from da4dvar.outofcore.interpolate_file import interpolate_file

    with shown("interpolating", quiet) as progress, resumable(output):
        interpolate_file(
            inputs,
            output,
            model,
            variable=names,
            dim=dims,
            mask=mask,
            fill_value=fill_value,
            times=times,
            group=group,
            bounds=bounds or (),
            circular=circular or (),
            max_gap=max_gap,
            limit_area=limit_area,
            flags=flags,
            force=force,
            analysis=analysis,
            observation_error=observation_error,
            batch_size=batch_size,
            memory=memory,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            std=std,
            members=members,
            interval=interval or (),
            samples=samples,
            seed=seed,
            precision=precision,
            device=device,
            scheduler=scheduler,
            command=command_line(),
        )
    note(f"wrote {output}")


def print_scores(fitted: Fitted | Mapped, as_json: bool) -> None:
    """Print the scores of a fit as text, or as JSON."""
    if as_json:
        from da4dvar.workflows.autofit.fill import json_of

        typer.echo(as_text(json_of(fitted)))
    elif fitted.scores:
        typer.echo(fitted.table())


def filled_by(method: dict[str, str]) -> str:
    """Say which variables were filled by which method.

    Examples
    --------
    >>> filled_by({"sst": "linear", "chl": "linear"})
    'sst, chl by linear'
    """
    by: dict[str, list[str]] = {}
    for name, chosen in method.items():
        by.setdefault(chosen, []).append(name)
    return "; ".join(f"{', '.join(names)} by {chosen}" for chosen, names in by.items()) or "nothing"
