"""The command line: a thin door to the package; every heavy import waits for its verb."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import da4dvar
from da4dvar.errors import Da4dvarError, Da4dvarWarning, DataError, RecipeError
from da4dvar.progress import shown

# typer carries a click of its own from some version on: its errors are reached through typer's.
UsageError: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    help="Fill the gaps of geoscience time series by learned variational data assimilation.",
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
)

Inputs = Annotated[
    list[str],
    typer.Argument(help="NetCDF files or Zarr stores, or a glob in quotes; the last is the output."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--variable", help="NAME=OTHER: read OTHER for the variable NAME. Repeatable."),
]
Dims = Annotated[
    list[str] | None,
    typer.Option("--dim", help="NAME=OTHER: the dimension NAME is called OTHER. Repeatable."),
]
Mask = Annotated[str | None, typer.Option(help="A variable: non-zero or true where there is an observation.")]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn at random.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]


def version(asked: bool) -> None:
    if asked:
        typer.echo(da4dvar.__version__)
        raise typer.Exit


@app.callback()
def door(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fill the gaps of geoscience time series by learned variational data assimilation."""


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
def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, laid over the recipe. Repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    start: Annotated[
        str | None, typer.Option(help="A model, shipped or a path, whose weights to start from.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train the model of a recipe.

    Example: da4dvar train recipe.toml -o model.safetensors --set solver.iterations=10

    Checkpoints and the log are kept in the folder OUTPUT.checkpoints.
    """
    from da4dvar.config import read_recipe
    from da4dvar.modelfile import load
    from da4dvar.recipe import Recipe

    tables = read_recipe(recipe, settings or [])
    if output.exists() and not overwrite:
        raise DataError(f"{output}: exists already; say --overwrite to replace it, or name another")
    if not output.resolve().parent.is_dir():
        raise DataError(f"{output}: there is no folder {output.parent}; create it first")
    folder = output.with_name(output.name + ".checkpoints")
    if folder.exists() and not resume:
        raise DataError(
            f"{folder}: checkpoints of an earlier training; say --resume to go on with it, or "
            "remove the folder"
        )
    bar = sys.stderr.isatty() and not quiet
    begun = None if start is None else load(start)
    model = Recipe(tables, recipe.parent).train(folder, resume, bar, begun)
    model.save(output)
    if not quiet:
        say(f"wrote {output}")


@app.command()
def evaluate(
    estimate: Annotated[str, typer.Argument(help="The data set to score.")],
    truth: Annotated[str, typer.Argument(help="The data set to compare it with.")],
    observed: Annotated[
        str | None, typer.Option(help="The gappy data set: scores apart for its gaps.")
    ] = None,
    variable: Renamed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score an estimate against the truth.

    Example: da4dvar evaluate filled.nc truth.nc --observed gappy.nc

    --variable NAME=OTHER reads OTHER in the gappy data set for the variable NAME.
    """
    from da4dvar.evaluation import evaluate_files, table_of

    with shown("scoring", quiet):
        scores = evaluate_files(estimate, truth, observed, pairs(variable, "--variable"))
    typer.echo(as_text(scores) if as_json else table_of(scores))


@app.command()
def simulate(
    system: Annotated[str, typer.Argument(help="lorenz96 or lorenz63.")],
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
    from da4dvar.errors import nearest
    from da4dvar.fields.store import add_history, check_output, write_dataset
    from da4dvar.simulate import SYSTEMS

    if system not in SYSTEMS:
        raise RecipeError(f"there is no system {system!r}: {nearest(system, SYSTEMS)}")
    check_output(output, [], overwrite)
    with shown("simulating", quiet) as progress:
        ds = SYSTEMS[system](series, steps, seed, progress=progress)
        write_dataset(add_history(ds, command()), output, overwrite)


@app.command()
def gaps(
    source: Annotated[str, typer.Argument(help="A complete data set.")],
    output: Annotated[str, typer.Argument(help="The gappy data set to write.")],
    kind: Annotated[str, typer.Option(help="random, blocks, tracks or transplanted.")] = "tracks",
    fraction: Annotated[float, typer.Option(help="Part of the cells that stays.")] = 0.035,
    block: Annotated[
        list[str] | None, typer.Option(help="DIM=CELLS: the size of a block. Repeatable.")
    ] = None,
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
    from da4dvar.experiment import hide
    from da4dvar.fields.store import add_history, write_dataset

    with shown("hiding", quiet):
        ds = opened([source], output, overwrite)
        gappy = hide(
            ds,
            kind,
            fraction,
            block=pairs(block, "--block"),
            masks=masks,
            select=pairs(select, "--select"),
            select_masks=pairs(select_masks, "--select-masks"),
            dim=pairs(dim, "--dim"),
            seed=seed,
        )
        write_dataset(add_history(gappy, command()), output, overwrite)


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


@app.command()
def benchmark(
    folder: Annotated[Path, typer.Argument(help="A folder with benchmark.toml and a recipe for each row.")],
    rows: Annotated[
        str | None, typer.Option(help="Names of rows, separated by commas; all if left out.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Another test set of the benchmark.")] = None,
    series: Annotated[int | None, typer.Option(help="Test series to simulate.", min=1)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the results; FOLDER/results if left out.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run the rows of a benchmark; write its table (Markdown, CSV) and figures.

    Example: da4dvar benchmark recipes/lorenz96 --rows linear,ode-lstm --series 32 -o results

    Rows that were run before keep their line in the table.
    """
    from da4dvar.benchmark import run_folder

    chosen = [name.strip() for name in rows.split(",")] if rows else []
    report = None if quiet else lambda name: say(f"row {name}")
    typer.echo(run_folder(folder, chosen, variant, series, output, report))


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A model, shipped or a path, or a data set.")],
    as_json: Json = False,
) -> None:
    """Show what a model or a data set is.

    Example: da4dvar inspect oisst-tasman
    """
    from da4dvar.inspection import describe, text_of

    described = describe(file)
    typer.echo(as_text(described) if as_json else text_of(described))


def split(files: list[str]) -> tuple[list[str], str]:
    """Inputs and output."""
    if len(files) < 2:
        raise DataError(f"got {len(files)} file, expected an input and an output")
    return files[:-1], files[-1]


def opened(inputs: list[str], output: str, overwrite: bool) -> Any:
    """The inputs as one data set in memory, once the output is known to be allowed."""
    from da4dvar.fields.store import check_output, files_of, load_dataset

    check_output(output, files_of(inputs), overwrite)
    return load_dataset(inputs)


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """NAME=OTHER, as a mapping."""
    out = {}
    for text in given or []:
        name, equals, other = text.partition("=")
        if not (equals and name and other):
            raise DataError(f"{option} {text!r}: expected NAME=OTHER")
        out[name] = other
    return out


def command() -> str:
    """The command line, for the history of a file."""
    return " ".join(["da4dvar", *sys.argv[1:]])


def as_text(table: Any) -> str:
    """JSON."""
    import json

    return json.dumps(table, indent=2, default=str)


def say(text: str) -> None:
    """A line for a person, on stderr: results alone go to stdout."""
    typer.echo(text, err=True)


def show_note(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """A warning of ours as a line; those of the libraries beneath are not the user's to mend."""
    if issubclass(category, Da4dvarWarning):
        say(f"note: {message}")


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2."""
    warnings.showwarning = show_note  # type: ignore[assignment]
    arguments = sys.argv[1:] or ["--help"]
    try:
        status = app(arguments, standalone_mode=False)
    except Da4dvarError as error:
        say(f"error: {error}")
        status = 2
    except UsageError as error:
        say(f"error: {error.format_message().rstrip('.')}; see da4dvar --help")
        status = 2
    except (typer.Abort, KeyboardInterrupt):
        say("stopped; nothing was written")
        status = 130
    sys.exit(status)
