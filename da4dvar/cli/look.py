"""Commands that show what is available and what a file holds: models and inspect."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.complete import models_and_data
from da4dvar.cli.shell import Dims, Group, Json, Quiet, as_text, command, pairs
from da4dvar.progress import shown


@command
def models(as_json: Json = False, quiet: Quiet = False) -> None:
    """List the shipped models.

    Example: da4dvar models

    The list shows what each model fills, what it was trained on, and its scores.
    """
    from da4dvar.modelfile.summary import summaries, text_of

    found = summaries()
    typer.echo(as_text(found) if as_json else text_of(found))
    if not (as_json or quiet):
        typer.echo("\nFor details of a model: da4dvar inspect NAME", err=True)


@command
def inspect(
    file: Annotated[
        str,
        typer.Argument(
            help="Shipped model, model file, or data set (NetCDF or Zarr).", autocompletion=models_and_data
        ),
    ],
    dim: Dims = None,
    group: Group = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe a model or a data set.

    Example: da4dvar inspect oisst-tasman

    For a model: what it fills; the data, date, versions and recipe of its training; its scores and
    components. For a data set: dimensions, variables and attributes; what would be filled, what would not and
    why; and what looks wrong.
    """
    from da4dvar.modelfile.describe import describe
    from da4dvar.modelfile.describe_text import text_of

    with shown("reading", quiet):
        described = describe(file, group, pairs(dim, "--dim"))
    typer.echo(as_text(described) if as_json else text_of(described))
