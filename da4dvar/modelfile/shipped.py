"""Models that ship with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from da4dvar.errors import ModelError, nearest

PRETRAINED = Path(__file__).parents[1] / "pretrained"


def names() -> list[str]:
    """Return the names of the shipped models.

    Examples
    --------
    >>> names()
    ['lorenz96', 'lorenz96-ode', 'mnist-inpainting', 'oisst-tasman']
    """
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def find(name: str | Path) -> Path:
    """Return the path of a model file, or of the shipped model of that name.

    A path whose file does not exist is returned unchanged, and refused when it is read.

    Raises
    ------
    ModelError
        If `name` is neither a path nor the name of a shipped model.
    """
    if not isinstance(name, str | os.PathLike):
        raise ModelError(f"a model is named by {type(name).__name__}, expected a name or a path")
    path = Path(name)
    if os.path.isfile(path) or path.suffix or path.parent != Path("."):
        return path
    shipped = PRETRAINED / f"{name}.safetensors"
    if not shipped.is_file():
        raise ModelError(
            f"there is no model file and no shipped model {name!r}: {nearest(str(name), names())}"
        )
    return shipped
