"""The model whose speed is measured: the learned solver of the recipe `oisst-tasman`, untrained."""

from __future__ import annotations

import tomllib
from pathlib import Path

from da4dvar import Interpolator
from da4dvar.workflows.recipe import Recipe

FOLDER = Path(__file__).parents[1] / "oisst-tasman"


def learned_solver() -> Interpolator:
    """Return the model, with the scaling of its training data."""
    recipe = Recipe(tomllib.loads((FOLDER / "lstm.toml").read_text("utf-8")), FOLDER)
    seen = recipe.data("train").seen
    return recipe.interpolator({str(d): n for d, n in seen.sizes.items()}).prepare(seen)
