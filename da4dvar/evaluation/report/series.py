"""Time series of a few places: observations, truth, estimate and its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import labelled, pretty
from da4dvar.evaluation.report.example import LONGEST, around, places_of, words_of
from da4dvar.evaluation.report.maps import concise, coordinates
from da4dvar.evaluation.report.part import Part, number, with_units
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.scores.metrics import rmse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.9


def series_part(one: Comparison, shape: Shape, centre: int | None = None) -> Part:
    """Draw up to three series around the time index `centre`, by default where most cells are scored."""
    time = shape.time
    if time is None or one.estimate.sizes[time] < 3:
        return Part("series", "Series", ["No series: the variable has fewer than three times."])
    size = one.estimate.sizes[time]
    middle = centre
    if middle is None:
        per_time = one.scored.sum([d for d in one.estimate.dims if d != time]).values
        total = np.concatenate([[0], np.cumsum(per_time)])
        steps = min(LONGEST, size)
        middle = int(np.argmax(total[steps:] - total[:-steps])) + steps // 2
    window = around(middle, size)
    places = places_of(one, shape, {time: window}, 3)
    has_interval = one.interval(LEVEL) is not None
    text = [
        "Places with a low, a typical and a high RMSE (10th, 50th and 90th percentile) among those with many "
        "scored cells."
        if len(places) > 1
        else "The only series."
        if one.estimate.ndim == 1
        else "A place with many scored cells.",
        f"The {100 * LEVEL:.0f} % interval is shaded."
        if has_interval
        else "The file has neither a standard deviation nor intervals to draw.",
    ]
    if size > LONGEST:
        chosen = "with the most scored cells" if centre is None else "around the time given with --at"
        text.insert(1, f"Shown are the {LONGEST} of {size} steps {chosen}.")
    return Part("series", "Series", [" ".join(text)], (), draw_series(one, time, window, places))


def draw_series(one: Comparison, time: str, window: slice, places: list[dict[str, int]]) -> Figure:
    """Draw the series of each place in a panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.2 * len(places) + 0.7), layout="constrained")
    figure.suptitle(f"{one.title}: series", fontsize="medium")
    axes = figure.subplots(len(places), 1, sharex=True, squeeze=False)[:, 0]
    for axis, place in zip(axes, places, strict=True):
        here = place | {time: window}
        ends = one.interval(LEVEL)
        draw_lines(
            axis,
            one.estimate.isel(here),
            None if ends is None else (ends[0].isel(here), ends[1].isel(here)),
            None if one.seen is None else one.seen.isel(here),
            one.truth.isel(here),
        )
        scored = one.scored.isel(here)
        error = float(rmse(one.estimate.isel(here).where(scored), one.truth.isel(here)))
        said = f"{words_of(one, place)}: " if place else ""
        axis.set_title(f"{said}RMSE {with_units_after(error, pretty(one.units))}", fontsize="small")
        axis.set_ylabel(with_units(one.name, pretty(one.units)))
        axis.spines[["top", "right"]].set_visible(False)
    known = one.estimate[time] if time in one.estimate.coords else xr.DataArray(0)
    axes[-1].set_xlabel(labelled(known, time))
    concise(axes[-1], coordinates(one.estimate.isel(dict.fromkeys(places[0], 0)))[0])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    return figure


def draw_lines(
    axis: Axes,
    estimate: xr.DataArray,
    ends: tuple[xr.DataArray, xr.DataArray] | None = None,
    seen: xr.DataArray | None = None,
    truth: xr.DataArray | None = None,
) -> None:
    """Draw a series with its interval, observations and truth, as far as they are known.

    Parameters
    ----------
    axis : Axes
        Where to draw.
    estimate : DataArray, dims (time)
        Estimate.
    ends : tuple of DataArray, optional
        Ends of the interval of level 0.9.
    seen, truth : DataArray, optional
        Observations and truth.
    """
    x = coordinates(estimate)[0].values
    if ends is not None:
        low, high = (e.values for e in ends)
        axis.fill_between(
            x, low, high, color="#3182bd", alpha=0.25, lw=0, label=f"{100 * LEVEL:.0f} % interval"
        )
    if truth is not None:
        # A line does not show isolated points.
        alone = np.isfinite(truth.values).mean() < 0.7
        axis.plot(x, truth.values, "x" if alone else "-", color="black", lw=1, ms=4, label="truth")
    axis.plot(x, estimate.values, "-", color="#3182bd", lw=1.2, label="filled")
    if seen is not None:
        size = 3.5 if np.isfinite(seen.values).mean() < 0.5 else 2
        axis.plot(x, seen.values, "o", color="#d95f0e", ms=size, mew=0, label="observed")


def with_units_after(value: float, units: str) -> str:
    """Format a number followed by its units."""
    return f"{number(value)} {units}".strip()
