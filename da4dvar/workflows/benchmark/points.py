"""Scores of methods at given points, by class of gap lengths, for the tables of a benchmark."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.config.kinds import by_name, class_of
from da4dvar.config.registry import arguments_of
from da4dvar.config.tables import Table
from da4dvar.evaluation.gap_classes import class_of_gaps
from da4dvar.evaluation.text import as_columns
from da4dvar.evaluation.uncertainty import LEVELS, UncertaintyScore, uncertainty_score
from da4dvar.evaluation.uncertainty import table_of as error_bars_of
from da4dvar.fields.gaps.geometry import gap_length
from da4dvar.interpolator import Interpolator
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.data import Part

LEARNED = "learned"
# Upper bounds of the classes of gap lengths, in steps; the last class has none.
CLASSES = (1, 3, 7, 14, 30)


@dataclass
class Scores:
    """Root mean square errors of all methods at hidden points.

    Parameters
    ----------
    methods : dict of str to list of float
        RMSE of each method: for each variable, in its units, over all points and over each class of gap
        lengths; NaN if there are no points.
    columns : list of str
        Variable and class of each number, such as "sst, all" and "sst, 4-7 steps".
    points : list of int
        Number of points in each column.
    error_bars : dict of str to dict of str to UncertaintyScore
        Scores of the error bars of each method that provides a standard error, by column.

    Examples
    --------
    >>> columns = ["sst, all", "sst, 4-7 steps"]
    >>> found = Scores({"linear": [0.5, 0.9], "learned": [0.4, 0.6]}, columns, points=[200, 40])
    >>> found.best(), found.of("linear", "sst")
    ('learned', 0.5)
    """

    methods: dict[str, list[float]]
    columns: list[str]
    points: list[int]
    error_bars: dict[str, dict[str, UncertaintyScore]] = field(default_factory=dict)

    def best(self) -> str:
        """Return the method with the lowest error; see :meth:`ranked`.

        Returns
        -------
        str
        """
        return self.ranked()[0]

    def ranked(self) -> list[str]:
        """Return the methods in ascending order of :meth:`relative`.

        Returns
        -------
        list of str
        """
        found = self.relative()
        return sorted(found, key=lambda name: float(np.nan_to_num(found[name], nan=np.inf)))

    def relative(self) -> dict[str, float]:
        """Return the RMSE of each method over the lowest of any method, averaged over the variables.

        Returns
        -------
        dict of str to float
        """
        totals = [k for k, c in enumerate(self.columns) if c.endswith(", all")]
        rows = {name: np.array([row[k] for k in totals]) for name, row in self.methods.items()}
        least = np.nanmin(np.stack(list(rows.values())), axis=0)
        return {name: float((row / least).mean()) for name, row in rows.items()}

    def of(self, method: str, variable: str) -> float:
        """Return the RMSE of a method at all hidden points of a variable.

        Parameters
        ----------
        method, variable : str
            Names of the method and of the variable.

        Returns
        -------
        float
            RMSE, in the units of the variable.
        """
        return self.methods[method][self.columns.index(f"{variable}, all")]


def candidates(characters: Mapping[str, Character]) -> dict[str, Table]:
    """Return tables of the baselines whose attribute `suits` includes the number of space dimensions.

    All variables have the same dimensions, so that a method suits either all of them or none. If some
    variables have an offset in their character, the method ``logarithmic`` is added, which transforms only
    these, each with its own offset.

    Parameters
    ----------
    characters : mapping of str to Character
        Character of each variable, under its name in the data of the recipe.

    Returns
    -------
    dict of str to dict
        Table of each baseline, by name.
    """
    first = next(iter(characters.values()))
    tables: dict[str, Table] = {}
    for kind in by_name("baseline"):
        cls = class_of("baseline", kind)
        if len(first.space) in getattr(cls, "suits", ()):
            tables[kind] = {"kind": kind}
            if "time" in arguments_of(cls):
                tables[kind]["time"] = first.time
    offsets = {name: c.offset for name, c in characters.items() if c.offset is not None}
    if offsets:
        method = tables["gaussian_em" if len(first.space) == 1 else "optimal_interpolation"]
        for name, offset in offsets.items():
            method = {"kind": "logarithmic", "offset": offset, "variables": [name], "method": method}
        tables["logarithmic"] = method
    return tables


def scored(
    methods: Mapping[str, Any], data: Part, time: str, sets: Mapping[str, xr.Dataset] | None = None
) -> tuple[Scores, dict[str, float]]:
    """Score methods at the points where the truth is known, and measure the time that each takes.

    At a point that a method does not fill, its estimate is taken to be the mean of the observations.

    Parameters
    ----------
    methods : mapping of str to Interpolator or Baseline
        Methods to score.
    data : Part
        Observations that the methods are given, and the truth.
    time : str
        Name of the time dimension.
    sets : mapping of str to Dataset of bool, optional
        Sets of points to score separately; by default, one for each class of gap lengths.

    Returns
    -------
    scores : Scores
    seconds : dict of str to float
        Time of each method.
    """
    assert data.truth is not None
    columns, points, masks = [], [], []
    for name in data.truth.data_vars:
        # A cell that is never observed counts as land, which no method fills.
        reached = data.seen[name].notnull().any(time)
        wanted = (data.truth[name].notnull() & reached).transpose(*data.truth[name].dims).values
        lengths = gap_length(data.seen[name].notnull(), time).values
        kinds = {"all": wanted}
        if sets is None or len(sets) == 1:
            for low, high in zip((0, *CLASSES), (*CLASSES, None), strict=True):
                kinds[in_steps(low + 1, high)] = wanted & (lengths > low) & (lengths <= (high or np.inf))
        else:
            kinds |= {kind: wanted & of[name].values for kind, of in sets.items()}
        for kind, here in kinds.items():
            if here.sum() >= 10 or kind == "all":
                columns.append(f"{name}, {kind}")
                points.append(int(here.sum()))
                masks.append((name, here))
    rows, seconds, bars = {}, {}, {}
    for method, thing in methods.items():
        begin = clock.monotonic()
        # Covariates are inputs of a model; a classical method would fill them.
        seen = data.seen if isinstance(thing, Interpolator) else data.seen[list(data.truth.data_vars)]
        calibrated = isinstance(thing, Interpolator) and thing.calibration is not None
        filled = thing.interpolate(seen, interval=LEVELS) if calibrated else thing.interpolate(seen)
        seconds[method] = clock.monotonic() - begin
        errors = {
            name: (filled[name].fillna(seen[name].mean()).values - data.truth[name].values) ** 2
            for name in data.truth.data_vars
        }
        rows[method] = [float(np.sqrt(np.mean(errors[name][here]))) for name, here in masks]
        bars[method] = {
            column: score
            for column, (name, here) in zip(columns, masks, strict=True)
            if (score := uncertainty_score(filled, str(name), data.truth[name], here)) is not None
        }
    return Scores(rows, columns, points, {m: of for m, of in bars.items() if of}), seconds


def in_steps(first: int, last: int | None) -> str:
    """Name a class of gap lengths, from `first` to `last` steps, with its unit.

    Examples
    --------
    >>> in_steps(1, 1), in_steps(4, 7), in_steps(31, None)
    ('1 step', '4-7 steps', '31+ steps')
    """
    name = class_of_gaps(first, last)
    return f"{name} step{'' if name == '1' else 's'}"


def table_of(scores: Scores) -> str:
    """Format scores as text: a verdict, a table of RMSE for each variable, and one of the error bars.

    A table has a line for each method, the best first, and a column for each class of gap lengths.
    """
    parts = [verdict(scores)]
    for name in (c.removesuffix(", all") for c in scores.columns if c.endswith(", all")):
        own = [k for k, c in enumerate(scores.columns) if c.startswith(f"{name}, ")]
        kinds = [scores.columns[k].removeprefix(f"{name}, ") for k in own]
        short = [re.sub(" steps?$", "", kind) for kind in kinds]
        title = f"RMSE of {name} at hidden points" + (", by gap length in steps" if short != kinds else "")
        rows = [["", *short], ["points", *(str(scores.points[k]) for k in own)]]
        for method, errors in sorted(scores.methods.items(), key=lambda row: row[1][own[0]]):
            rows.append([method, *(f"{errors[k]:.4g}" for k in own)])
        parts.append(f"{title}\n{as_columns(rows, left=1)}")
    overall = {m: {c: s for c, s in of.items() if c.endswith(", all")} for m, of in scores.error_bars.items()}
    if any(overall.values()):
        parts.append(error_bars_of({m: of for m, of in overall.items() if of}))
    return "\n\n".join(parts)


def verdict(scores: Scores) -> str:
    """Name the best method, and how far behind the learned model is, or the second best."""
    best, *others = scores.ranked()
    rival = LEARNED if LEARNED in others else next(iter(others), best)
    found = scores.relative()
    behind = 100 * (found[rival] / found[best] - 1)
    said = f"best method at the hidden points: {best}"
    return f"{said}; the RMSE of {rival} is {behind:.0f} % higher" if behind < np.inf and others else said
