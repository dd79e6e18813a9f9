"""The shape of a recipe: where a table belongs, where a list, a word or a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from da4dvar.errors import RecipeError, nearest

Tables = Mapping[str, Any]
KINDS: dict[str, tuple[type, ...]] = {
    "a table": (Mapping,),
    "a table or a list of tables": (Mapping, list),
    "a list": (list, tuple),
    "a word": (str,),
    "a word or a list of words": (str, list, tuple),
    "a number": (int, float),
}
# What a key holds, by its path; what is not named here is checked by the class that takes it.
SHAPE = {
    "title": "a word",
    **dict.fromkeys(
        ("row", "data", "layout", "scaling", "prior", "observation", "solver", "cost", "train"), "a table"
    ),
    **dict.fromkeys(("first_guess", "uncertainty"), "a table"),
    "gaps": "a table or a list of tables",
    "observations": "a list",
    "data.path": "a word or a list of words",
    **dict.fromkeys(
        [f"data.{k}" for k in ("simulate", "observed", "truth", "train", "validation")], "a table"
    ),
    "data.hidden": "a table",
    "data.mask": "a word",
    "data.noise": "a number",
    "layout.window": "a table",
    "layout.overlap": "a table",
    "train.iterations": "a list",
    "train.nu": "a list",
}
LISTS_OF_TABLES = ("gaps", "observations")
DEVICES = ("auto", "cpu", "cuda", "gpu")


def check_shape(tables: Tables) -> None:
    """Refuse a value of another kind than its place asks for.

    Raises
    ------
    RecipeError

    Examples
    --------
    >>> check_shape({"data": {"noise": "loud"}})
    Traceback (most recent call last):
    da4dvar.errors.RecipeError: recipe: data.noise is 'loud', expected a number
    """
    for path, wanted in SHAPE.items():
        section, _, key = path.partition(".")
        if section not in tables or (key and key not in tables[section]):
            continue
        value = tables[section][key] if key else tables[section]
        if not isinstance(value, KINDS[wanted]) or isinstance(value, bool):
            raise RecipeError(f"recipe: {path} is {value!r}, expected {wanted}")
    for section in LISTS_OF_TABLES:
        for each in tables[section] if isinstance(tables.get(section), list) else ():
            if not isinstance(each, Mapping):
                raise RecipeError(f"recipe: {section} holds {each!r}, expected tables")
    train = tables.get("train", {})
    for number in train.get("iterations", ()):
        if not isinstance(number, int) or number < 1:
            raise RecipeError(f"recipe: train.iterations holds {number!r}, expected whole numbers above 0")
    if (device := train.get("devices", "auto")) not in DEVICES:
        raise RecipeError(f"recipe: train.devices is {device!r}; {nearest(str(device), DEVICES)}")
