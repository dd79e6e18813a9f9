"""Options of ensembles, and the verb that makes honest error bars of them: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from da4dvar.cli.complete import models
from da4dvar.cli.shell import Dims, Mask, Overwrite, Quiet, Renamed, Seed, app, pairs, say

Members = Annotated[
    int | None,
    typer.Option(help="Size of the ensemble, if not as calibrated; alone, the same as with --std.", min=2),
]
Std = Annotated[bool, typer.Option("--std", help="Add NAME_std, the standard error, by an ensemble.")]
Intervals = Annotated[
    list[float] | None,
    typer.Option("--interval", help="Add the interval that holds this part of the truths: 0.9. Repeatable."),
]


@app.command()
def calibrate(
    model: Annotated[
        str, typer.Argument(help="A model that ships with the package, or a path.", autocompletion=models)
    ],
    observed: Annotated[str, typer.Argument(help="What is observed: NetCDF or Zarr.")],
    truth: Annotated[str, typer.Argument(help="The truth, or points of it that are not in OBSERVED.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    members: Members = None,
    withheld: Annotated[
        float, typer.Option(help="Part of the observations that a member does not see.")
    ] = 0.5,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn how far a model is off, from points that it does not see: for --std and --interval.

    Example: da4dvar calibrate oisst-tasman observed.nc truth.nc -o calibrated.safetensors

    The data should not be those that the model was trained on.
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
        loaded.calibrate(ds, true, variable=names, mask=mask, dim=dims, ensemble=plan, seed=seed)
        loaded.save(output)
    if not quiet and loaded.calibration is not None:
        for name, found in loaded.calibration.variables.items():
            say(f"{name}: {found.points} hidden points; 90 % of the errors within {found.factor(0.9):.2f} σ")
        say(f"wrote {output}")
