"""Tables of recipes and model headers: read them, lay settings over them, check their keys."""

from __future__ import annotations

import copy
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from da4dvar.config.types import fits, shown, words
from da4dvar.errors import RecipeError, nearest

Table = dict[str, Any]
LARGEST_RECIPE = 2**20
MOST_PARTS = 100


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Table:
    """The tables of a TOML file, with ``section.key=value`` settings laid over them.

    Parameters
    ----------
    path : Path
    settings : sequence of str
        Each value is TOML, or else a string.

    Returns
    -------
    dict

    Raises
    ------
    RecipeError
        If the file is missing or no TOML, or a setting is malformed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "recipe.toml"
    ...     _ = path.write_text('[solver]\\nkind = "lstm"')
    ...     read_recipe(path, ["solver.iterations=10"])
    {'solver': {'kind': 'lstm', 'iterations': 10}}
    """
    try:
        recipe = tomllib.loads(text_of(path))
        return overlaid(recipe, settings)
    except RecipeError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not a TOML recipe ({error}); see the recipes for examples") from None


def text_of(path: Path) -> str:
    """The text of a recipe, if it is a file and not so large that it cannot be one.

    Raises
    ------
    RecipeError
    """
    try:
        known = path.stat()
        if not stat.S_ISREG(known.st_mode) or known.st_size > LARGEST_RECIPE:
            what = "it is larger than a megabyte" if stat.S_ISREG(known.st_mode) else "it is no file"
            raise RecipeError(f"{path}: not a TOML recipe ({what}); see the recipes for examples")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; give the path of a TOML file") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from None
    # The library's time grows with the square of the parts of a key.
    if any(piece.count(".") > MOST_PARTS for piece in re.split(r"[\[\]{}=,\n]", text)):
        raise RecipeError(f"{path}: not a TOML recipe (a key of over {MOST_PARTS} parts)")
    return text


def overlaid(recipe: Table, settings: Sequence[str]) -> Table:
    """Tables with ``section.key=value`` settings laid over them.

    Parameters
    ----------
    recipe : dict
        Left as it is.
    settings : sequence of str
        Each value is TOML, or else a string.

    Returns
    -------
    dict
        New tables.

    Raises
    ------
    RecipeError
        If a setting is malformed.

    Examples
    --------
    >>> overlaid({"solver": {"kind": "lstm"}}, ["solver.width=16", "title=Mine"])
    {'solver': {'kind': 'lstm', 'width': 16}, 'title': 'Mine'}
    """
    recipe = copy.deepcopy(recipe)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"--set {setting!r}: expected section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
        *sections, last = key.strip().split(".")
        table = recipe
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise RecipeError(f"--set {setting!r}: {section!r} is no table")
        table[last] = value
    return recipe


def check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a key that is not known, and offer the nearest."""
    for key in table:
        if key not in known:
            raise RecipeError(f"{where}: unknown key {key!r}; {nearest(key, known)}")


def check_table(table: Any, types: Mapping[str, Any], where: str, others: bool = False) -> None:
    """Refuse what is no table, or has a key of another type than said, or one that is not known.

    Parameters
    ----------
    table : Any
        As read from TOML.
    types : mapping of str to type
    where : str
        What the table is, for the message.
    others : bool
        Whether it may have other keys.

    Raises
    ------
    RecipeError
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: got {table!r}, expected a table")
    if not others:
        check_keys(table, tuple(types), where)
    for key in types.keys() & table.keys():
        if not fits(table[key], types[key]):
            raise RecipeError(f"{where}: {key} is {shown(table[key])}, expected {words(types[key])}")
