"""The models that ship with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from da4dvar.errors import ModelError, nearest

PRETRAINED = Path(__file__).parents[1] / "pretrained"


def names() -> list[str]:
    """The names of all of them.

    Examples
    --------
    >>> names()
    ['lorenz96', 'lorenz96-ode', 'mnist-inpainting', 'oisst-tasman']
    """
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def find(name: str | Path) -> Path:
    """The path of a model file, or of a shipped model of that name.

    Raises
    ------
    ModelError
        If it is neither; a path that leads nowhere is for the reader to refuse.
    """
    path = Path(name)
    if os.path.isfile(path) or path.suffix or path.parent != Path("."):
        return path
    shipped = PRETRAINED / f"{name}.safetensors"
    if not shipped.is_file():
        raise ModelError(
            f"there is no model file and no shipped model {name!r}: {nearest(str(name), names())}"
        )
    return shipped
