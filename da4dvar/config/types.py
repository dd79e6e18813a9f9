"""Checks of values from a file against type annotations, and sizes in bytes as text."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from da4dvar.errors import DataError

# torch and numpy use integers of 64 bits.
LARGEST = 2**63 - 1


def check_types(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Reject arguments that the annotations of a function do not allow, such as text for a number.

    Arguments that are already objects, or whose annotation is not a plain type, are not checked.

    Parameters
    ----------
    function : callable
        Function or class with annotations.
    arguments : mapping
        Keyword arguments to check.

    Raises
    ------
    ValueError
        If an argument has the wrong type.

    Examples
    --------
    >>> def network(width: int, kernels: Sequence[int] = ()) -> None: ...
    >>> check_types(network, {"width": 8, "kernels": [3, 5]})
    >>> check_types(network, {"width": "8"})
    Traceback (most recent call last):
    ValueError: width is '8', expected a whole number
    """
    made_by = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(made_by)
    except (NameError, AttributeError):  # an annotation that is only imported for type checkers
        return
    for name, value in arguments.items():
        if name in hints and not fits(value, hints[name]):
            end = f": [{shown(value)}]" if isinstance(value, str) and words(hints[name]) == "a list" else ""
            raise ValueError(f"{name} is {shown(value)}, expected {words(hints[name])}{end}")


def shown(value: Any) -> str:
    """Return the representation of a value for an error message, cut after 60 characters.

    Examples
    --------
    >>> shown("8"), shown([1, 2])
    ("'8'", '[1, 2]')
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value matches a type; true for every type that is not a plain one.

    Examples
    --------
    >>> fits(1, float), fits(True, int), fits(math.nan, float), fits([1, 2], tuple[float, float])
    (True, False, False, True)
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if hint is type(None):
        return value is None
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
        return whole or (hint is float and isinstance(value, float) and not math.isnan(value))
    if origin is tuple and parts[-1] is not Ellipsis:
        listed = isinstance(value, list | tuple) and len(value) == len(parts)
        return listed and all(map(fits, value, parts))
    if origin in (Sequence, list, tuple):
        return isinstance(value, list | tuple) and all(fits(each, parts[0]) for each in value)
    if origin in (Mapping, dict):
        return isinstance(value, Mapping) and all(fits(each, parts[1]) for each in value.values())
    return True


def words(hint: Any) -> str:
    """Return a type in words, for an error message."""
    plain = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if hint in plain:
        return plain[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(part) for part in parts if part is not type(None))
    if origin in (Sequence, list, tuple):
        kinds = {words(part) for part in parts if part is not Ellipsis}
        numbers = {"a number": "numbers", "a whole number": "whole numbers"}
        of = f" of {numbers[kinds.pop()]}" if len(kinds) == 1 and kinds <= numbers.keys() else ""
        return f"a list{of}"
    return "a table" if origin in (Mapping, dict) else getattr(hint, "__name__", str(hint))


def parse_bytes(text: str) -> int:
    """Parse a size such as ``500MB`` (10⁶) or ``2GiB`` (2³⁰) by ``dask.utils.parse_bytes``.

    Parameters
    ----------
    text : str
        Number and unit.

    Returns
    -------
    int
        Number of bytes.

    Raises
    ------
    DataError
        If the text is not a size of at least one byte.

    Examples
    --------
    >>> parse_bytes("1.5GB"), parse_bytes("2GiB")
    (1500000000, 2147483648)
    """
    from dask.utils import parse_bytes as parse

    try:
        # dask reads a unit without a number as one unit.
        size = parse(text) if text.strip()[:1] in {*"0123456789."} else 0
    except (ValueError, OverflowError):
        size = 0
    if size < 1:
        raise DataError(f"memory is {text!r}, expected a size such as 500MB or 2GiB")
    return int(size)


def readable_bytes(size: float) -> str:
    """Format a size so that :func:`parse_bytes` can read it: in megabytes, or in bytes below one, rounded up.

    Error messages recommend such sizes. ``dask.utils.format_bytes`` rounds to the nearest, which may be too
    small, and inserts a space, which would need quotes on the command line.

    Examples
    --------
    >>> readable_bytes(411_200_000), readable_bytes(300)
    ('412MB', '300B')
    """
    return f"{math.ceil(size / 1e6)}MB" if size >= 1e6 else f"{math.ceil(size)}B"
