"""Parts shared by all commands: the app, common options, and the reading of inputs."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Annotated, Any, TypeVar

import typer

import da4dvar
from da4dvar.cli.complete import one_of
from da4dvar.cli.help import Command
from da4dvar.errors import Da4dvarWarning, DataError

Function = TypeVar("Function", bound=Callable[..., Any])

app = typer.Typer(
    help="Fill the gaps of geoscience time series by learned variational data assimilation.",
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
)

# Headings in the help of commands with many options.
NAMES, WITH_MODEL, WITH_FIT = "Names in the input", "Options with --model", "Options without --model"
LARGE = "Files larger than memory"
ERROR_BARS, RESULT = "Error bars", "What is written"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT... OUTPUT",
        help="One or more NetCDF files or Zarr stores (or a quoted pattern such as 'sst_*.nc'), then the "
        "file or store to write.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Renamed = Annotated[
    list[str] | None,
    typer.Option(
        "--variable",
        metavar="NAME=OTHER",
        help="Read variable NAME from the variable OTHER of the input. Repeatable.",
        rich_help_panel=NAMES,
    ),
]
Dims = Annotated[
    list[str] | None,
    typer.Option(
        "--dim",
        metavar="NAME=OTHER",
        help="Dimension NAME is called OTHER in the input. Repeatable.",
        rich_help_panel=NAMES,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Where there is an observation: a variable that is true or non-zero there, or a condition such "
        "as 'quality_level>=4'.",
        rich_help_panel=NAMES,
    ),
]
FillValue = Annotated[
    str,
    typer.Option(
        "--fill-value",
        metavar="auto|none|NUMBER",
        help="Value that stands for a gap, or several with commas. With auto, values that repeat and lie "
        "apart from all others are taken as gaps and reported; with none, only what the file declares.",
        rich_help_panel=NAMES,
    ),
]
Times = Annotated[
    str,
    typer.Option(
        "--times",
        metavar="insert|keep|sort",
        help="Insert absent time steps as gaps (insert), keep the times as they are (keep), or first sort "
        "them and drop duplicates (sort).",
        rich_help_panel=NAMES,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Group of the input that holds the variables.", rich_help_panel=NAMES),
]
BoundsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bounds",
        metavar="NAME=LOWER:UPPER",
        help="Keep the estimates of variable NAME within these bounds, such as pr=0: or sic=0:1, in place of "
        "those that were found; pr=: for no bounds. Repeatable.",
        rich_help_panel=RESULT,
    ),
]
CircularOption = Annotated[
    list[str] | None,
    typer.Option(
        "--circular",
        metavar="NAME",
        help="Variable NAME is a direction, which is filled around the circle. Repeatable.",
        rich_help_panel=RESULT,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Continue although the values lie far outside those that the model was trained on.",
        rich_help_panel=WITH_MODEL,
    ),
]
MaxGap = Annotated[
    str | None,
    typer.Option(
        "--max-gap",
        metavar="SIZE",
        help="Leave longer gaps as they are: a duration such as 5D or 12h, or a number in the units of a "
        "time coordinate without dates.",
        rich_help_panel=RESULT,
    ),
]
LimitArea = Annotated[
    str | None,
    typer.Option(
        "--limit-area",
        metavar="inside|outside",
        help="Fill only gaps between observations (inside), or only those at the ends (outside).",
        rich_help_panel=RESULT,
    ),
]
Flags = Annotated[
    str,
    typer.Option(
        "--flags",
        metavar="SCHEME",
        help="Codes of the flags: da4dvar (0 observed, 1 estimated, 2 not estimable, 3 beyond what was "
        "scored), qartod, seadatanet, argo or fluxnet.",
        rich_help_panel=RESULT,
    ),
]
Analysis = Annotated[
    bool,
    typer.Option(
        "--analysis",
        help="Write the analysis in every cell; by default observed values are kept.",
        rich_help_panel=RESULT,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers.", min=0)]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        help="Where networks compute: on a GPU (cuda) or on the processor; auto is a GPU if there is one.",
        autocompletion=one_of(("auto", "cpu", "cuda")),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def command(function: Function) -> Function:
    """Register a function as a command of the app."""
    return app.command(cls=Command)(function)


def silence(quiet: bool) -> bool:
    """Suppress the package's warnings if `quiet` is set."""
    if quiet:
        warnings.simplefilter("ignore", Da4dvarWarning)
    return quiet


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=silence, help="Print only results and errors.")
]


def print_version(requested: bool) -> None:
    """Print the version and exit, if `requested`."""
    if requested:
        typer.echo(da4dvar.__version__)
        raise typer.Exit


@app.callback()
def options_of_app(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fill the gaps of geoscience time series by learned variational data assimilation."""


def split(files: list[str]) -> tuple[list[str], str]:
    """Split the arguments into the inputs and the output.

    Raises
    ------
    DataError
        If there is only one.
    """
    if len(files) < 2:
        raise DataError(f"got {len(files)} file, expected an input and an output")
    return files[:-1], files[-1]


def opened(
    inputs: list[str], output: str, overwrite: bool, others: Sequence[str] = (), group: str | None = None
) -> Any:
    """Load the inputs as one data set, after checking that the output replaces none of them nor `others`."""
    from da4dvar.fields.files.store import check_output, files_of, load_dataset

    check_output(output, files_of([*inputs, *others]), overwrite)
    return load_dataset(inputs, group)


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Return the values NAME=OTHER of an option as a mapping; of --variable, NAME alone means NAME=NAME.

    Raises
    ------
    DataError
        If a value has another form.
    """
    out = {}
    for text in given or []:
        name, equals, other = text.partition("=")
        alone = option == "--variable" and not equals
        if not name or not (other or alone):
            raise DataError(f"{option} {text!r}: expected NAME=OTHER")
        out[name] = name if alone else other
    return out


def command_line() -> str:
    """Return the command line, quoted for a shell, for the history of a file."""
    return shlex.join(["da4dvar", *sys.argv[1:]])


def as_text(table: Any) -> str:
    """Format a table as JSON, with NaN and infinity as null."""
    import json

    return json.dumps(without_nan(table), indent=2, default=str)


def without_nan(value: Any) -> Any:
    """Replace NaN and infinity, which JSON cannot represent, by None."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def say(text: str) -> None:
    """Print a line to stderr; stdout is reserved for results."""
    typer.echo(text, err=True)
