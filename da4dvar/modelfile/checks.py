"""Checks of the header of a model file, before and after a model is built from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from da4dvar.analysis.calibration import Calibration
from da4dvar.analysis.ensemble import CalibratedEnsemble, Ensemble
from da4dvar.analysis.model import Model
from da4dvar.analysis.quantiles import PROBABILITIES, Known
from da4dvar.config.registry import call
from da4dvar.config.types import fits
from da4dvar.fields.labels.signature import Dimension, Signature
from da4dvar.variational.solvers.base import Solver

Header = dict[str, Any]

TABLES = (
    "layout", "scaling", "prior", "observation", "solver", "cost", "signature",
    "scores", "provenance", "labels",
)  # fmt: skip
# Tables from which a model is built; too large a number in one of them would cause an endless wait.
BUILT = ("scaling", "prior", "observation", "solver", "cost", "first_guess")
MOST = 100_000


def check_tables(header: Header) -> None:
    """Check the types of the tables of a header, the range of its numbers, and its names.

    Raises
    ------
    ValueError
        If an entry that should be a table is not, a number is out of bounds, or a name could be a path.
    """
    for name in TABLES:
        if not isinstance(header[name], dict):
            raise ValueError(f"{name} is {str(header[name])[:60]!r}, expected a table")
    for name in BUILT:
        for key, number in numbers(header.get(name), name):
            # A radius may be infinite, and a seed may be large because it is not a size.
            endless = isinstance(number, float) and not math.isfinite(number) and not key.endswith(".radius")
            large = isinstance(number, int) and abs(number) > MOST and not key.endswith(".seed")
            if endless or large:
                raise ValueError(f"{key} is {number:g}, expected a number up to {MOST}")
    names = [*header["signature"].get("variables", ()), *header["signature"].get("dims", ())]
    names += [n for n in header["layout"].get("variables", ()) if isinstance(n, str)]
    for name in names:
        if not name or "/" in name or name in (".", "..") or not name.isprintable():
            raise ValueError(f"{name!r} is not a valid name of a variable or dimension")
    labels = header["labels"]
    if not all(fits(values, list[str | float]) for values in labels.values()):
        raise ValueError("labels are not lists of text or numbers")


def numbers(table: Any, where: str) -> Iterator[tuple[str, int | float]]:
    """Yield every number of a table, preceded by its place in the table."""
    if isinstance(table, int | float) and not isinstance(table, bool):
        yield where, table
    elif isinstance(table, list):
        for value in table:
            yield from numbers(value, where)
    elif isinstance(table, dict):
        for key, value in table.items():
            yield from numbers(value, f"{where}.{key}")


def signature_of(header: Header) -> Signature:
    """Return the signature in a header.

    Raises
    ------
    ValueError
        If it is invalid.
    """
    table = call(Signature, header["signature"], "signature")
    for names in (table.variables, table.covariates):
        if not fits(names, dict[str, dict[str, str]]):
            raise ValueError("the attributes of a variable of the signature are not text")
    entries: dict[str, dict[str, Any]] = header["signature"]["dims"]
    dims = {name: call(Dimension, entry, f"signature of {name!r}") for name, entry in entries.items()}
    for name, entry in dims.items():
        if entry.spacing is not None and not (math.isfinite(entry.spacing) and entry.spacing):
            raise ValueError(
                f"signature: spacing of {name!r} is {entry.spacing}, expected a number other than 0"
            )
        if entry.size is not None and entry.size < 1:
            raise ValueError(f"signature: size of {name!r} is {entry.size}, expected 1 or more")
    return Signature.from_dict(header["signature"])


def calibration_of(header: Header) -> CalibratedEnsemble | None:
    """Return the calibration in a header; None if it has none.

    Raises
    ------
    ValueError
        If it is invalid.
    """
    table = header.get("calibration")
    if table is None:
        return None
    call(Ensemble, table["ensemble"], "calibration")
    variables = {n: call(Calibration, c, f"calibration of {n!r}") for n, c in table["variables"].items()}
    for name, known in variables.items():
        sizes = (known.floor, known.spread, known.guess, known.distance, known.reach, known.sparsity)
        rising = all(a < b for a, b in zip(known.levels, known.levels[1:], strict=False))
        inside = all(0 < level < 1 for level in known.levels)
        if not (
            all(0 <= size < math.inf for size in (*sizes, *known.factors))
            and 0 < known.sparsest <= 1
            and len(known.factors) == len(known.levels) > 0
            and rising
            and inside
        ):
            raise ValueError(f"calibration of {name!r} has a number out of range")
    if set(variables) != set(header["layout"]["variables"]):
        raise ValueError("the variables of the calibration are not those of the layout")
    return CalibratedEnsemble.from_dict(table)


def known_in(header: Header) -> Known:
    """Return the quantiles of the training data in a header; without any if the file is older than these.

    Raises
    ------
    ValueError
        If they are invalid.
    """
    table = header.get("known", {})
    known = call(Known, table, "known")
    for name, found in [*known.values.items(), *known.standardised.items(), ("costs", known.costs)]:
        numbers = [float(number) for number in found]
        if len(numbers) not in (0, len(PROBABILITIES)) or numbers != sorted(filter(math.isfinite, numbers)):
            raise ValueError(f"the quantiles of {name!r} are not {len(PROBABILITIES)} rising numbers")
    names = set(header["signature"]["variables"])
    if not {*known.values, *known.standardised} <= names:
        raise ValueError("there are quantiles of variables that the signature lacks")
    return Known(
        {n: tuple(q) for n, q in known.values.items()},
        {n: tuple(q) for n, q in known.standardised.items()},
        tuple(known.costs),
    )


def check_whole(model: Model) -> None:
    """Check that the parts of a model, each valid by itself, match each other.

    Raises
    ------
    ValueError
        If they do not.
    """
    layout, signature = model.layout, model.signature
    assert signature is not None
    variables, seen = list(layout.variables), [s.variable for s in model.sensors] or list(layout.variables)
    learns = getattr(model.scaling, "learns", True)
    derived = {"latitude": ["latitude"], "longitude": ["longitude_sin", "longitude_cos"]}
    scaled = [*model.covariates.names, *(n for d in model.covariates.derived for n in derived.get(d, ()))]
    for what, got, wanted in (
        ("dimensions of the signature", signature.dims, layout.dims),
        ("variables of the signature", signature.variables, seen),
        ("covariates of the signature", signature.covariates, model.covariates.names),
        ("variables of the scaling", model.scaling.std if learns else variables, variables),
        ("covariates of the scaling", model.covariates.scaling.std, scaled),
        ("covariates of the scaling", model.covariates.scaling.mean, scaled),
    ):
        if set(got) != set(wanted):
            raise ValueError(f"the {what} are {', '.join(got)}, expected {', '.join(wanted)}")
    if len(model.correction) not in (0, len(variables)) or not np.isfinite(model.correction).all():
        raise ValueError(f"the corrections are {model.correction}, expected {len(variables)} numbers")
    if model.observation_error is not None and not 0 < model.observation_error < math.inf:
        raise ValueError(f"the observation error is {model.observation_error}, expected above 0")
    for name, season in getattr(model.scaling, "coefficients", {}).items():
        cells = {d for d in layout.dims if d != getattr(model.scaling, "time", None)}
        labelled = {d for d in cells if signature.dims[d].spacing is not None}
        if set(season.dims[1:]) != cells or not labelled <= set(season.coords):
            raise ValueError(f"the climatology of {name!r} has the wrong dimensions, or no labels")
    sizes = {d: layout.window.get(d) or signature.dims[d].size or 0 for d in layout.channels}
    count = layout.channel_count(sizes)
    solvers = [part for part in model.model.solver.modules() if isinstance(part, Solver)]
    for part in (model.model.cost.prior, *solvers):
        boundary, channels = getattr(part, "boundary", None), getattr(part, "channels", None)
        if boundary is not None and len(boundary) != len(layout.axes):
            raise ValueError(f"{type(part).__name__} is for {len(boundary)} axes, not {len(layout.axes)}")
        if channels not in (None, count):
            raise ValueError(f"{type(part).__name__} has {channels} channels, the layout {count}")
