"""Truth, observations, estimate, error and spread as maps, or as images of places by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import (
    BESIDE_A_BAR,
    ERROR_COLOURS,
    FIELD_COLOURS,
    NOTHING,
    labelled,
    pretty,
    shared_range,
)
from da4dvar.evaluation.report.example import Example, words_of
from da4dvar.evaluation.report.part import Part, with_units
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.labels.cf import geographic, is_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

SPREAD_COLOURS = "cividis"
# Largest number of cells drawn along an edge; print cannot show more.
FINEST = 1000
# Largest number of marks in an image; of more, some are left out.
MARKS = 500


@dataclass(frozen=True)
class Panel:
    """An image with its title, colour scale, the label of its colour bar, and the cells marked by ×."""

    title: str
    values: xr.DataArray
    colours: str
    low: float
    high: float
    label: str
    marked: xr.DataArray | None = None


def map_part(one: Comparison, shape: Shape, example: Example) -> Part:
    """Draw the images of one slice; a variable without space dimensions gets a line of text instead."""
    if not shape.space or one.estimate.sizes[shape.space[-1]] < 2:
        return Part("map", "Map", ["No map: the variable has no space dimension; see the series below."])
    grid = len(shape.space) == 2
    order = list(shape.space) if grid else [shape.space[0], shape.time or ""]
    if not all(order):
        return Part("map", "Map", ["No image: the variable has one space dimension and no time dimension."])
    where = words_of(one, example.where)
    panels = panels_of(one, example, order)
    title = f"{one.title}: {where}" if where else one.title
    figure = draw_grid(panels, title) if grid else draw_strips(panels, title)
    text = [f"Shown: {where}: {example.reason}." if where else f"Shown: {example.reason}."]
    text.append(
        "Cells without a value are grey. The colour scales span the 1st to the 99th percentile, that of the "
        "error up to the 99th percentile of its absolute value."
    )
    return Part("map", "Map" if grid else "Places by time", text, (), figure)


def panels_of(one: Comparison, example: Example, order: list[str]) -> list[Panel]:
    """Return the panels of a slice; truth, observations and estimate share one scale."""
    sizes = one.estimate.isel(example.where).sizes
    thin = {d: slice(None, None, -(-sizes[d] // FINEST)) for d in order}

    def cut(array: xr.DataArray) -> xr.DataArray:
        return array.isel(example.where).isel(thin).transpose(*order)

    truth, estimate = cut(one.truth), cut(one.estimate)
    low, high = shared_range([truth, estimate])
    label = with_units(one.name, pretty(one.units))
    error = estimate.copy(data=estimate.values.astype("float64") - truth.values)
    known = np.abs(error.values[np.isfinite(error.values)])
    reach = max(float(np.quantile(known, 0.99)), 1e-12) if known.size else 1.0
    panels = [Panel("truth", truth, FIELD_COLOURS, low, high, label)]
    if one.seen is not None:
        panels.append(Panel("observed", cut(one.seen), FIELD_COLOURS, low, high, label))
    panels.append(Panel("filled", estimate, FIELD_COLOURS, low, high, label))
    of_error = with_units("error", pretty(one.units))
    panels.append(Panel("error (filled − truth)", error, ERROR_COLOURS, -reach, reach, of_error))
    if one.std is not None:
        std = cut(one.std)
        panels.append(
            Panel("spread σ", std, SPREAD_COLOURS, *shared_range([std]), with_units("σ", pretty(one.units)))
        )
    return panels


def draw_grid(panels: list[Panel], title: str) -> Figure:
    """Draw maps: a row of fields on one scale, below it error and spread, each on a scale of its own."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    first = panels[0].values
    y, x = coordinates(first)
    rows = [
        [p for p in panels if p.colours == FIELD_COLOURS],
        [p for p in panels if p.colours != FIELD_COLOURS],
    ]
    columns = max(map(len, rows))
    tall = float(np.clip(_extent(y) / max(_extent(x) * _shrink(y), 1e-9), 0.35, 1.8))
    # Maps of fixed aspect leave empty space at their sides, which a compressed layout removes.
    layout = ConstrainedLayoutEngine(compress=True, w_pad=BESIDE_A_BAR)
    figure = Figure(figsize=(3.2 * columns + 1, 2 * (2.7 * tall + 0.8) + 0.4), layout=layout)
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(2, columns, squeeze=False)
    for row, images in zip(axes, rows, strict=True):
        drawn = [draw(axis, panel) for axis, panel in zip(row, images, strict=False)]
        for axis in row[len(images) :]:
            axis.set_visible(False)
        for axis in row[: len(images)]:
            axis.set_aspect(aspect(first))
            axis.set_xlabel(labelled(x, first.dims[1]))
        row[0].set_ylabel(labelled(y, first.dims[0]))
        if images is rows[0]:
            bar(drawn[-1], list(row[: len(images)]), images[-1])
        else:
            for axis, image, panel in zip(row, drawn, images, strict=False):
                bar(image, [axis], panel)
    return figure


def draw_stack(panels: list[Panel], title: str) -> Figure:
    """Draw maps one below the other, legible on a narrow screen, each with its colour bar."""
    from matplotlib.figure import Figure

    y, x = coordinates(panels[0].values)
    tall = float(np.clip(_extent(y) / max(_extent(x) * _shrink(y), 1e-9), 0.3, 0.8))
    figure = Figure(figsize=(5, len(panels) * (3.6 * tall + 0.75) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        bar(draw(axis, panel), [axis], panel)
        axis.set_aspect(aspect(panel.values))
        axis.set_ylabel(labelled(y, panel.values.dims[0]))
    axes[-1].set_xlabel(labelled(x, panels[0].values.dims[1]))
    return figure


def draw_strips(panels: list[Panel], title: str) -> Figure:
    """Draw images with time along the horizontal axis, one below the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.75 * len(panels) + 0.6), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        bar(draw(axis, panel), [axis], panel)
        axis.set_ylabel(labelled(coordinates(panel.values)[0], panel.values.dims[0]))
    times = coordinates(panels[0].values)[1]
    axes[-1].set_xlabel(labelled(times, panels[0].values.dims[1]))
    concise(axes[-1], times)
    return figure


def bar(image: QuadMesh, axes: list[Axes], panel: Panel) -> None:
    """Draw the colour bar shared by `axes`."""
    axes[0].figure.colorbar(image, ax=axes, label=panel.label, extend="both", pad=0.02)


def draw(axis: Axes, panel: Panel) -> QuadMesh:
    """Draw one image."""
    from matplotlib import colormaps

    y, x = coordinates(panel.values)
    cmap = colormaps[panel.colours].with_extremes(bad=NOTHING)
    values = np.ma.masked_invalid(panel.values.values)
    across = [c.values if numeric(c) else np.arange(c.size) for c in (x, y)]
    image = axis.pcolormesh(*across, values, cmap=cmap, vmin=panel.low, vmax=panel.high, rasterized=True)
    axis.set_facecolor(NOTHING)
    axis.set_title(panel.title, fontsize="medium")
    if panel.marked is not None:
        rows, columns = np.nonzero(panel.marked.values)
        some = slice(None, None, -(-rows.size // MARKS) or None)
        axis.plot(across[0][columns[some]], across[1][rows[some]], "x", color="black", ms=3, mew=0.6)
    if not numeric(y):
        ticks = np.linspace(0, y.size - 1, min(y.size, 4)).astype(int)
        axis.set_yticks(ticks, [str(v) for v in y.values[ticks]], fontsize="x-small")
    return image


def coordinates(image: xr.DataArray) -> list[xr.DataArray]:
    """Coordinates of an image, or cell numbers where it has none or where they are dates of cftime."""
    found = []
    for d in map(str, image.dims):
        known = image[d] if d in image.coords else xr.DataArray(np.arange(image.sizes[d]), dims=d)
        other = known.dtype == object and is_dates(known)
        found.append(xr.DataArray(np.arange(known.size), dims=d) if other else known)
    return found


def concise(axis: Axes, times: xr.DataArray) -> None:
    """Format the date labels of an axis so that they do not overlap."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if times.dtype.kind == "M":
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def numeric(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds numbers or dates, for which an axis can be drawn."""
    return coordinate.dtype.kind in "iufM"


def aspect(image: xr.DataArray) -> float | Literal["auto"]:
    """Return the aspect of the axes of a map: that of the ground for latitudes, equal for other numbers."""
    y, x = coordinates(image)
    return 1 / _shrink(y) if numeric(y) and numeric(x) else "auto"


def _extent(coordinate: xr.DataArray) -> float:
    if coordinate.dtype.kind not in "iuf":
        return float(coordinate.size)
    return float(np.ptp(coordinate.values.astype(float))) or 1.0


def _shrink(y: xr.DataArray) -> float:
    """cos φ where y is a latitude: a degree of longitude is that much shorter."""
    if not geographic({y.name: y}, "Y"):
        return 1.0
    return max(float(np.cos(np.radians(float(y.mean())))), 0.1)
