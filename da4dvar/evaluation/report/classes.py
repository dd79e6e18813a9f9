"""Scores by gap length and by distance to the nearest observation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.gap_classes import gap_classes
from da4dvar.evaluation.report.part import Part, Table, number, percent, with_units
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.gaps.geometry import (
    EARTH,
    by_class,
    distance_to_observation,
    distance_to_reporting,
    gap_length,
)
from da4dvar.fields.gaps.limits import within_limits
from da4dvar.fields.labels.cf import geographic, is_dates, steps
from da4dvar.fields.scores.metrics import bias, rmse
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian, spread_skill

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Upper bounds of the classes of gap lengths, in steps; the last class has none.
GAPS = (1, 2, 5, 10, 20, 50, 100, 200)
Score = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]


def class_parts(one: Comparison) -> Part:
    """Score the unobserved cells by class, as tables and one figure."""
    title = "By gap length and distance to the nearest observation"
    observed = one.observed
    if observed is None:
        said = (
            "The observed cells are not known; pass the data set with gaps with --observed for these scores."
        )
        return Part("classes", title, [said])
    if not (one.scored & ~observed).any():
        return Part(
            "classes", title, ["Every cell with a truth was observed, so there are no gaps to score."]
        )
    shape, cells, where = Shape.of(one.estimate), one.cells(), one.scored.values
    drawn: list[tuple[str, list[str], xr.Dataset, xr.Dataset | None]] = []
    tables, text = [], []
    for measure in (gaps_of(observed, shape, where), distances_of(observed, shape, where)):
        if measure is None:
            continue
        name, classes = measure
        labels, scored, spread, table = scores_by(cells, classes, name)
        tables.append(table)
        drawn.append((name, labels, scored, spread))
    if not tables:
        text.append("The variable has no time or space dimension along which gaps could be measured.")
        return Part("classes", title, text)
    text.append(
        "Only unobserved cells are scored. A gap that touches the beginning or the end of the record has an "
        "observation on one side at most and is in the class “open end”, whatever its length. The distance "
        "is that to the nearest observation at the same time, or in time where the variable has no places. "
        "“None” is the class without an observation at that time."
    )
    return Part("classes", title, text, tables, draw_classes(drawn, one))


# Name of a quantity, and the scored cells in each of its classes.
Measure = tuple[str, dict[str, np.ndarray]]


def gaps_of(observed: xr.DataArray, shape: Shape, scored: np.ndarray) -> Measure | None:
    """Class the scored cells by the length of their gap in time; None without a time dimension."""
    if shape.time is None:
        return None
    length = gap_length(observed, shape.time)
    ends = within_limits(observed, [shape.time], limit_area="outside")
    classes = gap_classes(length.values[scored], ends.values[scored], GAPS)
    return "gap length [steps]", {name.replace("-", "–"): here for name, here in classes.items()}


def distances_of(observed: xr.DataArray, shape: Shape, scored: np.ndarray) -> Measure | None:
    """Class the scored cells by their distance to the nearest observation; see :func:`distance_of`."""
    measured = distance_of(observed, shape)
    if measured is None:
        return None
    values, name = measured[0].values[scored], measured[1]
    edges = round_edges(values)
    return name, {
        label(low, high, "steps" in name): (values >= low) & ((values < high) | np.isinf(high))
        for low, high in pairwise(edges)
    }


def distance_of(observed: xr.DataArray, shape: Shape) -> tuple[xr.DataArray, str] | None:
    """Distance from each cell to the nearest observation, in space or, without places, in time."""
    if shape.located:
        lat, lon = observed[shape.lat], observed[shape.lon]
        found = distance_to_reporting(observed, shape.space[0], lat, lon)
        return found, "distance to the nearest observation [km]"
    numbered = [d for d in shape.space if d in observed.coords and observed[d].dtype.kind in "iuf"]
    # The order of places without numeric coordinates, such as station names, has no meaning.
    if len(shape.space) == 2 or numbered:
        dims = list(shape.space)
        even = len(numbered) == len(dims)
        spacing, units = cell_sizes(observed, dims) if even else (dict.fromkeys(dims, 1.0), "cells")
        found = distance_to_observation(observed, dims, spacing)
        return found, with_units("distance to the nearest observation", units)
    if shape.time is None or shape.space:
        return None
    found = distance_to_observation(observed, [shape.time])
    return found, "distance to the nearest observation [steps]"


def cell_sizes(array: xr.DataArray, dims: list[str]) -> tuple[dict[str, float], str]:
    """Return the cell size along each dimension and its units: km at the mean latitude for degrees."""
    found = {}
    for d in dims:
        differences = steps(array[d])
        size = 1.0 if differences is None or not differences.size else float(np.median(np.abs(differences)))
        found[d] = size if size > 0 and not is_dates(array[d]) else 1.0
    y, x = dims[0], dims[-1]
    degrees = [str(array[d].attrs.get("units", "degree")).startswith("degree") for d in dims]
    named = [any(geographic({d: array[d]}, role) for role in "YX") for d in dims]
    if len(dims) == 2 and all(degrees) and (all(named) or all("units" in array[d].attrs for d in dims)):
        km = np.pi * EARTH / 180
        middle = np.radians(float(array[y].mean()))
        return {y: found[y] * km, x: found[x] * km * max(float(np.cos(middle)), 1e-3)}, "km"
    units = {str(array[d].attrs.get("units", "")) for d in dims}
    if len(units) == 1 and units != {""} and units != {"1"}:
        return found, units.pop()
    return dict.fromkeys(dims, 1.0), "cells"


def round_edges(values: np.ndarray) -> list[float]:
    """Return class edges of 1, 2 or 5 times a power of ten; infinite values form the last class.

    Examples
    --------
    >>> round_edges(np.array([30.0, 60.0, 180.0, np.inf]))
    [0.0, 50.0, 100.0, 200.0, inf]
    """
    finite = values[np.isfinite(values) & (values > 0)]
    if not finite.size:
        return [0.0, np.inf]
    low, high = np.quantile(finite, [0.05, 1.0])
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    series = [float(f"{m * p:.6g}") for p in powers for m in (1, 2, 5)]
    inside = [s for s in series if low < s < high]
    above = next((s for s in series if s >= high), float(high))
    # Merge neighbouring classes in pairs while there are more than a table should have.
    while len(inside) > 8:
        inside = inside[1::2]
    return [0.0, *inside, above if above > high else float(np.nextafter(above, np.inf)), np.inf]


def scores_by(
    cells: Comparison, classes: Mapping[str, np.ndarray], name: str
) -> tuple[list[str], xr.Dataset, xr.Dataset | None, Table]:
    """Score each class that has cells.

    Returns
    -------
    labels : list of str
        Label of each class.
    scored : Dataset
        RMSE and number of cells of each class.
    spread : Dataset or None
        √ mean σ² of each class; None without a standard deviation.
    table : Table
        All scores, one row per class.
    """
    std = cells.std
    scores: dict[str, tuple[Score, Callable[[float], str]]] = {
        with_units("RMSE", pretty(cells.units)): (rmse, number),
        with_units("bias", pretty(cells.units)): (bias, number),
    }
    if std is not None:
        scores[with_units("CRPS", pretty(cells.units))] = (lambda e, t: crps_gaussian(e, std, t), number)
        scores["spread/skill"] = (lambda e, t: spread_skill(std, e, t), number)
    for level in (0.5, 0.9):
        ends = cells.interval(level)
        if ends is not None:
            scores[f"in {100 * level:.0f} %"] = (within(*ends), percent)
    edges = range(len(classes) + 1)
    number_of = xr.DataArray(np.full(cells.estimate.size, -1), dims="cell")
    for k, here in enumerate(classes.values()):
        number_of[here] = k
    found = {
        key: by_class(cells.estimate, cells.truth, number_of, edges, score)
        for key, (score, _) in scores.items()
    }
    first = next(iter(found.values()))
    kept = np.flatnonzero(first["cells"].values)
    labels = [list(classes)[k] for k in kept]
    rows = [
        [label, str(int(first["cells"][k]))]
        + [shown(float(found[key].score[k])) for key, (_, shown) in scores.items()]
        for label, k in zip(labels, kept, strict=True)
    ]
    spread = None
    if std is not None:
        spread = by_class(cells.estimate, cells.truth, number_of, edges, lambda e, t: rmse(std, 0 * t))
        spread = spread.isel({"class": kept})
    return labels, first.isel({"class": kept}), spread, Table([name, "cells", *scores], rows)


def within(low: xr.DataArray, high: xr.DataArray) -> Score:
    """Return the coverage of an interval as a score that ignores the estimate."""
    return lambda estimate, truth: coverage(low, high, truth)


def label(lower: float, upper: float, whole: bool) -> str:
    """Return the label of the distances from `lower` up to but not including `upper`.

    Examples
    --------
    >>> label(1, 2, True), label(3, 6, True), label(50, 100, False), label(200, np.inf, False)
    ('1', '3–5', '50–100', 'none')
    """
    if np.isinf(upper):
        return "none"
    if whole and float(lower).is_integer() and float(upper).is_integer():
        return f"{lower:g}" if upper - lower == 1 else f"{lower:g}–{upper - 1:g}"
    return f"{lower:.4g}–{upper:.4g}"


def draw_classes(
    drawn: list[tuple[str, list[str], xr.Dataset, xr.Dataset | None]], one: Comparison
) -> Figure:
    """Draw the RMSE of each class with its number of cells, and the predicted spread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(drawn), 3.9), layout="constrained")
    figure.suptitle(
        f"{one.title}: error of unobserved cells (number of cells in brackets)", fontsize="medium"
    )
    axes = figure.subplots(1, len(drawn), squeeze=False, sharey=True)[0]
    for axis, (name, labels, scored, spread) in zip(axes, drawn, strict=True):
        x = np.arange(len(labels))
        axis.bar(x, scored.score, width=0.7, color="#9ecae1", edgecolor="#3182bd", label="RMSE")
        if spread is not None:
            axis.plot(x, spread.score, "o--", color="#d95f0e", label="spread √(mean σ²)")
        counts = [f"{int(n):,}".replace(",", "\u202f") for n in scored["cells"]]
        below = [f"{label}\n({n})" for label, n in zip(labels, counts, strict=True)]
        axis.set_xticks(x, below, fontsize="x-small")
        axis.set_xlabel(name)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(with_units("RMSE", pretty(one.units)))
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return figure
