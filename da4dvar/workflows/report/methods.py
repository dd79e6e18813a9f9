"""The methods that were compared, and why one was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.part import Part, Table, number, with_units
from da4dvar.workflows.autofit.comparison import Comparison, cautions, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Errors this many times the smallest lie outside the figure.
FAR = 5


def methods_part(found: Comparison) -> Part:
    """Return the part with the scores of all methods for a variable."""
    said = [line for line in cautions(found) if not line.startswith("not compared")]
    text = [
        f"{verdict(found)}.",
        f"Every method filled {found.points['all']:,} observed points that were hidden from it, in "
        f"{found.shapes:,} groups with the shapes of the gaps. The errors are weighted so that the points "
        "represent the missing values; ± is one standard error over the groups. The last columns are the "
        "errors by length of the gap, in steps.",
        *(f"{line[0].upper()}{line[1:]}." for line in said),
    ]
    tables = [methods_table(found)]
    if found.left_out:
        left = ["method that was not compared", "reason"]
        tables.append(Table(left, [list(item) for item in found.left_out.items()], words=True))
    error = found.rmse[found.winner][0]
    alt = (
        f"RMSE of {len(found.rmse)} methods for {found.variable}; that of {found.winner} is {number(error)}."
    )
    return Part("methods", "What was chosen, and why", text, tables, draw_methods(found), alt)


def methods_table(found: Comparison) -> Table:
    """Return the scores of all methods, the best first, over all gaps and by length of the gap."""
    kinds = [k for k in found.points if k != "all"]
    best = found.rmse[found.ranked()[0]][0]
    rows = []
    for name in found.ranked():
        error, spread = found.rmse[name]
        behind = f"{100 * (error / best - 1):+.0f} %" if best > 0 else "–"
        classes = [number(found.by_class[name].get(k, np.nan)) for k in kinds]
        mark = f"{name} (chosen)" if name == found.winner else name
        rows.append([mark, number(error), number(spread), behind, *classes])
    rows.append(
        ["hidden points", f"{found.points['all']:,}", "", "", *(f"{found.points[k]:,}" for k in kinds)]
    )
    return Table(["method", with_units("RMSE", pretty(found.units)), "±", "to the first", *kinds], rows)


def draw_methods(found: Comparison) -> Figure:
    """Draw the RMSE of all methods as bars with standard errors; the chosen one is dark and hatched."""
    from matplotlib.figure import Figure

    names = found.ranked()[::-1]
    error, spread = (np.array([found.rmse[name][k] for name in names]) for k in (0, 1))
    spread = np.where(np.isfinite(spread), spread, 0)
    figure = Figure(figsize=(5, 0.28 * len(names) + 0.8), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh(names, error, xerr=spread, color="#9ecae1", capsize=2)
    bars[names.index(found.winner)].set(facecolor="#08519c", hatch="//", edgecolor="white")
    # A method that is far off must not squeeze the others.
    top = 1.08 * float((error + spread).max())
    axis.set_xlim(0, min(top, FAR * float(error.min())) or 1)
    axis.set_xlabel(with_units("RMSE at hidden points", pretty(found.units)))
    axis.tick_params(labelsize="small")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
