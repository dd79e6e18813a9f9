"""Scores of all methods at hidden points."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr

from da4dvar.config.registry import call
from da4dvar.evaluation.text import as_columns
from da4dvar.evaluation.uncertainty import LEVELS, UncertaintyScore, uncertainty_score
from da4dvar.evaluation.uncertainty import table_of as error_bars_of
from da4dvar.fields.gaps.geometry import gap_length
from da4dvar.interpolator import Interpolator
from da4dvar.workflows.data import Part
from da4dvar.workflows.recipe import Recipe

LEARNED = "learned"
BOTH = "combination"
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
                kinds[class_of_gaps(low + 1, high)] = wanted & (lengths > low) & (lengths <= (high or np.inf))
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


def class_of_gaps(first: int, last: int | None) -> str:
    """Name a class of gap lengths, from `first` to `last` steps.

    Examples
    --------
    >>> class_of_gaps(1, 1), class_of_gaps(4, 7), class_of_gaps(31, None)
    ('1 step', '4-7 steps', '31+ steps')
    """
    if last == first:
        return f"{first} step{'s' if first > 1 else ''}"
    return f"{first}+ steps" if last is None else f"{first}-{last} steps"


def steps_in(recipe: Recipe, seconds: float, tries: int = 3) -> int:
    """Estimate the number of training steps that fit into a time, by timing a few."""
    from da4dvar.training.loss import reconstruction_loss
    from da4dvar.training.plan import Training

    table = {k: v for k, v in recipe.tables["train"].items() if k not in ("steps", "validate_every")}
    plan = call(Training, table, "train")
    seen = recipe.data("train").seen
    model = recipe.interpolator({str(d): n for d, n in seen.sizes.items()}).model
    cells = [recipe.layout.window.get(d, seen.sizes[d]) for d in recipe.layout.axes]
    channels = recipe.layout.channel_count({str(d): n for d, n in seen.sizes.items()})
    y = torch.zeros(plan.batch, channels, *cells)
    sample = {"y": y, "mask": y == 0, "x0": y, "target": y, "sought": y == 0}
    if recipe.covariates:
        count = recipe.covariates.channels(seen, {str(d): n for d, n in seen.sizes.items()})
        sample["covariates"] = torch.zeros(plan.batch, count, *cells)
    # The device and the kind of step are those of the training.
    device = "cuda" if plan.device != "cpu" and torch.cuda.is_available() else "cpu"
    model, sample = model.to(device), {name: tensor.to(device) for name, tensor in sample.items()}
    kind = (plan.nu, plan.observation_fit, plan.checkpoint_iterations)
    best = np.inf
    for _ in range(tries):
        begin = clock.monotonic()
        loss, _ = reconstruction_loss(model, sample, *kind)
        loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock.monotonic() - begin)
    # A tenth of the time is for drawing samples, another for the validations.
    return max(20, int(0.8 * seconds / best))


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
