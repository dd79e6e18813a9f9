"""The command that fills gaps with one classical method."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.complete import kinds_of
from da4dvar.cli.shell import (
    Analysis,
    BoundsOption,
    CircularOption,
    Dims,
    FillValue,
    Flags,
    Group,
    Inputs,
    LimitArea,
    Mask,
    MaxGap,
    Overwrite,
    Quiet,
    Renamed,
    Times,
    command,
    command_line,
    opened,
    pairs,
    split,
)
from da4dvar.config.kinds import BY_NAME
from da4dvar.progress import shown


@command
def baseline(
    files: Inputs,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help=f"One of: {', '.join(BY_NAME['baseline'])}.",
            autocompletion=kinds_of("baseline"),
        ),
    ] = "linear",
    history: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Data to learn from: other years for the climatology and the EOFs, or complete images for "
            "sparse coding.",
        ),
    ] = None,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    fill_value: FillValue = "auto",
    times: Times = "insert",
    group: Group = None,
    bounds: BoundsOption = None,
    circular: CircularOption = None,
    max_gap: MaxGap = None,
    limit_area: LimitArea = None,
    flags: Flags = "da4dvar",
    analysis: Analysis = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fill gaps with a classical method.

    Example: da4dvar baseline gappy.nc filled.nc --method linear

    The whole input is in memory. A larger input is filled region by region by
    da4dvar interpolate big.zarr filled.zarr --method linear --memory 2GiB
    """
    from da4dvar.fields.files.store import add_history, write_dataset
    from da4dvar.workflows.fill import fill_classically

    inputs, output = split(files)
    with shown("filling", quiet):
        ds = opened(inputs, output, overwrite, [history] if history else [], group)
        filled = fill_classically(
            ds,
            method,
            pairs(variable, "--variable"),
            pairs(dim, "--dim"),
            history,
            mask=mask,
            fill_value=fill_value,
            times=times,
            bounds=bounds or (),
            circular=circular or (),
            max_gap=max_gap,
            limit_area=limit_area,
            analysis=analysis,
            flags=flags,
        )
        write_dataset(add_history(filled, command_line()), output, overwrite)
