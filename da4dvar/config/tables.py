"""Tables of recipes and model headers: reading, overriding settings, and checks of keys."""

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
    """Read the tables of a TOML file, and override some of their values.

    Parameters
    ----------
    path : Path
        Path of the file.
    settings : sequence of str
        Settings ``section.key=value``; see :func:`overlaid`.

    Returns
    -------
    dict

    Raises
    ------
    RecipeError
        If the file does not exist or is not TOML, or a setting is malformed.

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
    """Read the text of a recipe.

    Raises
    ------
    RecipeError
        If the file does not exist, cannot be read, is not a regular file, is larger than a megabyte, or has
        keys of very many parts.
    """
    try:
        known = path.stat()
        if not stat.S_ISREG(known.st_mode) or known.st_size > LARGEST_RECIPE:
            what = "it is larger than a megabyte" if stat.S_ISREG(known.st_mode) else "not a regular file"
            raise RecipeError(f"{path}: not a TOML recipe ({what}); see the recipes for examples")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; give the path of a TOML file") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from None
    # The time that tomllib takes grows with the square of the number of parts of a key.
    if any(piece.count(".") > MOST_PARTS for piece in re.split(r"[\[\]{}=,\n]", text)):
        raise RecipeError(f"{path}: not a TOML recipe (a key has more than {MOST_PARTS} parts)")
    return text


def overlaid(recipe: Table, settings: Sequence[str]) -> Table:
    """Return a copy of tables in which some values are overridden.

    Parameters
    ----------
    recipe : dict
        Tables of a recipe, which are not modified.
    settings : sequence of str
        Settings ``section.key=value``. A value that is not valid TOML is taken as a string.

    Returns
    -------
    dict
        Copy with the settings.

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
                raise RecipeError(f"--set {setting!r}: {section!r} is not a table")
        table[last] = value
    return recipe


def check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Reject unknown keys, with the most similar known key in the message."""
    for key in table:
        if key not in known:
            raise RecipeError(f"{where}: unknown key {key!r}; {nearest(key, known)}")


def check_table(table: Any, types: Mapping[str, Any], where: str, others: bool = False) -> None:
    """Check that a value from a file is a table, and the keys and the types of its values.

    Parameters
    ----------
    table : Any
        Value to check, as read from TOML.
    types : mapping of str to type
        Type of each known key.
    where : str
        Name of the table, with which error messages begin.
    others : bool
        Whether the table may have other keys.

    Raises
    ------
    RecipeError
        If it is not a table, a key is unknown, or a value has the wrong type.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: got {table!r}, expected a table")
    if not others:
        check_keys(table, tuple(types), where)
    for key in types.keys() & table.keys():
        if not fits(table[key], types[key]):
            raise RecipeError(f"{where}: {key} is {shown(table[key])}, expected {words(types[key])}")
