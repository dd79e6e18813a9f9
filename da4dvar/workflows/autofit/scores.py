"""Scores of every method on the points kept for the test."""

from __future__ import annotations

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
# Classes of gaps, in steps: up to and including each.
CLASSES = (1, 3, 7, 14, 30)


@dataclass
class Scores:
    """Root mean square errors of every method on the points kept for the test.

    Parameters
    ----------
    methods : dict of str to list of float
        For each variable in turn, in its units: all gaps, then each class of gap lengths; NaN where there is
        no point.
    columns : list of str
        What each number of a list is of.
    points : list of int
        The number of points behind each column.
    error_bars : dict of str to dict of str to UncertaintyScore
        For each method that states a standard error, and each column.

    Examples
    --------
    >>> columns = ["sst, all", "sst, gaps > 30"]
    >>> found = Scores({"linear": [0.5, 0.9], "learned": [0.4, 0.6]}, columns, points=[200, 40])
    >>> found.best(), found.of("linear", "sst")
    ('learned', 0.5)
    """

    methods: dict[str, list[float]]
    columns: list[str]
    points: list[int]
    error_bars: dict[str, dict[str, UncertaintyScore]] = field(default_factory=dict)

    def best(self) -> str:
        """The method with the lowest error, each variable's in units of the best of it.

        Returns
        -------
        str
        """
        return self.ranked()[0]

    def ranked(self) -> list[str]:
        """The methods, that with the lowest error first.

        Returns
        -------
        list of str
        """
        totals = [k for k, c in enumerate(self.columns) if c.endswith("all")]
        rows = {name: np.array([row[k] for k in totals]) for name, row in self.methods.items()}
        least = np.nanmin(np.stack(list(rows.values())), axis=0)
        return sorted(rows, key=lambda name: float(np.nan_to_num((rows[name] / least).mean(), nan=np.inf)))

    def of(self, method: str, variable: str) -> float:
        """The error of a method on all points of a variable.

        Parameters
        ----------
        method, variable : str

        Returns
        -------
        float
            In the units of the variable.
        """
        return self.methods[method][self.columns.index(f"{variable}, all")]


def scored(
    methods: Mapping[str, Any], data: Part, time: str, sets: Mapping[str, xr.Dataset] | None = None
) -> tuple[Scores, dict[str, float]]:
    """Errors of methods at the points of a truth, and the seconds that each took.

    A point that a method leaves empty counts with the mean of what is seen of the variable.

    Parameters
    ----------
    methods : mapping of str to Interpolator or Baseline
    data : Part
        What they see, and the truth.
    time : str
    sets : mapping of str to Dataset of bool, optional
        Kinds of points to tell apart; classes of gap lengths if not given.
    """
    assert data.truth is not None
    columns, points, masks = [], [], []
    for name in data.truth.data_vars:
        # A cell that is never seen is land to every method.
        reached = data.seen[name].notnull().any(time)
        wanted = (data.truth[name].notnull() & reached).transpose(*data.truth[name].dims).values
        lengths = gap_length(data.seen[name].notnull(), time).values
        kinds = {"all": wanted}
        if sets is None or len(sets) == 1:
            lows = (0, *CLASSES)
            kinds |= {
                f"gaps ≤ {high}": wanted & (lengths > low) & (lengths <= high)
                for low, high in zip(lows, CLASSES, strict=False)
            }
            kinds[f"gaps > {CLASSES[-1]}"] = wanted & (lengths > CLASSES[-1])
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
        # Covariates are for a model; a classical method would fill them.
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


def steps_in(recipe: Recipe, seconds: float, tries: int = 3) -> int:
    """Updates that fit into a time, by the time that a few take."""
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
    # Where, and as, the training will make its steps.
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
    # A tenth for drawing samples, and a tenth for the validations.
    return max(20, int(0.8 * seconds / best))


def table_of(scores: Scores) -> str:
    """The scores for reading: a line for each method, a column for each class of gaps."""
    best = scores.best()
    rows = [["RMSE on hidden points", "", *scores.columns], ["points", "", *map(str, scores.points)]]
    for method, errors in sorted(scores.methods.items(), key=lambda row: row[1][0]):
        rows.append([method, "best" if method == best else "", *(f"{e:.4g}" for e in errors)])
    table = as_columns(rows)
    return f"{table}\n\n{error_bars_of(scores.error_bars)}" if scores.error_bars else table
