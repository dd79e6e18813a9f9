"""Keys and types of the tables of a recipe, and the limit on the size of a model."""

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
    "observations": object,  # checked by `sensors.sensors_of`
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
# Source of the masks of a gap pattern of kind "transplanted".
GAP_SOURCE: Table = {
    "path": str | list[str],
    "variable": str,
    "rename": dict[str, str],
    "select": ANY_TABLE,
}


def check_size(tables: Table, offered: Mapping[str, Any]) -> None:
    """Reject a model that is too large for a model file, before any memory is allocated for it.

    Parameters
    ----------
    tables : mapping
        Tables of a recipe.
    offered : mapping
        Arguments from the layout; see :func:`da4dvar.config.registry.build`.

    Raises
    ------
    RecipeError
        If the prior and the solver are larger than a model file may be.
    """
    with torch.device("meta"):
        parts = [build(s, tables[s], offered) for s in ("prior", "solver")]
    size = sum(p.numel() * p.element_size() for part in parts for p in part.state_dict().values())
    if size > LARGEST_FILE:
        raise RecipeError(
            f"recipe: prior and solver would have {size:.2g} bytes, but a model file has at most "
            f"{LARGEST_FILE:.2g}; make them narrower"
        )
