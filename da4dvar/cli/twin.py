"""Verbs of experiments with a known truth: simulate, gaps, evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from da4dvar.cli.complete import SYSTEMS, kinds_of, models, one_of
from da4dvar.cli.shell import (
    Dims,
    Json,
    Overwrite,
    Quiet,
    Renamed,
    Seed,
    app,
    as_text,
    command,
    opened,
    pairs,
    say,
)
from da4dvar.config.kinds import BY_NAME, by_name
from da4dvar.errors import DataError, RecipeError, nearest
from da4dvar.progress import shown


@app.command()
def evaluate(
    estimate: Annotated[str, typer.Argument(help="The data set to score.")],
    truth: Annotated[str, typer.Argument(help="The data set to compare it with.")],
    observed: Annotated[
        str | None, typer.Option(help="The gappy data set: scores apart for its gaps.")
    ] = None,
    variable: Renamed = None,
    as_json: Json = False,
    report: Annotated[
        str | None, typer.Option(help="A page to write, FILE.html: tables and figures.")
    ] = None,
    figures: Annotated[str | None, typer.Option(help="A folder for the figures as PNG files.")] = None,
    at: Annotated[str | None, typer.Option(help="The time to draw, such as 2011-09-20.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="For the report: the model whose solver to watch on a few windows.", autocompletion=models
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Score an estimate against the truth.

    Example: da4dvar evaluate filled.nc truth.nc --observed gappy.nc

    Example: da4dvar evaluate filled.nc truth.nc --observed gappy.nc --report report.html

    --variable NAME=OTHER reads OTHER in the gappy data set for the variable NAME.
    """
    from da4dvar.evaluation.scores import evaluate_files
    from da4dvar.evaluation.text import table_of

    names = pairs(variable, "--variable")
    if report is None and figures is None:
        for option, given in (("--at", at), ("--model", model)):
            if given is not None:
                raise DataError(f"{option} is for the report; say --report FILE.html or --figures FOLDER too")
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
                overwrite=overwrite,
            )
    typer.echo(as_text(scores) if as_json else table_of(scores))
    for written in (report, figures):
        if written is not None and not quiet:
            say(f"wrote {written}")


@app.command()
def simulate(
    system: Annotated[str, typer.Argument(help=f"{', '.join(SYSTEMS)}.", autocompletion=one_of(SYSTEMS))],
    output: Annotated[str, typer.Argument(help="The data set to write.")],
    series: Annotated[int, typer.Option(help="Independent series.")] = 16,
    steps: Annotated[int, typer.Option(help="Times of each.")] = 200,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a twin experiment: x (truth) and x_observed (NaN where not observed).

    Example: da4dvar simulate lorenz96 l96.nc --series 16 --steps 200 --seed 1
    """
    from da4dvar.fields.files.store import add_history, check_output, write_dataset
    from da4dvar.simulate import SYSTEMS as MAKES

    if system not in MAKES:
        raise RecipeError(f"there is no system {system!r}: {nearest(system, MAKES)}")
    check_output(output, [], overwrite)
    with shown("simulating", quiet) as progress:
        ds = MAKES[system](series, steps, seed, progress=progress)
        write_dataset(add_history(ds, command()), output, overwrite)


@app.command()
def gaps(
    source: Annotated[str, typer.Argument(help="A complete data set.")],
    output: Annotated[str, typer.Argument(help="The gappy data set to write.")],
    kind: Annotated[
        str, typer.Option(help=f"{', '.join(BY_NAME['gaps'])}.", autocompletion=kinds_of("gaps"))
    ] = "tracks",
    fraction: Annotated[float, typer.Option(help="Part of the cells that stays.")] = 0.035,
    block: Annotated[
        list[str] | None, typer.Option(help="DIM=CELLS: the size of a block or square. Repeatable.")
    ] = None,
    number: Annotated[int, typer.Option(help="Squares to an image.")] = 3,
    masks: Annotated[
        str | None, typer.Option(help="FILE:VARIABLE of the masks to transplant; true = observed.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="DIM=FIRST:LAST: the part of the source to take. Repeatable."),
    ] = None,
    select_masks: Annotated[
        list[str] | None,
        typer.Option(help="DIM=FIRST:LAST: the part of the masks to use. Repeatable."),
    ] = None,
    dim: Dims = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Hide a part of a complete data set.

    Example: da4dvar gaps complete.nc gappy.nc --kind tracks --fraction 0.035 --seed 1
    """
    known = by_name("gaps")
    if kind not in known:
        raise DataError(f"gaps: unknown kind {kind!r}; {nearest(kind, known)}")
    from da4dvar.fields.files.store import add_history, write_dataset
    from da4dvar.workflows.twin import hide

    with shown("hiding", quiet):
        others = [] if masks is None else [masks.rpartition(":")[0]]
        ds = opened([source], output, overwrite, others)
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
        )
        write_dataset(add_history(gappy, command()), output, overwrite)
