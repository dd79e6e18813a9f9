"""Learned variational data assimilation for geoscience time series."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Read on first use (PEP 562), so that `import da4dvar` and `da4dvar --help` load no torch.
_PUBLIC = {
    "Interpolator": "da4dvar.interpolator",
    "Layout": "da4dvar.layout",
    "Da4dvarError": "da4dvar.errors",
    "interpolate": "da4dvar.api",
    "interpolate_file": "da4dvar.outofcore.interpolate_file",
    "load": "da4dvar.api",
    "open_dataset": "da4dvar.fields.files.store",
    "register": "da4dvar.config.kinds",
    "scores": "da4dvar.fields.scores.metrics",
}
_MODULES = ("baselines", "fields", "simulate", "testing", "training", "variational")

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.api import interpolate as interpolate
    from da4dvar.config.kinds import register as register
    from da4dvar.errors import Da4dvarError as Da4dvarError
    from da4dvar.fields.files.store import open_dataset as open_dataset
    from da4dvar.fields.scores.metrics import scores as scores
    from da4dvar.interpolator import Interpolator as Interpolator
    from da4dvar.layout import Layout as Layout
    from da4dvar.outofcore.interpolate_file import interpolate_file as interpolate_file


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        importlib.import_module("da4dvar.api")
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"da4dvar.{name}")
    raise AttributeError(f"module 'da4dvar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, *_MODULES])


# `ds.da4dvar` exists as soon as both are there: now, or when the first public name is used.
if "xarray" in sys.modules:
    importlib.import_module("da4dvar.api")
