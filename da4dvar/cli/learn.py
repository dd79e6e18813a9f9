"""Commands that train a model or run a benchmark: train and benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.shell import Device, Json, Overwrite, Quiet, as_text, command, say
from da4dvar.errors import DataError


@command
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (TOML).")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Model file to write (.safetensors).")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.KEY=VALUE", help="Override a value of the recipe. Repeatable."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint, if there is one.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Shipped model or model file whose weights to start from.",
            autocompletion=models,
        ),
    ] = None,
    devices: Annotated[
        int,
        typer.Option(
            metavar="N", help="Number of GPUs, or of processes on a CPU, that share each batch.", min=1
        ),
    ] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train the model described by a recipe.

    Example: da4dvar train recipe.toml -o model.safetensors --set solver.iterations=10

    Checkpoints and the log are kept in a folder named after the output, such as
    model.safetensors.checkpoints.
    """
    from da4dvar.api import load
    from da4dvar.config.tables import read_recipe
    from da4dvar.fields.files.store import check_output
    from da4dvar.workflows.recipe import Recipe

    tables = read_recipe(recipe, settings or [])
    check_output(output, [recipe], overwrite, (output.suffix,))
    folder = output.with_name(output.name + ".checkpoints")
    if folder.exists() and not resume:
        raise DataError(
            f"{folder}: holds checkpoints of an earlier training; continue it with --resume, or remove the "
            "folder"
        )
    bar = sys.stderr.isatty() and not quiet
    begun = None if start is None else load(start)
    try:
        model = Recipe(tables, recipe.parent).train(folder, resume, bar, begun, devices)
    except KeyboardInterrupt:
        if (folder / "last.ckpt").exists():
            say(f"the last checkpoint is kept in {folder}; continue with --resume")
        raise
    model.save(output)
    if not quiet:
        say(f"wrote {output}")


@command
def benchmark(
    folder: Annotated[Path, typer.Argument(help="Folder with benchmark.toml and a recipe for each row.")],
    rows: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Rows to run, separated by commas; by default all of them."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Variant of the test set, defined by the benchmark.")
    ] = None,
    series: Annotated[
        int | None, typer.Option(metavar="N", help="Number of test series to simulate.", min=1)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for the results; by default FOLDER/results."
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a benchmark and write its table and figures.

    Example: da4dvar benchmark recipes/lorenz96 --rows linear,ode-lstm --series 32 -o results

    The table is written as Markdown and CSV. Rows of earlier runs stay in it.
    """
    from da4dvar.workflows.benchmark.run import run_rows, tables

    chosen = [name.strip() for name in rows.split(",")] if rows else []
    report = None if quiet else lambda name: say(f"row {name}")
    found = run_rows(folder, chosen, variant, series, output, report, device)
    typer.echo(as_text(found) if as_json else tables(found)[0])
