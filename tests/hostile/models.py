"""Model files that are valid except for one change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from da4dvar.modelfile.header import CHECKSUM, KEY, checksum, read

Header = dict[str, Any]
Arrays = dict[str, np.ndarray]


def parts(path: Path) -> tuple[Header, Arrays]:
    """Return the header of a model file, without its checksum, and its tensors."""
    header, arrays = read(path)
    return {key: value for key, value in header.items() if key != CHECKSUM}, arrays


def with_header(path: Path, header: Any, arrays: Arrays, signed: bool = True) -> Path:
    """Write a model file with any header and a valid checksum, as an attacker could."""
    if signed and isinstance(header, dict):
        header = header | {CHECKSUM: checksum(header, arrays)}
    text = header if isinstance(header, str) else json.dumps(header)
    safetensors.numpy.save_file(arrays, path, {KEY: text})
    return path


def changed(
    model: Path,
    path: Path,
    header: Callable[[Header], object] | None = None,
    arrays: Callable[[Arrays], object] | None = None,
) -> Path:
    """Write a model file after a change of its header or tensors."""
    table, tensors = parts(model)
    tensors = {name: array.copy() for name, array in tensors.items()}
    if header is not None:
        header(table)
    if arrays is not None:
        arrays(tensors)
    return with_header(path, table, tensors)


def leaves(table: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value of nested tables and lists."""
    ways = [at] if at else []
    entries = (
        table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    )
    return ways + [way for key, value in entries for way in leaves(value, (*at, key))]


def put(table: Any, way: tuple[Any, ...], value: Any) -> None:
    """Set a value in a nested table."""
    for key in way[:-1]:
        table = table[key]
    table[way[-1]] = value


def remove(table: Any, way: tuple[Any, ...]) -> None:
    """Remove a value from a nested table."""
    for key in way[:-1]:
        table = table[key]
    del table[way[-1]]


def ways(section: str, table: Any) -> list[tuple[Any, ...]]:
    """The way to a section and to every value in it."""
    return [(section,), *((section, *way) for way in leaves(table))]
