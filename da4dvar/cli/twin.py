"""Commands for experiments with a known truth: simulate, gaps and evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.complete import SYSTEMS, kinds_of, models, one_of
from da4dvar.cli.shell import (
    Device,
    Dims,
    FillValue,
    Group,
    Json,
    Mask,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    Times,
    as_text,
    command,
    command_line,
    opened,
    pairs,
    say,
)
from da4dvar.config.kinds import BY_NAME, by_name
from da4dvar.errors import DataError, RecipeError, nearest
from da4dvar.progress import shown


@command
def evaluate(
    estimate: Annotated[str, typer.Argument(help="Data set to score.")],
    truth: Annotated[str, typer.Argument(help="Data set to compare it with.")],
    observed: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Data set with gaps; its gaps are also scored separately."),
    ] = None,
    variable: Renamed = None,
    as_json: Json = False,
    report: Annotated[
        str | None, typer.Option(metavar="FILE.html", help="Web page to write, with tables and figures.")
    ] = None,
    figures: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder for the figures as PNG files.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time to map in the report, such as 2011-09-20.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Shipped model or model file whose minimisation the report shows on a few windows.",
            autocompletion=models,
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Score an estimate against the truth.

    Example: da4dvar evaluate filled.nc truth.nc --observed gappy.nc

    Example: da4dvar evaluate filled.nc truth.nc --observed gappy.nc --report report.html

    The names given with --variable apply to the data set given with --observed.
    """
    from da4dvar.evaluation.scores import evaluate_files
    from da4dvar.evaluation.text import table_of

    names = pairs(variable, "--variable")
    if report is None and figures is None:
        for option, given in (("--at", at), ("--model", model)):
            if given is not None:
                raise DataError(f"{option} requires --report FILE.html or --figures FOLDER")
    if device != "auto" and model is None:
        raise DataError("--device requires --model, whose windows are solved there; name a model")
    with shown("scoring", quiet):
        if report is None and figures is None:
            scores = evaluate_files(estimate, truth, observed, names)
        else:
            from da4dvar.evaluation.report.files import report_files

            scores = report_files(
                estimate,
                truth,
                observed,
                variable=names,
                report=report,
                figures=figures,
                at=at,
                model=model,
                device=device,
                overwrite=overwrite,
            )
    typer.echo(as_text(scores) if as_json else table_of(scores))
    for written in (report, figures):
        if written is not None and not quiet:
            say(f"wrote {written}")


@command
def simulate(
    system: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(SYSTEMS)}.", autocompletion=one_of(SYSTEMS))
    ],
    output: Annotated[str, typer.Argument(help="Data set to write.")],
    series: Annotated[int, typer.Option(metavar="N", help="Number of independent series.")] = 16,
    steps: Annotated[int, typer.Option(metavar="N", help="Number of times in each series.")] = 200,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate the truth and the observations of a twin experiment.

    Example: da4dvar simulate lorenz96 l96.nc --series 16 --steps 200 --seed 1

    The output holds the variables x (truth) and x_observed (NaN where not observed).
    """
    from da4dvar.fields.files.store import add_history, check_output, write_dataset
    from da4dvar.simulate import SYSTEMS as MAKES

    if system not in MAKES:
        raise RecipeError(f"unknown system {system!r}: {nearest(system, MAKES)}")
    check_output(output, [], overwrite)
    with shown("simulating", quiet) as progress:
        ds = MAKES[system](series, steps, seed, progress=progress)
        write_dataset(add_history(ds, command_line()), output, overwrite)


@command
def gaps(
    source: Annotated[str, typer.Argument(help="Complete data set.")],
    output: Annotated[str, typer.Argument(help="Data set with gaps to write.")],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND", help=f"One of: {', '.join(BY_NAME['gaps'])}.", autocompletion=kinds_of("gaps")
        ),
    ] = "tracks",
    fraction: Annotated[
        float,
        typer.Option(
            metavar="FRACTION",
            help="Fraction of the cells that stays observed; not used by squares and transplanted.",
        ),
    ] = 0.035,
    block: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=CELLS", help="Size of a block or square along a dimension. Repeatable."),
    ] = None,
    number: Annotated[int, typer.Option(metavar="N", help="Number of squares in each image.")] = 3,
    masks: Annotated[
        str | None,
        typer.Option(metavar="FILE:VARIABLE", help="Masks to transplant, true where observed."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=FIRST:LAST", help="Part of the source to use. Repeatable."),
    ] = None,
    select_masks: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=FIRST:LAST", help="Part of the masks to use. Repeatable."),
    ] = None,
    variable: Renamed = None,
    dim: Dims = None,
    mask: Mask = None,
    fill_value: FillValue = "auto",
    times: Times = "insert",
    group: Group = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Hide part of a complete data set.

    Example: da4dvar gaps complete.nc gappy.nc --kind tracks --fraction 0.035 --seed 1
    """
    known = by_name("gaps")
    if kind not in known:
        raise DataError(f"gaps: unknown kind {kind!r}; {nearest(kind, known)}")
    from da4dvar.fields.files.store import add_history, write_dataset
    from da4dvar.workflows.twin import hide

    with shown("hiding", quiet):
        others = [] if masks is None else [masks.rpartition(":")[0]]
        ds = opened([source], output, overwrite, others, group)
        gappy = hide(
            ds,
            kind,
            fraction,
            block=pairs(block, "--block"),
            number=number,
            masks=masks,
            select=pairs(select, "--select"),
            select_masks=pairs(select_masks, "--select-masks"),
            dim=pairs(dim, "--dim"),
            seed=seed,
            variable=pairs(variable, "--variable"),
            mask=mask,
            fill_value=fill_value,
            times=times,
        )
        write_dataset(add_history(gappy, command_line()), output, overwrite)
