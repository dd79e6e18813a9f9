"""Verbs that fill gaps: interpolate and baseline."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.shell import (
    Dims,
    Inputs,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    app,
    command,
    opened,
    pairs,
    say,
    split,
)
from da4dvar.progress import shown


@app.command()
def interpolate(
    files: Inputs,
    model: Annotated[str, typer.Option(help="A model that ships with the package, or a path.")],
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    keep_observed: Annotated[
        bool, typer.Option("--keep-observed", help="Put the observed values back.")
    ] = False,
    observation_error: Annotated[
        float | None, typer.Option(help="Standard deviation of the observation error, if not as in training.")
    ] = None,
    overwrite: Overwrite = False,
    batch_size: Annotated[int, typer.Option(help="Windows solved at once.", min=1)] = 16,
    quiet: Quiet = False,
) -> None:
    """Fill the gaps of a data set with a learned model.

    Example: da4dvar interpolate gappy.nc filled.nc --model oisst-tasman
    """
    from da4dvar.fields.store import add_history, write_dataset
    from da4dvar.modelfile import load

    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    with shown("interpolating", quiet) as progress:
        ds, loaded = opened(inputs, output, overwrite), load(model)
        filled = loaded.interpolate(
            ds,
            variable=names,
            dim=dims,
            mask=mask,
            keep_observed=keep_observed,
            observation_error=observation_error,
            batch_size=batch_size,
            progress=progress,
        )
        write_dataset(add_history(filled, command()), output, overwrite)
    if not quiet:
        say(f"wrote {output}")


@app.command()
def baseline(
    files: Inputs,
    method: Annotated[str, typer.Option(help="linear or climatology.")] = "linear",
    history: Annotated[str | None, typer.Option(help="Other years, for the climatology.")] = None,
    variable: Renamed = None,
    dim: Dims = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fill the gaps of a data set with a classical method.

    Example: da4dvar baseline gappy.nc out.nc --method linear
    """
    from da4dvar.experiment import fill_classically
    from da4dvar.fields.store import add_history, write_dataset

    inputs, output = split(files)
    with shown("filling", quiet):
        ds = opened(inputs, output, overwrite)
        filled = fill_classically(ds, method, pairs(variable, "--variable"), pairs(dim, "--dim"), history)
        write_dataset(add_history(filled, command()), output, overwrite)
