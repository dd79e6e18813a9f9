"""The tables of a row: every method on the same points, hidden from all of them, and its error bars.

    python recipes/real-gaps/measure.py pm10 [--part test] [--model FILE] [--methods linear,nearest_stations]

Choices are made on the points of the validation (`--part validation`). Those of the test are for the table:
points that the recipe hides, or where it has a mask, what lies under that (`--part mask`, and `--mask` for
another one). CRPS, coverage and spread/skill are those of methods that state an error: the learned one if its
model has a calibration (`[uncertainty]` of the recipe, or --calibrate, on the points of the validation).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import da4dvar
from da4dvar import config
from da4dvar.config import Table
from da4dvar.ensemble import Ensemble
from da4dvar.fields.character import character_of
from da4dvar.fit_file import table_of
from da4dvar.fitting import LEARNED, candidates, scored
from da4dvar.recipe import Data, Recipe

HERE = Path(__file__).parent


def under_mask(tables: Table) -> Data:
    """What a recipe's mask leaves, and as the truth what it hides."""
    data = {k: v for k, v in tables["data"].items() if k != "hidden"} | {"train": {}, "validation": {}}
    seen = Recipe(tables | {"data": data}, HERE).data("train").seen
    del data["mask"]
    everything = Recipe(tables | {"data": data}, HERE).data("train").seen
    return Data(seen, everything.where(seen.isnull()))


def main(name: str, part: str, mask: str | None, model: Path | None, only: list[str], members: int) -> None:
    tables = config.read_recipe(HERE / f"{name}.toml", [f"data.mask={mask}"] if mask else [])
    recipe = Recipe(tables, HERE)
    data = under_mask(tables) if part == "mask" else recipe.data(part)
    first = data.seen[recipe.layout.variables[0]]
    offered = candidates(character_of(first, recipe.time))
    methods = {n: config.build("baseline", table) for n, table in offered.items() if not only or n in only}
    path = HERE / "models" / f"{name}.safetensors" if model is None else model
    if path.exists():
        learned = da4dvar.load(path)
        if members:
            checked = recipe.data("validation")
            learned.calibrate(checked.seen, checked.truth, ensemble=Ensemble(members))
        methods = {LEARNED: learned, **methods}
    scores, seconds = scored(methods, data, recipe.time, recipe.tests() if part == "test" else None)
    where = f"under {tables['data']['mask']}" if part == "mask" else f"of the {part}"
    print(f"{name}, points {where}, seed {recipe.holdout.seed}")
    print(table_of(scores))
    print("seconds: " + ", ".join(f"{n} {s:.1f}" for n, s in seconds.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--part", choices=["validation", "test", "mask"], default="test")
    parser.add_argument("--mask", help="another mask than the recipe's")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--methods", default="", help="baselines, separated by commas; all if left out")
    parser.add_argument(
        "--calibrate", type=int, default=0, metavar="MEMBERS", help="of the ensemble; 0: as it is"
    )
    given = parser.parse_args()
    only = [n for n in given.methods.split(",") if n]
    main(given.name, given.part, given.mask, given.model, only, given.calibrate)
