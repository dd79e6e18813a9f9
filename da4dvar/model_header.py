"""What a model file holds, read without torch and without running anything in it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors

from da4dvar.errors import ModelError

KEY = "da4dvar"
FORMAT = 1
LARGEST_HEADER = 4 * 2**20
Taken = TypeVar("Taken")


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a model file; nothing in it is ever executed.

    Raises
    ------
    ModelError
        If there is no such file, or it is not a whole model file.
    """
    return _read(path, lambda opened, key: opened.get_tensor(key))


def read_shapes(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The header, and the shapes of the arrays, which stay on the disk.

    Raises
    ------
    ModelError
        See :func:`read`.
    """
    return _read(path, lambda opened, key: tuple(opened.get_slice(key).get_shape()))


def _read(path: Path, take: Callable[[Any, str], Taken]) -> tuple[dict[str, Any], dict[str, Taken]]:
    """The header, and what `take` takes of each array."""
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
            raise ModelError(f"{path}: not a model file, or cut short; train or copy it anew")
        with safetensors.safe_open(path, framework="numpy") as opened:
            text = (opened.metadata() or {}).get(KEY)
            taken = {k: take(opened, k) for k in opened.keys()}  # noqa: SIM118
        if text is None:
            raise ModelError(f"{path}: a safetensors file, but not one written by da4dvar")
        header = json.loads(text)
    except ModelError:
        raise
    except PermissionError as error:
        raise ModelError(f"{path}: not permitted to read it") from error
    except (OSError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: a broken model file ({line}); train or copy it anew") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise ModelError(
            f"{path}: model format {found}, expected {FORMAT}; use the version of da4dvar that wrote it"
        )
    return header, taken
