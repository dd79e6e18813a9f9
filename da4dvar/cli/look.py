"""Verbs that look: at the models that ship, and at what a file holds."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.complete import models_and_data
from da4dvar.cli.shell import Json, Quiet, app, as_text
from da4dvar.progress import shown


@app.command()
def models(as_json: Json = False, quiet: Quiet = False) -> None:
    """List the models that ship: what each fills, what it was trained on, and its scores.

    Example: da4dvar models
    """
    from da4dvar.modelfile.summary import summaries, text_of

    found = summaries()
    typer.echo(as_text(found) if as_json else text_of(found))
    if not (as_json or quiet):
        typer.echo("\nAll about one of them: da4dvar inspect NAME", err=True)


@app.command()
def inspect(
    file: Annotated[
        str,
        typer.Argument(help="A model, shipped or a path, or a data set.", autocompletion=models_and_data),
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a model or a data set is.

    Example: da4dvar inspect oisst-tasman

    Of a model: what it fills, what it was trained on, how, when and with which versions, its scores, its
    parts and its recipe. Of a data set: dimensions, variables, gaps and attributes.
    """
    from da4dvar.modelfile.describe import describe
    from da4dvar.modelfile.describe_text import text_of

    with shown("reading", quiet):
        described = describe(file)
    typer.echo(as_text(described) if as_json else text_of(described))
