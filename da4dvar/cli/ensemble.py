"""Ensemble options, and the command that calibrates error bars: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.shell import (
    ERROR_BARS,
    Device,
    Dims,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    command,
    pairs,
    say,
)

Members = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Size of the ensemble; implies --std. By default the size used for calibration, or else 8.",
        min=2,
        rich_help_panel=ERROR_BARS,
    ),
]
Std = Annotated[
    bool,
    typer.Option(
        "--std",
        help="Add the standard error of each variable, NAME_std, from an ensemble.",
        rich_help_panel=ERROR_BARS,
    ),
]
Intervals = Annotated[
    list[float] | None,
    typer.Option(
        "--interval",
        metavar="LEVEL",
        help="Add the interval with this probability of containing the truth, such as 0.9. Repeatable.",
        rich_help_panel=ERROR_BARS,
    ),
]


@command
def calibrate(
    model: Annotated[str, typer.Argument(help="Shipped model or model file.", autocompletion=models)],
    observed: Annotated[str, typer.Argument(help="NetCDF file or Zarr store with the observations.")],
    truth: Annotated[str, typer.Argument(help="The truth, complete or at points that are gaps in OBSERVED.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Model file to write (.safetensors).")
    ],
    members: Annotated[
        int | None, typer.Option(metavar="N", help="Size of the ensemble, by default 8.", min=2)
    ] = None,
    withheld: Annotated[
        float,
        typer.Option(metavar="FRACTION", help="Fraction of the observations withheld from each member."),
    ] = 0.5,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Calibrate the error bars of a model on withheld points.

    Example: da4dvar calibrate oisst-tasman observed.nc truth.nc -o calibrated.safetensors

    Use data that the model was not trained on. The new model file supports the options --std and --interval
    of da4dvar interpolate.
    """
    names, dims = pairs(variable, "--variable"), pairs(dim, "--dim")
    from da4dvar.analysis.ensemble import MEMBERS, Ensemble
    from da4dvar.api import load
    from da4dvar.fields.files.store import check_output, load_dataset
    from da4dvar.progress import shown

    check_output(output, [observed, truth], overwrite, (output.suffix,))
    plan = Ensemble(members or MEMBERS, withheld)
    with shown("calibrating", quiet):
        loaded, ds, true = load(model), load_dataset(observed), load_dataset(truth)
        loaded.calibrate(
            ds, true, variable=names, mask=mask, dim=dims, ensemble=plan, seed=seed, device=device
        )
        loaded.save(output)
    if not quiet and loaded.calibration is not None:
        for name, found in loaded.calibration.variables.items():
            within = f"90 % of the errors are within {found.factor(0.9):.2f} σ"
            say(f"{name}: {found.points} hidden points; {within}")
        say(f"wrote {output}")
