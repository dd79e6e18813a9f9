"""What the verbs of the command line share: the app, their options, and how files come in."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Any

import typer

import da4dvar
from da4dvar.errors import Da4dvarWarning, DataError

app = typer.Typer(
    help="Fill the gaps of geoscience time series by learned variational data assimilation.",
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
)

Inputs = Annotated[
    list[str],
    typer.Argument(help="NetCDF files or Zarr stores, or a glob in quotes; the last is the output."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--variable", help="NAME=OTHER: read OTHER for the variable NAME. Repeatable."),
]
Dims = Annotated[
    list[str] | None,
    typer.Option("--dim", help="NAME=OTHER: the dimension NAME is called OTHER. Repeatable."),
]
Mask = Annotated[str | None, typer.Option(help="A variable: non-zero or true where there is an observation.")]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn at random.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def hush(quiet: bool) -> bool:
    """A note is neither a result nor an error."""
    if quiet:
        warnings.simplefilter("ignore", Da4dvarWarning)
    return quiet


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=hush, help="Say nothing but results and errors.")
]


def version(asked: bool) -> None:
    """The version, if it is `asked` for."""
    if asked:
        typer.echo(da4dvar.__version__)
        raise typer.Exit


@app.callback()
def door(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fill the gaps of geoscience time series by learned variational data assimilation."""


def split(files: list[str]) -> tuple[list[str], str]:
    """Inputs and output."""
    if len(files) < 2:
        raise DataError(f"got {len(files)} file, expected an input and an output")
    return files[:-1], files[-1]


def opened(inputs: list[str], output: str, overwrite: bool, others: Sequence[str] = ()) -> Any:
    """The inputs as one data set in memory, once the output may be written beside them and `others`."""
    from da4dvar.fields.files.store import check_output, files_of, load_dataset

    check_output(output, files_of([*inputs, *others]), overwrite)
    return load_dataset(inputs)


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """NAME=OTHER, as a mapping."""
    out = {}
    for text in given or []:
        name, equals, other = text.partition("=")
        if not (equals and name and other):
            raise DataError(f"{option} {text!r}: expected NAME=OTHER")
        out[name] = other
    return out


def command() -> str:
    """The command line as a shell would take it again, for the history of a file."""
    return shlex.join(["da4dvar", *sys.argv[1:]])


def as_text(table: Any) -> str:
    """JSON; what is no number, as the score of no cells, is null."""
    import json

    return json.dumps(without_nan(table), indent=2, default=str)


def without_nan(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def say(text: str) -> None:
    """A line for a person, on stderr: results alone go to stdout."""
    typer.echo(text, err=True)
