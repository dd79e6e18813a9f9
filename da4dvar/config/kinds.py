"""Kinds that a table may name: those of this package, of installed packages, and registered ones."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from da4dvar.baselines import kinds as baselines
from da4dvar.config.types import shown
from da4dvar.errors import RecipeError, first_line, nearest
from da4dvar.fields import kinds as fields
from da4dvar.variational import kinds as variational

GROUP = "da4dvar.kinds"
# A table names a kind, never an import: a file has access to these classes, to registered ones and to those
# of entry points, but to no others.
KINDS = variational.KINDS | fields.KINDS | baselines.KINDS
BY_NAME = fields.BY_NAME | baselines.BY_NAME
# Sections to which users can add classes: all except the cost, which has a single class.
SECTIONS = tuple(section for section in KINDS if section != "cost")
# Classes passed to `register`: the only state that the package keeps between calls.
REGISTERED: dict[str, dict[str, type]] = {section: {} for section in KINDS}


class UnknownKindError(RecipeError):
    """Error for a table that names an unknown kind."""


def register(section: str, kind: str, cls: type) -> None:
    """Make a class known by a name, for recipes and model files.

    The name remains known until the process ends. An installed package can instead name its classes in the
    entry-point group ``da4dvar.kinds``, which makes them known in every process.

    Parameters
    ----------
    section : {"prior", "dynamics", "observation", "solver", "scaling", "gaps", "baseline"}
        Section of a recipe in which the class is used.
    kind : str
        Name of the class in a recipe, as in ``kind = "smooth"``.
    cls : type
        Class to register. It keeps its arguments, which are text, numbers, lists or tables, as attributes of
        the same names. An argument that is itself a part of the model is listed with its section in the
        class attribute ``nested``: ``nested = {"first": "solver"}``, or ``nested = {"methods":
        ["baseline"]}`` for a list of parts.

    Raises
    ------
    RecipeError
        If there is no such section, or the name belongs to another class.

    Examples
    --------
    >>> import torch
    >>> class Mean(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.mean(-1, keepdim=True).expand_as(x)
    >>> register("prior", "mean", Mean)
    >>> class_of("prior", "mean") is Mean
    True
    >>> register("prior", "unet", Mean)
    Traceback (most recent call last):
    ...
    da4dvar.errors.RecipeError: prior: kind 'unet' is already da4dvar.variational.priors.unet:UNet; ...
    """
    if section not in SECTIONS:
        raise RecipeError(f"register: unknown section {section!r}; {nearest(str(section), SECTIONS)}")
    if not isinstance(kind, str) or not kind:
        raise RecipeError(f"{section}: kind is {kind!r}, expected a name such as 'smooth'")
    check_class(section, kind, cls)
    given = path_of(cls)
    # A class that is defined again, as in a notebook, has the same path and replaces the first.
    taken = [path_of(other) for name, other in REGISTERED[section].items() if name == kind]
    taken += [KINDS[section][kind]] if kind in KINDS[section] else []
    taken += [point.value for point in points(section, kind) if not may_name(point, cls)]
    for path in taken:
        if path != given:
            raise RecipeError(f"{section}: kind {kind!r} is already {path}; give {given} another name")
    REGISTERED[section][kind] = cls


def class_of(section: str, kind: str) -> type:
    """Return the class that a kind names.

    Parameters
    ----------
    section : str
        Section of a recipe: a key of :data:`KINDS`.
    kind : str
        Name of the kind.

    Returns
    -------
    type

    Raises
    ------
    UnknownKindError
        If no class is known by that name.
    RecipeError
        If a package names a class that cannot be imported.
    """
    if isinstance(kind, str):
        if kind in KINDS[section]:
            module, _, name = KINDS[section][kind].partition(":")
            found: type = getattr(importlib.import_module(module), name)
            return found
        if kind in REGISTERED[section]:
            return REGISTERED[section][kind]
        if named := points(section, kind):
            return loaded(section, kind, named)
    raise UnknownKindError(
        f"{section}: unknown kind {shown(kind)}; {nearest(str(kind), names(section))}; a kind of another "
        "package must be installed or registered first"
    )


def kind_of(section: str, cls: type) -> str:
    """Return the kind of a class: the inverse of :func:`class_of`.

    Parameters
    ----------
    section : str
        Section of a recipe: a key of :data:`KINDS`.
    cls : type
        Class of this package, of an installed package, or registered.

    Returns
    -------
    str

    Raises
    ------
    RecipeError
        If the class has no kind.
    """
    path = path_of(cls)
    known = [kind for kind, own in KINDS[section].items() if own == path]
    known += [kind for kind, other in REGISTERED[section].items() if other is cls]
    for kind in [] if known else installed(section):
        named = points(section, kind)
        if any(may_name(point, cls) for point in named) and loaded(section, kind, named) is cls:
            known.append(kind)
    if not known:
        raise RecipeError(
            f"{section}: {cls.__name__} has no kind, expected one of {', '.join(names(section))}; "
            f"register it with da4dvar.register({section!r}, NAME, {cls.__name__})"
        )
    return known[0]


def names(section: str) -> list[str]:
    """Return all kinds of a section, without importing the classes of installed packages."""
    return list(dict.fromkeys([*KINDS[section], *REGISTERED[section], *installed(section)]))


def by_name(section: str) -> list[str]:
    """Return the kinds that an option of the command line offers, including those of other packages."""
    own = BY_NAME[section]
    return [*own, *(kind for kind in names(section) if kind not in KINDS[section])]


def path_of(cls: type) -> str:
    """Return the import path of a class as "module:Class"."""
    return f"{cls.__module__}:{cls.__qualname__}"


def points(section: str, kind: str) -> list[EntryPoint]:
    """Return the entry points of a kind; there are several if packages compete for the name."""
    return list(entry_points(group=GROUP, name=f"{section}.{kind}"))


def installed(section: str) -> list[str]:
    """Return the kinds that installed packages add to a section."""
    found = [point.name.partition(".") for point in entry_points(group=GROUP)]
    return sorted({kind for where, _, kind in found if where == section and kind not in KINDS[section]})


def may_name(point: EntryPoint, cls: type) -> bool:
    """Whether an entry point may refer to a class, through any module of the package of the class."""
    module, _, name = point.value.partition(":")
    package = cls.__module__.partition(".")[0]
    return module.partition(".")[0] == package and name.strip() == cls.__qualname__


def loaded(section: str, kind: str, named: list[EntryPoint]) -> type:
    """Import the class to which the entry points of a kind refer.

    Raises
    ------
    RecipeError
        If they refer to different classes, or the class cannot be imported.
    """
    where = f"{section}: kind {kind!r}"
    if len({point.value for point in named}) > 1:
        both = " and ".join(sorted(point.value for point in named))
        raise RecipeError(f"{where} is named by several packages ({both}); uninstall all but one")
    try:
        found: Any = named[0].load()
    except Exception as error:  # importing a package runs its code, which may raise anything
        raise RecipeError(
            f"{where} cannot be imported from {named[0].value} ({first_line(error)}); reinstall its package"
        ) from error
    check_class(section, kind, found)
    cls: type = found
    return cls


def check_class(section: str, kind: str, cls: Any) -> None:
    """Check that an object is a class whose attribute `nested`, if any, names existing sections.

    Raises
    ------
    RecipeError
        If it is not.
    """
    where = f"{section}: kind {kind!r}"
    if not isinstance(cls, type):
        raise RecipeError(f"{where} is {shown(cls)}, expected a class")
    for name, part in getattr(cls, "nested", {}).items():
        inner = part[0] if isinstance(part, list) and part else part
        if inner not in KINDS:
            raise RecipeError(
                f"{where}: `nested` has {shown(part)} for {name}, expected a section, or a list of one; "
                f"{nearest(str(inner), KINDS)}"
            )
