"""Reliability of the error bars: coverage against the nominal level, and error against spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.part import Part, Table, number, percent, with_units
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian, reliability, spread_skill

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = tuple(k / 20 for k in range(1, 20))
CLASSES = 10


def reliability_part(one: Comparison) -> Part:
    """Score the error bars of the scored cells by CRPS, spread and coverage, with two diagrams."""
    title = "Reliability of the error bars"
    if one.std is None and not one.bounds:
        said = f"The estimate has no error bars: neither {one.name}_std nor an interval."
        return Part("reliability", title, [said])
    cells = one.cells()
    rows = []
    units = pretty(one.units)
    if cells.std is not None:
        crps = float(crps_gaussian(cells.estimate, cells.std, cells.truth))
        rows.append(["CRPS", f"{number(crps)} {units}".strip(), "0"])
        ratio = float(spread_skill(cells.std, cells.estimate, cells.truth))
        rows.append(["spread/skill", number(ratio), "1"])
    for level in sorted({0.5, 0.9, *cells.bounds}):
        ends = cells.interval(level)
        if ends is not None:
            source = "from the file" if level in cells.bounds else "Gaussian, from σ"
            inside = percent(float(coverage(*ends, cells.truth)))
            rows.append([f"inside the {100 * level:g} % interval ({source})", inside, f"{100 * level:g} %"])
    text = [
        "Reliable error bars lie on the diagonal. In the diagram of coverage, points below the diagonal mean "
        "that the error bars are too narrow, points above it that they are too wide; in that of the RMSE "
        "against the spread it is the reverse. Only unobserved cells are scored if the observed cells are "
        "known, otherwise all cells."
    ]
    table = Table(["score", "value", "ideal"], rows)
    return Part("reliability", title, text, [table], draw_reliability(one.title, units, cells))


def draw_reliability(name: str, units: str, cells: Comparison) -> Figure:
    """Plot observed against nominal coverage and, with a standard deviation, the error against the spread."""
    from matplotlib.figure import Figure

    panels = 1 if cells.std is None else 2
    figure = Figure(figsize=(4.4 * panels, 4.1), layout="constrained")
    figure.suptitle(f"{name}: reliability", fontsize="medium")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    first = axes[0]
    first.plot([0, 1], [0, 1], color="0.6", lw=1)
    if cells.std is not None:
        found = reliability(cells.std, cells.estimate, cells.truth, LEVELS)
        first.plot(LEVELS, found, "o-", ms=3.5, color="#3182bd", label="Gaussian, from σ")
        _error_by_spread(axes[1], cells.std, cells.estimate - cells.truth, units)
    if cells.bounds:
        inside = [float(coverage(*ends, cells.truth)) for ends in cells.bounds.values()]
        first.plot(list(cells.bounds), inside, "s", color="#d95f0e", label="intervals from the file")
    first.set_xlabel("nominal coverage")
    first.set_ylabel("fraction of true values inside")
    first.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    first.legend(fontsize="small", loc="upper left")
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure


def _error_by_spread(axis: Axes, std: xr.DataArray, error: xr.DataArray, units: str) -> None:
    known = np.isfinite(std.values) & np.isfinite(error.values)
    sigma, miss = std.values[known], error.values[known]
    order = np.argsort(sigma, kind="stable")
    classes = [c for c in np.array_split(order, CLASSES) if c.size]
    spread = [float(np.sqrt(np.mean(sigma[c] ** 2))) for c in classes]
    skill = [float(np.sqrt(np.mean(miss[c] ** 2))) for c in classes]
    top = 1.08 * max([*spread, *skill], default=1.0)
    axis.plot([0, top], [0, top], color="0.6", lw=1)
    axis.plot(spread, skill, "o-", ms=3.5, color="#3182bd")
    axis.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axis.set_xlabel(with_units("spread σ, by decile", units))
    axis.set_ylabel(with_units("RMSE", units))
