"""Shares by time and by place, as a strip and a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.evaluation.figures import labelled
from da4dvar.evaluation.report.maps import (
    FINEST,
    SPREAD_COLOURS,
    Panel,
    aspect,
    bar,
    concise,
    coordinates,
    draw,
)
from da4dvar.workflows.report.outcome import Outcome, binned, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Largest number of periods in a strip.
PERIODS = 240


def draw_shares(one: Outcome, part: xr.DataArray, whole: xr.DataArray, label: str) -> Figure:
    """Draw Σ part / Σ whole over all places as a strip in time, and over all times as a map.

    Stations and other lines of places have an image of places by time instead of the map; a single series
    has the strip alone.

    Parameters
    ----------
    one : Outcome
        Variable.
    part, whole : DataArray of bool
        What is counted, and among what.
    label : str
        What the shares are, such as "observed [%]".
    """
    from matplotlib.figure import Figure

    space, panel = list(one.shape.space), None
    if len(space) == 2:
        found = share(part, whole, [str(d) for d in part.dims if d not in space]).transpose(*space)
    elif space:
        found = by_period(part, whole, one.time, keep=space).transpose(*space, one.time)
    if space:
        thin = {d: slice(None, None, -(-found.sizes[d] // FINEST)) for d in space}
        panel = Panel("", 100 * found.isel(thin), SPREAD_COLOURS, 0.0, 100.0, label)
    rows, height = (1, 1.8) if panel is None else (2, 4.4)
    figure = Figure(figsize=(5, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=[1.2, 2.9][:rows])[:, 0]
    _strip(axes[0], by_period(part, whole, one.time), label)
    if panel is not None:
        bar(draw(axes[1], panel), [axes[1]], panel)
        y, x = coordinates(panel.values)
        axes[1].set_ylabel(labelled(y, panel.values.dims[0]))
        axes[1].set_xlabel(labelled(x, panel.values.dims[1]))
        if len(space) == 2:
            axes[1].set_aspect(aspect(panel.values))
        else:
            concise(axes[1], x)
    return figure


def by_period(part: xr.DataArray, whole: xr.DataArray, time: str, keep: Sequence[str] = ()) -> xr.DataArray:
    """Return Σ part / Σ whole over each period and all dimensions but time and those to keep."""
    over = [str(d) for d in part.dims if d != time and d not in keep]
    # In floating point, as a period without a time is NaN.
    found, total = (binned(a.sum(over).astype("float64"), time, PERIODS) for a in (part, whole))
    return share(found, total, [])


def _strip(axis: Axes, found: xr.DataArray, label: str) -> None:
    times = coordinates(found)[0]
    x = times.values
    # Where times are absent, nothing is drawn.
    width = np.sort(np.diff(x))[(x.size - 1) // 2] if x.size > 1 else 1
    axis.bar(x, 100 * found.values, width, align="edge", color="#3182bd", lw=0, antialiased=False)
    axis.set_ylim(0, 105)
    axis.set_ylabel(label, fontsize="small")
    axis.set_xlabel(labelled(times, found.dims[0]))
    axis.spines[["top", "right"]].set_visible(False)
    concise(axis, times)
