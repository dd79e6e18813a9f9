"""Workflows that lead from a recipe or a file to a result.

`recipe` trains a model from a TOML file, `fill` applies a classical method, `twin` hides values, `autofit`
fits a model to a single file, and `benchmark` runs a folder of recipes. Imports everything except `cli`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "Benchmark": "benchmark.rows",
    "Comparison": "autofit.comparison",
    "Fitted": "autofit.fitted",
    "Mapped": "points.mapped",
    "Part": "data",
    "Recipe": "recipe",
    "RecipeData": "data",
    "assimilate_file": "cycling",
    "forecast_file": "cycling",
    "observations": "data",
    "run_folder": "benchmark.run",
    "select": "data",
    "simulated": "data",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.workflows.autofit.comparison import Comparison as Comparison
    from da4dvar.workflows.autofit.fitted import Fitted as Fitted
    from da4dvar.workflows.benchmark.rows import Benchmark as Benchmark
    from da4dvar.workflows.benchmark.run import run_folder as run_folder
    from da4dvar.workflows.cycling import assimilate_file as assimilate_file
    from da4dvar.workflows.cycling import forecast_file as forecast_file
    from da4dvar.workflows.data import Part as Part
    from da4dvar.workflows.data import RecipeData as RecipeData
    from da4dvar.workflows.data import observations as observations
    from da4dvar.workflows.data import select as select
    from da4dvar.workflows.data import simulated as simulated
    from da4dvar.workflows.points.mapped import Mapped as Mapped
    from da4dvar.workflows.recipe import Recipe as Recipe

__getattr__, __dir__ = attached(__name__, _PUBLIC)
