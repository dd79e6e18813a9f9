"""Commands for observations that arrive: assimilate and forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.shell import (
    Device,
    Dims,
    FillValue,
    Force,
    Group,
    Inputs,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    Times,
    command,
    command_line,
    pairs,
    say,
    split,
)
from da4dvar.progress import shown

SETTINGS = "Settings, which --resume takes from the output"
ModelWithDynamics = Annotated[
    str,
    typer.Option("--model", metavar="MODEL", help="Shipped model or model file.", autocompletion=models),
]


@command
def assimilate(
    files: Inputs,
    model: ModelWithDynamics,
    lag: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Steps over which an observation acts on earlier states, by default 40.",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last analysis of the output, and append to it.")
    ] = False,
    background: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="State of the first time, with its standard error NAME_std or an ensemble NAME_samples.",
        ),
    ] = None,
    background_error: Annotated[
        float | None,
        typer.Option(
            metavar="STD",
            help="Standard deviation of the error of the background, always and everywhere; by default it "
            "follows from the window before.",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    model_error: Annotated[
        float | None,
        typer.Option(
            metavar="STD",
            help="Standard deviation of the error of the dynamics in one step, if different from that in "
            "training.",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    inflation: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR",
            help="Factor by which the standard errors of the background grow in each step, by default 1.",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    observation_error: Annotated[
        float | None,
        typer.Option(
            metavar="STD",
            help="Standard deviation of the observation error, if different from that in training.",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    fill_value: FillValue = "auto",
    times: Times = "insert",
    group: Group = None,
    force: Force = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Assimilate observations as they arrive.

    Example: da4dvar assimilate obs.zarr analysis.zarr --model lorenz96-ode --lag 40

    Example: da4dvar assimilate today.nc analysis.nc --model mine.safetensors --resume

    The model must have dynamics. The analysis of each time uses all observations up to LAG steps later, and
    NAME_filter those up to its own time. A file processed at once and the same file appended piece by piece
    give the same analyses.
    """
    inputs, output = split(files)
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    from da4dvar.workflows.cycling import assimilate_file

    with shown("assimilating", quiet) as progress:
        assimilate_file(
            inputs,
            output,
            model,
            resume=resume,
            overwrite=overwrite,
            background=background,
            lag=lag,
            background_error=background_error,
            model_error=model_error,
            inflation=inflation,
            observation_error=observation_error,
            variable=names,
            mask=mask,
            dim=dims,
            fill_value=fill_value,
            times=times,
            group=group,
            force=force,
            device=device,
            progress=progress,
            command=command_line(),
        )
    if not quiet:
        say(f"wrote {output}")


@command
def forecast(
    analysis: Annotated[
        str,
        typer.Argument(
            help="Output of da4dvar assimilate or interpolate; for a model without dynamics, observations."
        ),
    ],
    output: Annotated[str, typer.Argument(help="Data set to write.")],
    model: ModelWithDynamics,
    steps: Annotated[int, typer.Option(metavar="N", help="Number of steps.", min=1)],
    members: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Size of the ensemble, by default 50 if the error of the analysis is known.",
            min=2,
        ),
    ] = None,
    group: Group = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Forecast the times that follow an analysis.

    Example: da4dvar forecast analysis.nc forecast.nc --steps 20 --model lorenz96-ode

    A model with dynamics carries the analysis and an ensemble forward; one without leaves the end of its
    window unobserved.
    """
    from da4dvar.workflows.cycling import forecast_file

    with shown("forecasting", quiet):
        forecast_file(
            analysis,
            output,
            model,
            steps,
            members=members,
            seed=seed,
            device=device,
            group=group,
            overwrite=overwrite,
            command=command_line(),
        )
    if not quiet:
        say(f"wrote {output}")
