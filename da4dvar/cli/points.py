"""Options of ``da4dvar interpolate`` for observations at points that lie on no grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from da4dvar.errors import DataError
from da4dvar.progress import phases

OF_POINTS = "Points that lie on no grid"
TABLES = (".csv", ".txt", ".tsv")

GridFile = Annotated[
    str | None,
    typer.Option(
        "--grid",
        metavar="FILE",
        help="Map the points of the input (tracks, stations, profiles; NetCDF or CSV) to the grid of this "
        "file, with its times if it has some.",
        rich_help_panel=OF_POINTS,
    ),
]
Resolution = Annotated[
    float | None,
    typer.Option(
        "--resolution",
        metavar="DEGREES",
        help="Map the points of the input to a grid with cells of this size; with levels, in their units.",
        rich_help_panel=OF_POINTS,
    ),
]
Every = Annotated[
    str | None,
    typer.Option(
        "--every",
        metavar="STEP",
        help="Step in time of the map with --resolution, such as 1D or 6h.",
        rich_help_panel=OF_POINTS,
    ),
]
Levels = Annotated[
    str | None,
    typer.Option(
        "--levels",
        metavar="Z,Z,...",
        help="Levels of the map of profiles at several places, with --resolution, in the units of their "
        "depths, such as 0,10,25,50.",
        rich_help_panel=OF_POINTS,
    ),
]
Errors = Annotated[
    list[str] | None,
    typer.Option(
        "--error",
        metavar="[PLATFORM=]STD",
        help="Standard deviation of the errors of all points, or of those of a platform. Repeatable.",
        rich_help_panel=OF_POINTS,
    ),
]
Bias = Annotated[
    list[str] | None,
    typer.Option(
        "--bias",
        metavar="PLATFORM=VALUE|none",
        help="Bias of a platform, which is subtracted; those of other platforms that move are estimated, "
        "unless it is none. Repeatable.",
        rich_help_panel=OF_POINTS,
    ),
]


def are_points(inputs: Sequence[str], given: Mapping[str, object]) -> bool:
    """Whether the input of a command holds points: by the options that were given, or by its suffix.

    Parameters
    ----------
    inputs : sequence of str
        Files of the input.
    given : mapping of str to object
        Options for points, by name; None where one was not given.

    Raises
    ------
    DataError
        If there is neither ``--grid`` nor ``--resolution``, but another option for points, or a table.
    """
    named = [option for option, value in given.items() if value is not None]
    if {"--grid", "--resolution"} & set(named):
        return True
    if named:
        raise DataError(f"{named[0]} is for points; give --resolution DEGREES or --grid FILE as well")
    if tables := [path for path in inputs if Path(path).suffix.lower() in TABLES]:
        raise DataError(
            f"{tables[0]}: a table of points; give --resolution DEGREES or --grid FILE to map them, or "
            "convert a table of series with pandas: pandas.read_csv(...).set_index('time').to_xarray()"
            ".to_netcdf(...)"
        )
    return False


def numbers(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """Return values ``[PLATFORM=]NUMBER`` of an option; the number of all platforms under an empty name.

    Raises
    ------
    DataError
        If a value has another form.

    Examples
    --------
    >>> numbers(["0.02", "jason=0.03"], "--error")
    {'': 0.02, 'jason': 0.03}
    """
    out = {}
    for text in given or ():
        name, _, number = text.rpartition("=")
        try:
            out[name] = float(number)
        except ValueError:
            raise DataError(f"{option} {text!r}: expected a number, or PLATFORM=NUMBER") from None
    return out


def levels_from(text: str | None) -> list[float]:
    """Return the numbers of ``--levels``.

    Raises
    ------
    DataError
        If the text holds something else.

    Examples
    --------
    >>> levels_from("0,10,25")
    [0.0, 10.0, 25.0]
    """
    try:
        return [float(part) for part in text.split(",")] if text is not None else []
    except ValueError:
        raise DataError(f"--levels {text}: expected numbers with commas, such as 0,10,25,50") from None


def interpolate_points(
    inputs: Sequence[str],
    output: str,
    *,
    error: Sequence[str] | None,
    bias: Sequence[str] | None,
    levels: str | None,
    excluded: Mapping[str, bool],
    quiet: bool,
    say: Callable[[str], None],
    note: Callable[[str], None],
    **options: Any,
) -> Any:
    """Map the points of files to a grid; see :func:`da4dvar.workflows.points.file.map_file`.

    Parameters
    ----------
    inputs : sequence of str
        Files of the input.
    output : str
        File to write.
    error, bias : sequence of str or None
        Values of these options.
    levels : str or None
        Value of ``--levels``.
    excluded : mapping of str to bool
        Whether each option that points do not have was given.
    quiet, say, note
        See :mod:`da4dvar.cli.shell`.
    **options : Any
        Options of :func:`~da4dvar.workflows.points.file.map_file`.

    Raises
    ------
    DataError
        If an option is not for points, or the points cannot be mapped.
    """
    if wrong := [option for option, was_given in excluded.items() if was_given]:
        raise DataError(f"{wrong[0]} is not for points that are mapped to a grid; leave it out")
    none = bias is not None and list(bias) == ["none"]
    from da4dvar.workflows.points.file import map_file

    with phases(quiet, say) as (phase, progress):
        return map_file(
            inputs,
            output,
            error=numbers(error, "--error") or None,
            bias="none" if none else numbers(bias, "--bias") or "estimated",
            levels=levels_from(levels),
            phase=phase,
            progress=progress,
            say=lambda line: note(f"note: {line}"),
            **options,
        )
