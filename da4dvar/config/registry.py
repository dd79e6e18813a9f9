"""Construction of objects from tables of recipes and model files, and the inverse."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from da4dvar.config.kinds import class_of, kind_of, names
from da4dvar.config.tables import Table, check_keys
from da4dvar.config.types import check_types, shown
from da4dvar.errors import RecipeError, first_line, nearest

Made = TypeVar("Made")


def arguments_of(cls: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments of a class or function."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [n for n, p in inspect.signature(cls).parameters.items() if p.kind in named]


def build(section: str, table: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> Any:
    """Build the object that a table describes.

    Parameters
    ----------
    section : str
        Section of the object: a key of :data:`da4dvar.config.kinds.KINDS`.
    table : mapping
        ``kind`` and the keyword arguments of its class.
    offered : mapping, optional
        Defaults for arguments that the class has and the table does not give, such as the channels and the
        boundary of the layout. Those that the class does not have are ignored.

    Returns
    -------
    object
        Instance of the class that `section` and ``kind`` name.

    Raises
    ------
    RecipeError
        If the kind or an argument is unknown, missing or out of range.

    Examples
    --------
    >>> build("gaps", {"kind": "tracks", "fraction": 0.035}).fraction
    0.035
    >>> build("gaps", {"kind": "trackz", "fraction": 0.035})
    Traceback (most recent call last):
    ...
    da4dvar.config.kinds.UnknownKindError: gaps: unknown kind 'trackz'; did you mean 'tracks'? ...
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{section}: got {table!r}, expected a table with a `kind`")
    if "kind" not in table:
        raise RecipeError(f"{section}: no `kind`; {nearest('', names(section))}")
    cls = class_of(section, table["kind"])
    parameters = arguments_of(cls)
    arguments = {k: v for k, v in table.items() if k != "kind"}
    check_keys(arguments, parameters, f"{section} of kind {table['kind']!r}")
    nested = nested_in(cls)
    for name in nested.keys() & arguments.keys():
        part, given = nested[name], arguments[name]
        if isinstance(part, str):
            arguments[name] = build(part, given, offered)
        elif isinstance(given, list):
            arguments[name] = [build(part[0], each, offered) for each in given]
        else:
            raise RecipeError(f"{section}: {name} is {shown(given)}, expected a list of tables")
    for name, value in (offered or {}).items():
        if name in parameters:
            arguments.setdefault(name, value)
    return call(cls, arguments, f"{section} of kind {table['kind']!r}")


def call(cls: Callable[..., Made], arguments: Mapping[str, Any], where: str) -> Made:
    """Return ``cls(**arguments)`` for arguments from a file, and turn its errors into a RecipeError.

    Parameters
    ----------
    cls : callable
        Class or function to call.
    arguments : mapping
        Keyword arguments.
    where : str
        Name of the table, with which error messages begin.

    Returns
    -------
    object

    Raises
    ------
    RecipeError
        If an argument is unknown or has the wrong type, or the call fails.
    """
    if not isinstance(arguments, Mapping):
        raise RecipeError(f"{where}: got {arguments!r}, expected a table")
    check_keys(arguments, arguments_of(cls), where)
    try:
        check_types(cls, arguments)
        return cls(**arguments)
    except RecipeError:
        raise
    # Numbers that are too large for an array or for the memory raise errors of many types.
    except (TypeError, ValueError, ArithmeticError, KeyError, RuntimeError, MemoryError) as error:
        raise RecipeError(f"{where}: {first_line(error)}") from error


def nested_in(cls: type) -> Mapping[str, str | list[str]]:
    """Return the arguments of a class that are parts themselves, with their sections.

    This is the attribute ``nested`` of the class. In a recipe each of these arguments is a table, or a list
    of tables if its section is in a list.
    """
    nested: Mapping[str, str | list[str]] = getattr(cls, "nested", {})
    return nested


def describe(section: str, thing: Any) -> Table:
    """Return the table that describes an object: the inverse of :func:`build`.

    Parameters
    ----------
    section : str
        Section of the object: a key of :data:`da4dvar.config.kinds.KINDS`.
    thing : object
        Object that keeps its arguments as attributes of the same names.

    Returns
    -------
    dict
        Table of values that TOML and JSON can represent.

    Raises
    ------
    RecipeError
        If the class has no kind, does not keep an argument, or an argument is not text, a number, a list, a
        table or a part that ``nested`` names.

    Examples
    --------
    >>> from da4dvar.fields.gaps.patterns import Random
    >>> describe("gaps", Random(0.1))
    {'kind': 'random', 'fraction': 0.1}
    """
    cls = type(thing)
    table: Table = {"kind": kind_of(section, cls)}
    nested = nested_in(cls)
    for name in arguments_of(cls):
        if not hasattr(thing, name):
            raise RecipeError(
                f"{section}: {cls.__name__} does not keep its argument {name}; set self.{name} in __init__"
            )
        value, part = getattr(thing, name), nested.get(name)
        if isinstance(part, str) and value is not None:
            value = describe(part, value)
        elif isinstance(part, list):
            value = [describe(part[0], each) for each in value]
        elif hasattr(value, "tolist"):
            value = value.tolist()
        elif isinstance(value, tuple):
            value = list(value)
        if not isinstance(value, str | int | float | list | dict | None):
            raise RecipeError(
                f"{section}: {name} is a {type(value).__name__}, which a model file cannot hold; use a part "
                f"without it, or name its section in {cls.__name__}.nested"
            )
        if value is not None:
            table[name] = value
    return table
