"""Tables to objects and back: TOML recipes and the headers of model files."""

from __future__ import annotations

import copy
import importlib
import inspect
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from da4dvar.errors import RecipeError, nearest

Table = dict[str, Any]

# A table names a kind, never an import: a file can ask for these classes and no others.
KINDS: dict[str, dict[str, str]] = {
    "prior": {
        "unet": "da4dvar.variational.priors.unet:UNet",
        "autoencoder": "da4dvar.variational.priors.autoencoder:DenseAutoencoder",
        "flow": "da4dvar.variational.priors.flow:Flow",
        "pca": "da4dvar.variational.priors.pca:PCA",
        "none": "torch.nn.modules.linear:Identity",
    },
    "dynamics": {
        "lorenz63": "da4dvar.variational.dynamics.lorenz63:Lorenz63",
        "lorenz96": "da4dvar.variational.dynamics.lorenz96:Lorenz96",
        "bilinear": "da4dvar.variational.dynamics.bilinear:Bilinear",
    },
    "observation": {
        "identity": "da4dvar.variational.observation:Identity",
        "linear": "da4dvar.variational.observation:LinearOperator",
        "learned": "da4dvar.variational.observation:LearnedOperator",
        "sensors": "da4dvar.variational.observation:Sensors",
    },
    "cost": {
        "variational": "da4dvar.variational.cost:VariationalCost",
    },
    "solver": {
        "chain": "da4dvar.variational.solvers.chain:Chain",
        "conjugate_gradient": "da4dvar.variational.solvers.conjugate_gradient:ConjugateGradient",
        "direct": "da4dvar.variational.solvers.direct:Direct",
        "fixed_point": "da4dvar.variational.solvers.fixed_point:FixedPoint",
        "gradient_descent": "da4dvar.variational.solvers.gradient_descent:GradientDescent",
        "levenberg_marquardt": "da4dvar.variational.solvers.levenberg_marquardt:LevenbergMarquardt",
        "lstm": "da4dvar.variational.solvers.lstm:ConvLSTM",
    },
    "scaling": {
        "none": "da4dvar.fields.scaling:Unscaled",
        "standard": "da4dvar.fields.scaling:Standard",
        "anomaly": "da4dvar.fields.scaling:Anomaly",
    },
    "gaps": {
        "random": "da4dvar.fields.gaps:Random",
        "blocks": "da4dvar.fields.gaps:Blocks",
        "tracks": "da4dvar.fields.gaps:Tracks",
        "network": "da4dvar.fields.gaps:Network",
        "transplanted": "da4dvar.fields.gaps:Transplanted",
        "runs": "da4dvar.fields.runs:Runs",
        "squares": "da4dvar.fields.squares:Squares",
    },
    "baseline": {
        "climatology": "da4dvar.baselines.climatology:Climatology",
        "combination": "da4dvar.baselines.combination:Combination",
        "eof_interpolation": "da4dvar.baselines.eof_interpolation:EofInterpolation",
        "eof_iteration": "da4dvar.baselines.eof_iteration:EofIteration",
        "letks": "da4dvar.baselines.letks:LETKS",
        "linear": "da4dvar.baselines.linear:Linear",
        "logarithmic": "da4dvar.baselines.logarithmic:Logarithmic",
        "nearest_stations": "da4dvar.baselines.nearest_stations:NearestStations",
        "optimal_interpolation": "da4dvar.baselines.optimal_interpolation:OptimalInterpolation",
        "sparse_coding": "da4dvar.baselines.sparse_coding:SparseCoding",
    },
}

# Arguments that are tables themselves, and what they describe.
NESTED = {
    "prior": "prior",
    "dynamics": "dynamics",
    "observation": "observation",
    "cost": "cost",
    "first": "solver",
    "second": "solver",
    "method": "baseline",
}

# Arguments that are lists of tables.
LISTED = {"operators": "observation", "methods": "baseline"}

# The least that an argument of this name may be, whatever takes it.
LEAST = {"width": 1, "kernel": 1, "iterations": 0, "harmonics": 0, "seed": 0}

# Annotations of arguments that a file can get wrong, and what they ask for.
PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a word"),
}


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Table:
    """The tables of a TOML file, with ``section.key=value`` settings laid over them.

    Raises
    ------
    RecipeError
        If the file is missing or no TOML, or a setting is malformed.
    """
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError, RecursionError) as error:
        raise RecipeError(f"{path}: not a TOML recipe ({error}); see the recipes for examples") from None
    return overlaid(recipe, settings)


def overlaid(recipe: Table, settings: Sequence[str]) -> Table:
    """Tables with ``section.key=value`` settings laid over them.

    Raises
    ------
    RecipeError
        If a setting is malformed.
    """
    recipe = copy.deepcopy(recipe)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"--set {setting!r}: expected section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *sections, last = key.strip().split(".")
        table = recipe
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise RecipeError(f"--set {setting!r}: {section!r} is no table")
        table[last] = value
    return recipe


def check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a key that is not known, and offer the nearest."""
    for key in table:
        if key not in known:
            raise RecipeError(f"{where}: unknown key {key!r}; {nearest(key, known)}")


def class_of(section: str, kind: str) -> type:
    """The class that a kind names."""
    if not isinstance(kind, str) or kind not in KINDS[section]:
        raise RecipeError(f"{section}: unknown kind {kind!r}; {nearest(str(kind), KINDS[section])}")
    module, _, name = KINDS[section][kind].partition(":")
    return getattr(importlib.import_module(module), name)


def arguments_of(cls: Callable[..., Any]) -> list[str]:
    """The names of the arguments of a class or function."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [n for n, p in inspect.signature(cls).parameters.items() if p.kind in named]


def build(section: str, table: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> Any:
    """The object that a table describes.

    Parameters
    ----------
    section : str
        What it is: a key of ``KINDS``.
    table : mapping
        ``kind`` and the keyword arguments of its class.
    offered : mapping, optional
        Arguments that the surroundings know, used where the class takes them and the table does
        not say: the channels and the boundary of the layout.

    Raises
    ------
    RecipeError
        If the kind or an argument is unknown, missing or out of range.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{section}: got {table!r}, expected a table with a `kind`")
    if "kind" not in table:
        raise RecipeError(f"{section}: no `kind`; {nearest('', KINDS[section])}")
    cls = class_of(section, table["kind"])
    parameters = arguments_of(cls)
    arguments = {k: v for k, v in table.items() if k != "kind"}
    check_keys(arguments, parameters, f"{section} of kind {table['kind']!r}")
    for name in NESTED.keys() & arguments.keys():
        arguments[name] = build(NESTED[name], arguments[name], offered)
    for name in LISTED.keys() & arguments.keys():
        arguments[name] = [build(LISTED[name], each, offered) for each in arguments[name]]
    for name, value in (offered or {}).items():
        if name in parameters:
            arguments.setdefault(name, value)
    return call(cls, arguments, f"{section} of kind {table['kind']!r}")


def call(cls: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
    """``cls(**arguments)`` for arguments that come from a file."""
    check_keys(arguments, arguments_of(cls), where)
    check_types(cls, arguments, where)
    try:
        return cls(**arguments)
    except RecipeError:
        raise
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error


def check_types(cls: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> None:
    """Refuse a word where a number belongs, and the like; any other annotation is for the class to check."""
    for name, parameter in inspect.signature(cls).parameters.items():
        said = str(parameter.annotation).removesuffix(" | None")
        if said not in PLAIN or arguments.get(name) is None:
            continue
        value, (kinds, wanted) = arguments[name], PLAIN[said]
        if not isinstance(value, kinds) or (isinstance(value, bool) and said != "bool"):
            raise RecipeError(f"{where}: {name} is {value!r}, expected {wanted}")
        if name in LEAST and isinstance(value, int) and value < LEAST[name]:
            raise RecipeError(f"{where}: {name} is {value}, expected {LEAST[name]} or more")


def describe(section: str, thing: Any) -> Table:
    """The table that an object would be built from: the inverse of :func:`build`.

    Raises
    ------
    RecipeError
        If the class is not one that a table can name.
    """
    wanted = f"{type(thing).__module__}:{type(thing).__qualname__}"
    kinds = {path: kind for kind, path in KINDS[section].items()}
    if wanted not in kinds:
        raise RecipeError(
            f"{section}: {type(thing).__name__} is not one that a model file can name "
            f"({', '.join(KINDS[section])}); keep its weights with torch.save instead"
        )
    table: Table = {"kind": kinds[wanted]}
    for name in arguments_of(type(thing)):
        value = getattr(thing, name)
        if name in NESTED and value is not None:
            value = describe(NESTED[name], value)
        elif name in LISTED:
            value = [describe(LISTED[name], each) for each in value]
        elif hasattr(value, "tolist"):
            value = value.tolist()
        elif isinstance(value, tuple):
            value = list(value)
        if value is not None:
            table[name] = value
    return table
