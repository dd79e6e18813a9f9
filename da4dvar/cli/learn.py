"""Verbs that learn: train, and benchmark, which shows what was learned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.shell import Json, Overwrite, Quiet, app, as_text, say
from da4dvar.errors import DataError


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, laid over the recipe. Repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(help="A model, shipped or a path, whose weights to start from.", autocompletion=models),
    ] = None,
    devices: Annotated[
        int, typer.Option(help="GPUs, or processes on a CPU, that share every batch.", min=1)
    ] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train the model of a recipe.

    Example: da4dvar train recipe.toml -o model.safetensors --set solver.iterations=10

    Checkpoints and the log are kept in the folder OUTPUT.checkpoints.
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
            f"{folder}: checkpoints of an earlier training; say --resume to go on with it, or "
            "remove the folder"
        )
    bar = sys.stderr.isatty() and not quiet
    begun = None if start is None else load(start)
    try:
        model = Recipe(tables, recipe.parent).train(folder, resume, bar, begun, devices)
    except KeyboardInterrupt:
        if (folder / "last.ckpt").exists():
            say(f"what was learned is kept in {folder}; go on with --resume")
        raise
    model.save(output)
    if not quiet:
        say(f"wrote {output}")


@app.command()
def benchmark(
    folder: Annotated[Path, typer.Argument(help="A folder with benchmark.toml and a recipe for each row.")],
    rows: Annotated[
        str | None, typer.Option(help="Names of rows, separated by commas; all if left out.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Another test set of the benchmark.")] = None,
    series: Annotated[int | None, typer.Option(help="Test series to simulate.", min=1)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the results; FOLDER/results if left out.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the rows of a benchmark; write its table (Markdown, CSV) and figures.

    Example: da4dvar benchmark recipes/lorenz96 --rows linear,ode-lstm --series 32 -o results

    Rows that were run before keep their line in the table.
    """
    from da4dvar.workflows.benchmark.run import run_rows, tables

    chosen = [name.strip() for name in rows.split(",")] if rows else []
    report = None if quiet else lambda name: say(f"row {name}")
    found = run_rows(folder, chosen, variant, series, output, report)
    typer.echo(as_text(found) if as_json else tables(found)[0])
