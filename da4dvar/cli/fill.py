"""Commands that fill gaps: interpolate and baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import kinds_of, models, one_of
from da4dvar.cli.ensemble import Intervals, Members, Std
from da4dvar.cli.shell import (
    WITH_FIT,
    WITH_MODEL,
    Dims,
    Inputs,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    as_text,
    command,
    command_line,
    opened,
    pairs,
    say,
    split,
)
from da4dvar.cli.stream import Memory, Resume, Scheduler, resumable
from da4dvar.config.kinds import BY_NAME
from da4dvar.errors import DataError
from da4dvar.progress import shown

MINUTES = 10.0
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
    fit: Annotated[bool, typer.Option("--fit", help="Fit a model to the input, and fill with that.")] = False,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    analysis: Annotated[
        bool,
        typer.Option("--analysis", help="Write the analysis in every cell, observed cells included."),
    ] = False,
    std: Std = False,
    interval: Intervals = None,
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
    minutes: Annotated[
        float, typer.Option(metavar="MINUTES", help="Time for training.", rich_help_panel=WITH_FIT)
    ] = MINUTES,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="Method that fills the gaps: learned, a method of da4dvar baseline, or auto for the one "
            "with the smallest error at hidden points.",
            autocompletion=kinds_of("baseline", "learned", "auto"),
            rich_help_panel=WITH_FIT,
        ),
    ] = "learned",
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
        typer.Option(metavar="FILE", help="Model file to write (.safetensors).", rich_help_panel=WITH_FIT),
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON.", rich_help_panel=WITH_FIT)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fill gaps with a saved model or with one fitted to the file.

    Example: da4dvar interpolate gappy.nc filled.nc --model oisst-tasman

    Example: da4dvar interpolate gappy.nc filled.nc --fit --minutes 10

    Example: da4dvar interpolate gappy.nc filled.nc --model mine.safetensors --interval 0.9

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --memory 4GiB --resume

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --scheduler processes

    With --fit, the choices are printed and the recipe is written next to the output (filled.recipe.toml). The
    table compares the errors of the model and of every baseline at points hidden from all of them.
    """
    from da4dvar.fields.files.store import add_history, check_output, files_of, write_dataset

    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    if fit == (model is not None):
        raise DataError("expected either --model NAME or --fit, which fits a model to the input")
    for option, given, belongs in (
        ("--observation-error", observation_error is not None, "--model"),
        ("--precision", precision != "float32", "--model"),
        ("--batch-size", batch_size != BATCH_SIZE, "--model"),
        ("--memory", memory != MEMORY, "--model"),
        ("--resume", resume, "--model"),
        ("--scheduler", scheduler is not None, "--model"),
        ("--minutes", minutes != MINUTES, "--fit"),
        ("--method", method != "learned", "--fit"),
        ("--recipe", recipe is not None, "--fit"),
        ("--set", bool(settings), "--fit"),
        ("--save", save is not None, "--fit"),
        ("--json", as_json, "--fit"),
    ):
        if given and fit != (belongs == "--fit"):
            raise DataError(f"{option} requires {belongs}; omit it with {'--fit' if fit else '--model'}")
    if fit:
        from da4dvar.workflows.autofit.fill import fill_by_fit, json_of, write_recipe
        from da4dvar.workflows.autofit.scores import table_of

        recipe_path = Path(output).with_suffix(".recipe.toml")
        check_output(output, files_of(inputs), overwrite)
        for path in (recipe_path, *([save] if save else [])):
            taken = [*files_of(inputs), output, *([recipe] if recipe and path == save else [])]
            check_output(path, taken, overwrite, (path.suffix,))
        note = (lambda line: None) if quiet else say
        with shown("fitting", quiet):
            ds = opened(inputs, output, overwrite)
            done = fill_by_fit(
                ds,
                variable=names,
                dim=dims,
                mask=mask,
                paths=files_of(inputs),
                minutes=minutes,
                method=method,
                recipe=recipe,
                settings=settings,
                seed=seed,
                analysis=analysis,
                std=std,
                members=members,
                interval=interval or (),
                say=note,
            )
            write_dataset(add_history(done.data, command_line()), output, overwrite)
            if done.fitted is not None:
                write_recipe(done.fitted.tables, recipe_path)
                if save is not None:
                    done.fitted.model.save(save)
        if as_json:
            typer.echo(as_text(json_of(done)))
        elif done.fitted is not None:
            typer.echo(table_of(done.fitted.scores))
        note(f"wrote {output}, filled by: {done.method}")
        return
    from da4dvar.outofcore.interpolate_file import interpolate_file

    with shown("interpolating", quiet) as progress, resumable(output):
        interpolate_file(
            inputs,
            output,
            str(model),
            variable=names,
            dim=dims,
            mask=mask,
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
    if not quiet:
        say(f"wrote {output}")


@command
def baseline(
    files: Inputs,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help=f"One of: {', '.join(BY_NAME['baseline'])}.",
            autocompletion=kinds_of("baseline"),
        ),
    ] = "linear",
    history: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Data to learn from: other years for the climatology and the EOFs, or complete images for "
            "sparse coding.",
        ),
    ] = None,
    variable: Renamed = None,
    dim: Dims = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fill gaps with a classical method.

    Example: da4dvar baseline gappy.nc filled.nc --method linear
    """
    from da4dvar.fields.files.store import add_history, write_dataset
    from da4dvar.workflows.fill import fill_classically

    inputs, output = split(files)
    with shown("filling", quiet):
        ds = opened(inputs, output, overwrite, [history] if history else [])
        filled = fill_classically(ds, method, pairs(variable, "--variable"), pairs(dim, "--dim"), history)
        write_dataset(add_history(filled, command_line()), output, overwrite)
