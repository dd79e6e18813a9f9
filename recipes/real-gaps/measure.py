"""Scores of all methods, and of their error bars, on the same points, which were hidden from all of them.

    python recipes/real-gaps/measure.py pm10 [--part test] [--model FILE] [--methods linear,nearest_stations]

Choices are made on the validation points (`--part validation`). The test points are for the table: those
that the recipe hides or, if it has a mask, those under the mask (`--part mask`, and `--mask` for another
mask). The method `first_guess` is that of the recipe, without the network. CRPS, coverage and spread/skill
are given for methods with a standard error, including the learned one if its model is calibrated
(`[uncertainty]` in the recipe, or --calibrate, on the validation points).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

import da4dvar
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.config.registry import build
from da4dvar.config.tables import Table, read_recipe
from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.uncertainty import table_of as error_bars_of
from da4dvar.workflows.autofit.character import characters_of
from da4dvar.workflows.benchmark.points import LEARNED, Scores, candidates, scored, table_of
from da4dvar.workflows.data import Part
from da4dvar.workflows.recipe import Recipe

HERE = Path(__file__).parent
MARKERS = "Dosv^P<>X*"


def under_mask(tables: Table) -> Part:
    """Return the values outside a recipe's mask as observations, and those under it as the truth."""
    data = {k: v for k, v in tables["data"].items() if k != "hidden"} | {"train": {}, "validation": {}}
    seen = Recipe(tables | {"data": data}, HERE).data("train").seen
    del data["mask"]
    everything = Recipe(tables | {"data": data}, HERE).data("train").seen
    return Part(seen, everything.where(seen.isnull()))


def draw(scores: Scores, units: dict[str, str], title: str, path: Path) -> None:
    """Draw the error of every method on all points and by class of gaps, one panel per variable."""
    figure = Figure(figsize=(5.2 * len(units) + 2.4, 4.2), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(1, len(units), squeeze=False)[0]
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(scores.methods)))
    for axis, (name, unit) in zip(axes, units.items(), strict=True):
        own = [k for k, column in enumerate(scores.columns) if column.startswith(f"{name}, ")]
        for number, (method, row) in enumerate(sorted(scores.methods.items(), key=lambda of: of[1][0])):
            axis.plot(
                range(len(own)),
                [row[k] for k in own],
                MARKERS[number % len(MARKERS)],
                color=colours[number],
                markersize=11 if method == LEARNED else 6,
                fillstyle="none" if method == LEARNED else "full",
                label=method.replace("_", " "),
            )
        classes = [f"{scores.columns[k].removeprefix(f'{name}, ')}\n{scores.points[k]} points" for k in own]
        axis.set_xticks(range(len(own)), classes, fontsize="x-small", rotation=30 if len(own) > 5 else 0)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:.3g}")
        axis.tick_params(axis="y", which="minor", labelsize="x-small")
        axis.set_ylabel(f"RMSE of {name}" + (f" [{pretty(unit)}]" if unit else ""))
        axis.grid(axis="y", which="both", alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize="small")
    figure.savefig(path, dpi=90)


def main(
    name: str,
    part: str,
    mask: str | None,
    model: Path | None,
    only: list[str],
    members: int,
    figure: Path | None,
    settings: list[str],
) -> None:
    tables = read_recipe(HERE / f"{name}.toml", [*settings, *([f"data.mask={mask}"] if mask else [])])
    recipe = Recipe(tables, HERE)
    data = under_mask(tables) if part == "mask" else recipe.data(part)
    offered = candidates(characters_of(data.seen[list(recipe.layout.variables)], recipe.time))
    offered |= {"first_guess": tables["first_guess"]} if "first_guess" in tables else {}
    methods = {n: build("baseline", table) for n, table in offered.items() if not only or n in only}
    path = HERE / "models" / f"{name}.safetensors" if model is None else model
    if path.exists():
        learned = da4dvar.load(path)
        if members:
            checked = recipe.data("validation")
            learned.calibrate(checked.seen, checked.truth, ensemble=Ensemble(members))
        methods = {LEARNED: learned, **methods}
    scores, seconds = scored(methods, data, recipe.time, recipe.tests() if part == "test" else None)
    where = f"points under {tables['data']['mask']}" if part == "mask" else f"{part} points"
    print(f"{name}, {where}, seed {recipe.source.holdout.seed}")
    print(table_of(replace(scores, error_bars={})), error_bars_of(scores.error_bars), sep="\n\n")
    print("seconds: " + ", ".join(f"{n} {s:.1f}" for n, s in seconds.items()))
    if figure is not None:
        units = {n: str(data.seen[n].attrs.get("units", "")) for n in recipe.layout.variables}
        draw(scores, units, f"{tables['title']}\n{where}", figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--part", choices=["validation", "test", "mask"], default="test")
    parser.add_argument("--mask", help="mask to use instead of that of the recipe")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--methods", default="", help="baselines, separated by commas; by default all")
    parser.add_argument(
        "--calibrate",
        type=int,
        default=0,
        metavar="MEMBERS",
        help="calibrate with an ensemble of this size; 0 keeps the model as it is",
    )
    parser.add_argument("--figure", type=Path)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="of the recipe"
    )
    given = parser.parse_args()
    only = [n for n in given.methods.split(",") if n]
    main(given.name, given.part, given.mask, given.model, only, given.calibrate, given.figure, given.set)
