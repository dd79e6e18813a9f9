"""Content of a model file, read without torch and without executing any code in it."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from da4dvar.errors import ModelError, first_line

if TYPE_CHECKING:
    pass

KEY = "da4dvar"
FORMAT = 1
LARGEST_HEADER = 4 * 2**20
LARGEST_FILE = 2 * 2**30
CHECKSUM = "sha256"
Header = dict[str, Any]
Taken = TypeVar("Taken")
COST_KEYS = ("rho", "observation_weight", "prior_weight", "learn_weights")


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the header and the arrays of a model file; no code in the file is ever executed.

    Raises
    ------
    ModelError
        If the file does not exist, or is not a complete model file.
    """
    header, arrays = _read(path, lambda opened, key: opened.get_tensor(key))
    check_undamaged(header, arrays, path)
    return header, arrays


def read_shapes(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read the header and the shapes of the arrays, which stay on disk.

    Raises
    ------
    ModelError
        See :func:`read`.
    """
    return _read(path, lambda opened, key: tuple(opened.get_slice(key).get_shape()))


def _read(path: Path, take: Callable[[Any, str], Taken]) -> tuple[dict[str, Any], dict[str, Taken]]:
    """Read the header and call `take` for each array."""
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such model file")
    try:
        with path.open("rb") as file:
            start, brace = file.read(8), file.read(1)
        # The length of a header may begin with any byte; the header itself begins with a brace.
        if brace != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
            raise ModelError(
                f"{path}: a pickle (torch.save), which could run code and is never loaded; "
                "expected a safetensors file written by da4dvar"
            )
        if len(start) < 8 or struct.unpack("<Q", start)[0] > LARGEST_HEADER:
            raise ModelError(f"{path}: not a model file, or truncated; train or copy it again")
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(
                f"{path}: larger than {LARGEST_FILE} bytes, the limit of da4dvar; expected a model file that "
                "it wrote"
            )
        with safetensors.safe_open(path, framework="numpy") as opened:
            text = (opened.metadata() or {}).get(KEY)
            taken = {k: take(opened, k) for k in opened.keys()}  # noqa: SIM118
        if text is None:
            raise ModelError(f"{path}: a safetensors file, but not written by da4dvar; use a model file")
        header = parsed(text)
    except ModelError:
        raise
    except PermissionError as error:
        raise ModelError(f"{path}: no permission to read it; change its permissions") from error
    except Exception as error:  # libraries raise various types of errors for a broken file
        raise ModelError(
            f"{path}: a broken model file ({first_line(error)}); train or copy it again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise ModelError(
            f"{path}: model format {found}, expected {FORMAT}; use the version of da4dvar that wrote it"
        )
    return header, taken


def parsed(text: str) -> Any:
    """Parse JSON in which no table may hold the same key twice, since it would be ambiguous.

    Raises
    ------
    ValueError
        If the text is not JSON, or a table holds a key twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> Header:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"the header holds {next(n for n in names if names.count(n) > 1)!r} twice")
        return table

    return json.loads(text, object_pairs_hook=once)


def checksum(header: Header, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a header as read from JSON and the names, types, shapes and bytes of tensors."""
    found = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def check_undamaged(header: Header, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Compare the content of a file with its checksum, if it has one.

    Raises
    ------
    ModelError
        If the checksum differs.
    """
    if CHECKSUM in header:
        rest = {key: value for key, value in header.items() if key != CHECKSUM}
        if checksum(rest, arrays) != header[CHECKSUM]:
            raise ModelError(
                f"{path}: damaged (its checksum does not match its content); train or copy it again"
            )
