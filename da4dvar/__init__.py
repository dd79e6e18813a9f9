"""Learned variational data assimilation for geoscience time series."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Imported on first use (PEP 562), so that `import da4dvar` and `da4dvar --help` do not load torch.
_PUBLIC = {
    "Interpolator": "da4dvar.interpolator",
    "Layout": "da4dvar.layout",
    "aggregate": "da4dvar.fields.aggregate",
    "fill": "da4dvar.workflows.autofit.fill",
    "fit": "da4dvar.workflows.autofit.fill",
    "Da4dvarError": "da4dvar.errors",
    "interpolate": "da4dvar.api",
    "interpolate_file": "da4dvar.outofcore.interpolate_file",
    "load": "da4dvar.api",
    "load_fit": "da4dvar.workflows.autofit.state",
    "map_points": "da4dvar.workflows.points.mapped",
    "open_dataset": "da4dvar.fields.files.store",
    "register": "da4dvar.config.kinds",
    "scores": "da4dvar.fields.scores.metrics",
}
_MODULES = ("baselines", "fields", "simulate", "testing", "training", "variational")

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from da4dvar.api import interpolate as interpolate
    from da4dvar.api import load as load
    from da4dvar.config.kinds import register as register
    from da4dvar.errors import Da4dvarError as Da4dvarError
    from da4dvar.fields.aggregate import aggregate as aggregate
    from da4dvar.fields.files.store import open_dataset as open_dataset
    from da4dvar.fields.scores.metrics import scores as scores
    from da4dvar.interpolator import Interpolator as Interpolator
    from da4dvar.layout import Layout as Layout
    from da4dvar.outofcore.interpolate_file import interpolate_file as interpolate_file
    from da4dvar.workflows.autofit.fill import fill as fill
    from da4dvar.workflows.autofit.fill import fit as fit
    from da4dvar.workflows.autofit.state import load_fit as load_fit
    from da4dvar.workflows.points.mapped import map_points as map_points


def attached(package: str, public: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package whose names are imported on first use (PEP 562).

    Parameters
    ----------
    package : str
        Name of the package.
    public : mapping of str to str
        Module of each public name, below the package.

    Returns
    -------
    tuple of callable

    Examples
    --------
    >>> attribute, names = attached("da4dvar.variational", {"UNet": "priors.unet"})
    >>> attribute("UNet"), names()
    (<class 'da4dvar.variational.priors.unet.UNet'>, ['UNet'])
    """

    def attribute(name: str) -> Any:
        if name in public:
            return getattr(importlib.import_module(f"{package}.{public[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute, lambda: [*public]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"da4dvar.{name}")
    raise AttributeError(f"module 'da4dvar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])


class _AccessorHook:
    """Import hook that registers ``ds.da4dvar`` when xarray is imported after this package.

    Import sorters put `import da4dvar` before `import xarray`, and xarray is too slow to be imported here.
    Python asks the finders in ``sys.meta_path`` for a module. This finder asks the others for xarray and
    replaces the loader that they return by itself: it runs that loader, then imports the accessor.
    """

    def __init__(self) -> None:
        self.loader: Any = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "xarray":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None:
            self.loader, spec.loader = spec.loader, self  # type: ignore[assignment]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # Remove all traces of the hook, as xarray uses its loader to find its files.
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        importlib.import_module("da4dvar.accessor")


if "xarray" in sys.modules:
    importlib.import_module("da4dvar.accessor")
else:
    sys.meta_path.insert(0, _AccessorHook())
