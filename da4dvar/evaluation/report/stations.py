"""Maps of the error at each station."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import BESIDE_A_BAR, ERROR_COLOURS, FIELD_COLOURS, pretty
from da4dvar.evaluation.report.part import Part, Table, number, with_units
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.scores.metrics import bias, rmse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 5


def stations_part(one: Comparison, shape: Shape) -> Part:
    """Return RMSE and bias by station as maps, and the stations with the largest RMSE as a table."""
    station = shape.space[0]
    over = [str(d) for d in one.estimate.dims if d != station]
    estimate = one.estimate.where(one.scored)
    error, shift = rmse(estimate, one.truth, over), bias(estimate, one.truth, over)
    count = one.scored.sum(over)
    if not error.notnull().any():
        return Part("stations", "Stations", ["No station has scored cells."])
    worst = np.argsort(np.where(error.notnull(), -error, np.inf))[:LISTED]
    units = pretty(one.units)
    head = [f"{station} with the largest RMSE", "cells", with_units("RMSE", units), with_units("bias", units)]
    names = one.estimate[station].values if station in one.estimate.coords else np.arange(error.size)
    rows = [
        [str(names[k]), str(int(count[k])), number(float(error[k])), number(float(shift[k]))]
        for k in worst
        if error.notnull()[k]
    ]
    figure = draw_stations(one, shape, error, shift)
    text = ["Each point is a station; grey crosses are stations without scored cells."]
    return Part("stations", "Stations", text, [Table(head, rows)], figure)


def draw_stations(one: Comparison, shape: Shape, error: xr.DataArray, shift: xr.DataArray) -> Figure:
    """Draw maps of the RMSE (left) and the bias (right) of the stations."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lat = one.estimate[shape.lat].values.astype(float)
    lon = one.estimate[shape.lon].values.astype(float)
    layout = ConstrainedLayoutEngine(compress=True, w_pad=BESIDE_A_BAR)
    figure = Figure(figsize=(9.5, 4.4), layout=layout)
    figure.suptitle(f"{one.title}: error by station", fontsize="medium")
    reach = float(np.nanquantile(np.abs(shift), 0.95)) or 1.0
    high = float(np.nanquantile(error, 0.95)) or 1.0
    panels = ((error, "RMSE", FIELD_COLOURS, 0.0, high), (shift, "bias", ERROR_COLOURS, -reach, reach))
    for axis, (values, name, colours, low, top) in zip(figure.subplots(1, 2), panels, strict=True):
        known = np.isfinite(values.values)
        axis.plot(lon[~known], lat[~known], "x", color="0.6", ms=4)
        points = axis.scatter(
            lon[known],
            lat[known],
            c=values.values[known],
            cmap=colours,
            vmin=low,
            vmax=top,
            edgecolors="0.3",
            lw=0.5,
        )
        bar = figure.colorbar(points, ax=axis, label=with_units(name, pretty(one.units)))
        bar.ax.tick_params(labelsize="small")
        axis.set_aspect(1 / max(float(np.cos(np.radians(np.nanmean(lat)))), 0.1))
        axis.set_xlabel("longitude [°E]")
        axis.set_ylabel("latitude [°N]")
        axis.grid(alpha=0.3)
    return figure
