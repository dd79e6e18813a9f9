"""Verbs that fill gaps: interpolate and baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import kinds_of, models, one_of
from da4dvar.cli.ensemble import Intervals, Members, Std
from da4dvar.cli.shell import (
    Dims,
    Inputs,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    app,
    as_text,
    command,
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


@app.command()
def interpolate(
    files: Inputs,
    model: Annotated[
        str | None,
        typer.Option(help="A model that ships with the package, or a path.", autocompletion=models),
    ] = None,
    fit: Annotated[bool, typer.Option("--fit", help="Learn a model from the data set itself.")] = False,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    keep_observed: Annotated[
        bool, typer.Option("--keep-observed", help="Put the observed values back.")
    ] = False,
    observation_error: Annotated[
        float | None, typer.Option(help="Standard deviation of the observation error, if not as in training.")
    ] = None,
    members: Members = None,
    std: Std = False,
    interval: Intervals = None,
    overwrite: Overwrite = False,
    memory: Memory = "2GiB",
    resume: Resume = False,
    scheduler: Scheduler = None,
    batch_size: Annotated[int, typer.Option(help="Windows solved at once.", min=1)] = 16,
    precision: Annotated[
        str,
        typer.Option(
            help="Of convolutions and matrix products: float32, or bfloat16, which is faster.",
            autocompletion=one_of(("float32", "bfloat16")),
        ),
    ] = "float32",
    minutes: Annotated[float, typer.Option(help="With --fit: minutes of training.")] = MINUTES,
    method: Annotated[
        str,
        typer.Option(
            help="With --fit: learned, a baseline, or auto for the best of all.",
            autocompletion=kinds_of("baseline", "learned", "auto"),
        ),
    ] = "learned",
    recipe: Annotated[
        str | None, typer.Option(help="With --fit: a recipe whose tables replace the choice.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --fit: section.key=value, laid over the recipe. Repeatable."),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="With --fit: where to keep the model.")] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="With --fit: print the table as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fill the gaps of a data set with a learned model: one that is there, or one of its own.

    Example: da4dvar interpolate gappy.nc filled.nc --model oisst-tasman

    Example: da4dvar interpolate gappy.nc filled.nc --fit --minutes 10

    Example: da4dvar interpolate gappy.nc filled.nc --model mine.safetensors --interval 0.9

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --memory 4GiB --resume

    Example: da4dvar interpolate big.zarr filled.zarr --model mine.safetensors --scheduler processes

    With --fit the choice is printed, and the recipe written beside the output (filled.recipe.toml); the table
    has the errors of the model and of every baseline on points hidden from all of them.
    """
    from da4dvar.fields.files.store import add_history, check_output, files_of, write_dataset

    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    if fit == (model is not None):
        raise DataError("expected either --model NAME or --fit, which learns from the data set itself")
    for option, given, belongs in (
        ("--observation-error", observation_error is not None, "--model"),
        ("--precision", precision != "float32", "--model"),
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
            meant = "for a model that is there; leave it out with --fit" if fit else "for --fit; leave it out"
            raise DataError(f"{option} is {meant}")
    if fit:
        from da4dvar.workflows.autofit.fill import fill_by_fit, json_of, write_recipe
        from da4dvar.workflows.autofit.scores import table_of

        beside = Path(output).with_suffix(".recipe.toml")
        check_output(output, files_of(inputs), overwrite)
        for path in (beside, *([save] if save else [])):
            taken = [*files_of(inputs), output, *([recipe] if recipe and path == save else [])]
            check_output(path, taken, overwrite, (path.suffix,))
        tell = (lambda line: None) if quiet else say
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
                keep_observed=keep_observed,
                std=std,
                members=members,
                interval=interval or (),
                say=tell,
            )
            write_dataset(add_history(done.data, command()), output, overwrite)
            if done.fitted is not None:
                write_recipe(done.fitted.tables, beside)
                if save is not None:
                    done.fitted.model.save(save)
        if as_json:
            typer.echo(as_text(json_of(done)))
        elif done.fitted is not None:
            typer.echo(table_of(done.fitted.scores))
        tell(f"wrote {output}, filled by: {done.method}")
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
            keep_observed=keep_observed,
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
            command=command(),
        )
    if not quiet:
        say(f"wrote {output}")


@app.command()
def baseline(
    files: Inputs,
    method: Annotated[
        str, typer.Option(help=f"{', '.join(BY_NAME['baseline'])}.", autocompletion=kinds_of("baseline"))
    ] = "linear",
    history: Annotated[
        str | None, typer.Option(help="Other years, for the climatology and the EOFs, or complete images.")
    ] = None,
    variable: Renamed = None,
    dim: Dims = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fill the gaps of a data set with a classical method.

    Example: da4dvar baseline gappy.nc out.nc --method linear
    """
    from da4dvar.fields.files.store import add_history, write_dataset
    from da4dvar.workflows.fill import fill_classically

    inputs, output = split(files)
    with shown("filling", quiet):
        ds = opened(inputs, output, overwrite, [history] if history else [])
        filled = fill_classically(ds, method, pairs(variable, "--variable"), pairs(dim, "--dim"), history)
        write_dataset(add_history(filled, command()), output, overwrite)
