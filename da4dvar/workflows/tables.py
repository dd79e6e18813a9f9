"""What the tables of a recipe may hold, and how large a model they may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from da4dvar.config.registry import build
from da4dvar.config.tables import Table
from da4dvar.errors import RecipeError
from da4dvar.modelfile.header import LARGEST_FILE

ANY_TABLE = dict[str, Any]
SECTIONS: Table = {
    "title": str,
    "row": ANY_TABLE,
    "data": ANY_TABLE,
    "gaps": ANY_TABLE | list[ANY_TABLE],
    "layout": ANY_TABLE,
    "scaling": ANY_TABLE,
    "prior": ANY_TABLE,
    "observation": ANY_TABLE,
    "observations": object,  # told more of by what reads them
    "solver": ANY_TABLE,
    "cost": ANY_TABLE,
    "first_guess": ANY_TABLE,
    "train": ANY_TABLE,
    "uncertainty": ANY_TABLE,
}
DATA: Table = {
    "path": str | list[str],
    "simulate": ANY_TABLE,
    "observed": dict[str, str],
    "truth": dict[str, str],
    "mask": str,
    "noise": float,
    "train": ANY_TABLE,
    "validation": ANY_TABLE,
    "hidden": ANY_TABLE,
    "covariates": list[str],
    "derived": list[str],
}
# Where the masks of a pattern of kind "transplanted" come from.
GAP_SOURCE: Table = {
    "path": str | list[str],
    "variable": str,
    "rename": dict[str, str],
    "select": ANY_TABLE,
}


def check_size(tables: Table, offered: Mapping[str, Any]) -> None:
    """Refuse a model that no model file could hold, before any memory is taken for it.

    Raises
    ------
    RecipeError
    """
    with torch.device("meta"):
        parts = [build(s, tables[s], offered) for s in ("prior", "solver")]
    size = sum(p.numel() * p.element_size() for part in parts for p in part.state_dict().values())
    if size > LARGEST_FILE:
        raise RecipeError(
            f"recipe: prior and solver would have {size:.2g} bytes, a model file has {LARGEST_FILE:.2g} "
            "at most; make them narrower"
        )
