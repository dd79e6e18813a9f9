"""Options of ``da4dvar interpolate`` without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import kinds_of
from da4dvar.cli.shell import WITH_FIT

MINUTES = 5.0

Minutes = Annotated[
    float,
    typer.Option(
        metavar="MINUTES",
        help="Time for everything, from the comparison of the methods to the filled data.",
        rich_help_panel=WITH_FIT,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        help="Method that fills the gaps: auto for the one with the smallest error at hidden points, for "
        "each variable; learned, or a method of da4dvar baseline.",
        autocompletion=kinds_of("baseline", "learned", "auto"),
        rich_help_panel=WITH_FIT,
    ),
]
RecipeFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Recipe (TOML) whose tables replace the automatic choices.",
        rich_help_panel=WITH_FIT,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override a value of the recipe. Repeatable.",
        rich_help_panel=WITH_FIT,
    ),
]
SaveTo = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File to write: the fit (.json), or its network (.safetensors).",
        rich_help_panel=WITH_FIT,
    ),
]
ReportTo = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="Web page to write: what was in the file, the methods compared, examples of the result, and "
        "where to trust it.",
        rich_help_panel=WITH_FIT,
    ),
]
