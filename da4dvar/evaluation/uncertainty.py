"""Scores of the error bars of several methods on points hidden from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.evaluation.text import as_columns
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian, reliability, spread_skill

LEVELS = (0.5, 0.9)


@dataclass(frozen=True)
class UncertaintyScore:
    """Scores of error bars on a set of points.

    Parameters
    ----------
    points : int
        Number of points with a truth, an estimate and a standard error.
    crps : float
        Continuous ranked probability score of N(x̂, σ²), in the units of the variable; 0 is perfect.
    covered : dict of float to float
        Fraction of true values in the interval of each level: the interval of the method if it gives one,
        otherwise that of N(x̂, σ²).
    spread_skill : float
        √ mean σ² / RMSE; 1 for reliable error bars.

    Examples
    --------
    >>> score = UncertaintyScore(points=1000, crps=0.2, covered={0.9: 0.72}, spread_skill=0.6)
    >>> score.covered[0.9] < 0.9  # the error bars are too narrow
    True
    """

    points: int
    crps: float
    covered: dict[float, float]
    spread_skill: float


def uncertainty_score(
    filled: xr.Dataset, name: str, truth: xr.DataArray, here: np.ndarray, levels: Sequence[float] = LEVELS
) -> UncertaintyScore | None:
    """Score the standard error ``<name>_std`` and the intervals of a variable.

    Parameters
    ----------
    filled : Dataset
        Result of :meth:`da4dvar.Interpolator.interpolate` with an ensemble, or of a baseline with an error
        variance.
    name : str
        Name of the variable.
    truth : DataArray
        True values on the same cells, in the same units.
    here : array of bool
        Points to score, with the dimensions of `truth`.
    levels : sequence of float
        Levels of the intervals to score, each between 0 and 1.

    Returns
    -------
    UncertaintyScore or None
        None if the variable has no standard error.

    Examples
    --------
    >>> filled = xr.Dataset({"x": ("t", np.zeros(3)), "x_std": ("t", np.ones(3))})
    >>> score = uncertainty_score(filled, "x", xr.DataArray([0.5, 1.0, 3.0], dims="t"), np.full(3, True))
    >>> score.points, round(score.covered[0.9], 2)
    (3, 0.67)
    """
    if f"{name}_std" not in filled:
        return None

    def at(array: xr.DataArray) -> xr.DataArray:
        return xr.DataArray(array.transpose(*truth.dims).values[here].astype("float64"), dims="point")

    true, estimate, std = at(truth), at(filled[name]), at(filled[f"{name}_std"])
    covered = {}
    for level in levels:
        if ends(name, level)[0] in filled:
            lower, upper = (at(filled[end]) for end in ends(name, level))
            covered[level] = float(coverage(lower, upper, true))
        else:
            covered[level] = float(reliability(std, estimate, true, [level])[0])
    points = int((true.notnull() & estimate.notnull() & std.notnull()).sum())
    skill = float(spread_skill(std, estimate, true))
    return UncertaintyScore(points, float(crps_gaussian(estimate, std, true)), covered, skill)


def table_of(scores: Mapping[str, Mapping[str, UncertaintyScore]]) -> str:
    """Format scores as a text table: a line for each method and class of points, the lowest CRPS first."""
    inside = [f"in {100 * p:g} %" for p in LEVELS]
    rows = [["error bars", "hidden points", "number", "CRPS", *inside, "spread/skill"]]
    for method, parts in sorted(scores.items(), key=lambda row: next(iter(row[1].values())).crps):
        for part, score in parts.items():
            inside = [f"{100 * score.covered[p]:.1f} %" for p in LEVELS]
            rest = [f"{score.crps:.4g}", *inside, f"{score.spread_skill:.2f}"]
            rows.append([method, part, str(score.points), *rest])
    return as_columns(rows)
