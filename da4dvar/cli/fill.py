"""Commands that fill gaps: interpolate and baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import kinds_of, models, one_of
from da4dvar.cli.ensemble import Intervals, Members, Std
from da4dvar.cli.shell import (
    ERROR_BARS,
    WITH_FIT,
    WITH_MODEL,
    Analysis,
    BoundsOption,
    CircularOption,
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
from da4dvar.cli.stream import Memory, Resume, Scheduler, resumable
from da4dvar.config.kinds import BY_NAME
from da4dvar.errors import DataError
from da4dvar.progress import phases, shown

MINUTES = 5.0
BATCH_SIZE, MEMORY = 16, "2GiB"


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
            "of the estimate; da4dvar aggregate uses them.",
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
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N", help="Number of windows solved at once.", min=1, rich_help_panel=WITH_MODEL
        ),
    ] = BATCH_SIZE,
    precision: Annotated[
        str,
        typer.Option(
            metavar="TYPE",
            help="Precision of convolutions and matrix products: float32, or bfloat16, which is faster on "
            "some processors and less exact.",
            autocompletion=one_of(("float32", "bfloat16")),
            rich_help_panel=WITH_MODEL,
        ),
    ] = "float32",
    force: Force = False,
    minutes: Annotated[
        float,
        typer.Option(
            metavar="MINUTES",
            help="Time for everything, from the comparison of the methods to the filled data.",
            rich_help_panel=WITH_FIT,
        ),
    ] = MINUTES,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="Method that fills the gaps: auto for the one with the smallest error at hidden points, for "
            "each variable; learned, or a method of da4dvar baseline.",
            autocompletion=kinds_of("baseline", "learned", "auto"),
            rich_help_panel=WITH_FIT,
        ),
    ] = "auto",
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Recipe (TOML) whose tables replace the automatic choices.",
            rich_help_panel=WITH_FIT,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Override a value of the recipe. Repeatable.",
            rich_help_panel=WITH_FIT,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write: the fit (.json), or its network (.safetensors).",
            rich_help_panel=WITH_FIT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Web page to write: what was in the file, the methods compared, examples of the result, and "
            "where to trust it.",
            rich_help_panel=WITH_FIT,
        ),
    ] = None,
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

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --memory 4GiB --resume

    Without --model, all methods compete for each variable at points that are hidden from them, and the best
    one fills its gaps. Observed values are kept, and every value has a flag.
    """
    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    if fit and model is not None:
        raise DataError("expected either --model NAME or --fit, which fits to the input; got both")
    if samples and model is not None:
        having = ", ".join(BY_NAME["baseline"])
        raise DataError(
            f"--samples: a model has none; omit --model, as {having} and a trained network have some"
        )
    for option, given, with_model in (
        ("--observation-error", observation_error is not None, True),
        ("--precision", precision != "float32", True),
        ("--batch-size", batch_size != BATCH_SIZE, True),
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
        if as_json:
            from da4dvar.workflows.autofit.fill import json_of

            typer.echo(as_text(json_of(fitted)))
        elif fitted.results:
            typer.echo(fitted.table())
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
            seed=seed,
            precision=precision,
            scheduler=scheduler,
            command=command_line(),
        )
    note(f"wrote {output}")


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
