"""Tables to objects and back: TOML recipes and the headers of model files."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from da4dvar.config.tables import Table, check_keys
from da4dvar.config.types import check_types
from da4dvar.errors import RecipeError, first_line, nearest

Made = TypeVar("Made")
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
        "none": "da4dvar.fields.scaling.standard:Unscaled",
        "standard": "da4dvar.fields.scaling.standard:Standard",
        "anomaly": "da4dvar.fields.scaling.anomaly:Anomaly",
    },
    "gaps": {
        "random": "da4dvar.fields.gaps.patterns:Random",
        "blocks": "da4dvar.fields.gaps.patterns:Blocks",
        "tracks": "da4dvar.fields.gaps.patterns:Tracks",
        "network": "da4dvar.fields.gaps.patterns:Network",
        "transplanted": "da4dvar.fields.gaps.patterns:Transplanted",
        "runs": "da4dvar.fields.gaps.runs:Runs",
        "squares": "da4dvar.fields.gaps.squares:Squares",
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
# Arguments that are lists of tables.
LISTED = {"operators": "observation", "methods": "baseline"}
# The least that an argument of this name may be, whatever takes it.
LEAST = {"width": 1, "kernel": 1, "iterations": 0, "harmonics": 0, "seed": 0}


def class_of(section: str, kind: str) -> type:
    """The class that a kind names."""
    if not isinstance(kind, str) or kind not in KINDS[section]:
        raise RecipeError(f"{section}: unknown kind {kind!r}; {nearest(str(kind), KINDS[section])}")
    module, _, name = KINDS[section][kind].partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


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

    Returns
    -------
    object
        Of the class that `section` and ``kind`` name.

    Raises
    ------
    RecipeError
        If the kind or an argument is unknown, missing or out of range.

    Examples
    --------
    >>> build("gaps", {"kind": "tracks", "fraction": 0.035}).fraction
    0.035
    >>> build("gaps", {"kind": "trackz", "fraction": 0.035})
    Traceback (most recent call last):
    ...
    da4dvar.errors.RecipeError: gaps: unknown kind 'trackz'; did you mean 'tracks'? ...
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
        if not isinstance(arguments[name], list):
            raise RecipeError(f"{section}: {name} is {arguments[name]!r}, expected a list of tables")
        arguments[name] = [build(LISTED[name], each, offered) for each in arguments[name]]
    for name, value in (offered or {}).items():
        if name in parameters:
            arguments.setdefault(name, value)
    return call(cls, arguments, f"{section} of kind {table['kind']!r}")


def call(cls: Callable[..., Made], arguments: Mapping[str, Any], where: str) -> Made:
    """``cls(**arguments)`` for arguments that come from a file."""
    if not isinstance(arguments, Mapping):
        raise RecipeError(f"{where}: got {arguments!r}, expected a table")
    check_keys(arguments, arguments_of(cls), where)
    try:
        check_types(cls, arguments)
        check_least(arguments)
        return cls(**arguments)
    except RecipeError:
        raise
    # A number that is too large for an array, or for the memory, is told in many ways.
    except (TypeError, ValueError, ArithmeticError, KeyError, RuntimeError, MemoryError) as error:
        raise RecipeError(f"{where}: {first_line(error)}") from error


def check_least(arguments: Mapping[str, Any]) -> None:
    """Refuse a number below the least that its name allows.

    Raises
    ------
    ValueError
    """
    for name in LEAST.keys() & arguments.keys():
        value = arguments[name]
        if isinstance(value, int | float) and value < LEAST[name]:
            raise ValueError(f"{name} is {value}, expected {LEAST[name]} or more")


def describe(section: str, thing: Any) -> Table:
    """The table that an object would be built from: the inverse of :func:`build`.

    Parameters
    ----------
    section : str
        What it is: a key of ``KINDS``.
    thing : object
        Whose arguments are kept under their own names.

    Returns
    -------
    dict
        Of what TOML and JSON can hold.

    Raises
    ------
    RecipeError
        If the class is not one that a table can name, or an argument is no text, number, list or table.

    Examples
    --------
    >>> from da4dvar.fields.gaps.patterns import Random
    >>> describe("gaps", Random(0.1))
    {'kind': 'random', 'fraction': 0.1}
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
        if not isinstance(value, str | int | float | list | dict | None):
            raise RecipeError(
                f"{section}: {name} is a {type(value).__name__}, which a model file cannot hold; use a part "
                "without it"
            )
        if value is not None:
            table[name] = value
    return table


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
