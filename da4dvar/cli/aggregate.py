"""Command that aggregates filled data over areas and periods: aggregate."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.shell import Group, Overwrite, Quiet, command, command_line, say
from da4dvar.progress import shown


@command
def aggregate(
    filled: Annotated[str, typer.Argument(help="NetCDF file or Zarr store, filled with --samples.")],
    output: Annotated[str, typer.Argument(help="Data set to write.")],
    over: Annotated[
        str | None,
        typer.Option(metavar="DIM,DIM", help="Dimensions to aggregate over, by default all but time."),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="day, week, month, season, year, or a frequency such as 10D; by default the whole record.",
        ),
    ] = None,
    stat: Annotated[
        str,
        typer.Option(
            metavar="STATISTIC",
            help="mean, sum, trend, days-above=VALUE or days-below=VALUE; a value may have units, such as "
            "'days-above=20 degC'.",
        ),
    ] = "mean",
    level: Annotated[float, typer.Option(metavar="LEVEL", help="Level of the interval.")] = 0.9,
    variable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Variable to aggregate, by default all. Repeatable."),
    ] = None,
    group: Group = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Aggregate filled data over areas and periods, with intervals.

    Example: da4dvar aggregate filled.nc monthly.nc --over lat,lon --period month

    Example: da4dvar aggregate filled.nc warm.nc --period year --stat 'days-above=20 degC'

    Cells are weighted by their area. The interval is that of the joint samples which da4dvar interpolate
    --samples 50 writes; the share of the values that were observed follows from the flags.
    """
    from da4dvar.fields.aggregate import aggregate as aggregated
    from da4dvar.fields.files.store import add_history, check_output, open_dataset, readable, write_dataset

    check_output(output, [filled], overwrite)
    dims = None if over is None else [d.strip() for d in over.split(",") if d.strip()]
    with shown("aggregating", quiet), open_dataset(filled, group) as ds, readable(filled):
        out = aggregated(ds, dims, period, stat, level=level, variable=variable)
        write_dataset(add_history(out, command_line()), output, overwrite)
    if not quiet:
        say(f"wrote {output}")
