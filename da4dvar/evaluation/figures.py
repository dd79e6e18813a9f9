"""Figures of fields, errors, space-time images, energy pathways and samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIELD_COLOURS = "viridis"
ERROR_COLOURS = "RdBu_r"
NOTHING = "0.85"
RAISED = str.maketrans("-123456789", "⁻¹²³⁴⁵⁶⁷⁸⁹")
LINE_STYLES = ("-", "--", "-.", ":")
# Inches around panels with a colour bar between them: its label must not touch the next panel.
BESIDE_A_BAR = 0.12


def maps(fields: Mapping[str, xr.DataArray], errors: Mapping[str, xr.DataArray], title: str) -> Figure:
    """Draw fields on one colour scale, and errors below them on another.

    Parameters
    ----------
    fields : mapping of str to DataArray
        Two-dimensional fields, keyed by the title of their panel; NaN is grey.
    errors : mapping of str to DataArray
        Differences, keyed by the title of their panel, on a colour scale symmetric about zero. The last one
        is drawn below the last field.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Matplotlib figure; write it to a file with its ``savefig``.

    Examples
    --------
    >>> sst = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("lat", "lon"), name="sst")
    >>> len(maps({"truth": sst, "filled": sst + 0.1}, {"error": xr.full_like(sst, 0.1)}, "A week").axes)
    6
    """
    from matplotlib.figure import Figure

    columns = max(len(fields), len(errors))
    figure = Figure(figsize=(3.1 * columns + 0.8, 3.2 * (2 if errors else 1) + 0.4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2 if errors else 1, columns, squeeze=False)
    low, high = shared_range(list(fields.values()))
    reach = max((float(np.nanquantile(np.abs(e), 0.99)) for e in errors.values()), default=1.0)
    _row(axes[0], fields, FIELD_COLOURS, low, high)
    if errors:
        _row(axes[1], errors, ERROR_COLOURS, -reach, reach)
    return figure


def shared_range(arrays: list[xr.DataArray]) -> tuple[float, float]:
    """Return the range from the 1st to the 99th percentile of all values.

    Parameters
    ----------
    arrays : list of DataArray
        Arrays that share the range; NaN and infinite values are ignored.

    Returns
    -------
    low, high : float
        Ends of the range; 0 and 1 if there are no finite values.

    Examples
    --------
    >>> shared_range([xr.DataArray(np.arange(101.0)), xr.DataArray([np.nan])])
    (1.0, 99.0)
    """
    values = np.concatenate([a.values[np.isfinite(a.values)] for a in arrays])
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.01, 0.99])
    return float(low), float(high)


def _row(axes: np.ndarray, panels: Mapping[str, xr.DataArray], colours: str, low: float, high: float) -> None:
    from matplotlib import colormaps

    cmap = colormaps[colours].with_extremes(bad=NOTHING)
    for axis in axes[: -len(panels)]:
        axis.set_visible(False)
    axes = axes[-len(panels) :]
    for axis, (name, array) in zip(axes, panels.items(), strict=True):
        rows, columns = array.dims
        y, x = (
            array[d] if d in array.coords else xr.DataArray(np.arange(array.sizes[d])) for d in array.dims
        )
        image = axis.pcolormesh(x, y, np.ma.masked_invalid(array.values), cmap=cmap, vmin=low, vmax=high)
        axis.set_title(name, fontsize="medium")
        axis.set_xlabel(labelled(x, columns))
        axis.set_facecolor(NOTHING)
    axes[0].set_ylabel(labelled(y, rows))
    first = next(iter(panels.values()))
    label = str(first.attrs.get("long_name", first.name or ""))
    units = pretty(str(first.attrs.get("units", "")))
    image.axes.figure.colorbar(image, ax=list(axes), label=f"{label} [{units}]" if units else label)


def labelled(coordinate: xr.DataArray, name: object) -> str:
    """Return the label of an axis: its name and units.

    Parameters
    ----------
    coordinate : DataArray
        Coordinate whose attribute ``units`` is used.
    name : str
        Name of the axis.

    Returns
    -------
    str
        The label; the name alone if the coordinate has no units.

    Examples
    --------
    >>> labelled(xr.DataArray([0.0], attrs={"units": "degrees_north"}), "lat")
    'lat [°N]'
    """
    units = pretty(str(coordinate.attrs.get("units", "")))
    return f"{name} [{units}]" if units else str(name)


def pretty(units: str) -> str:
    """Return units in the form in which they are printed.

    Parameters
    ----------
    units : str
        Units as written in the attribute ``units``.

    Returns
    -------
    str
        The same units with symbols and superscripts; empty for a dimensionless "1".

    Examples
    --------
    >>> [pretty(u) for u in ("degC", "ug m-3", "kg m2 s-1", "days since 2000-01-01")]
    ['°C', 'µg m⁻³', 'kg m² s⁻¹', 'days since 2000-01-01']
    """
    known = {"degree_Celsius": "°C", "degC": "°C", "degrees_north": "°N", "degrees_east": "°E", "1": ""}
    if units in known:
        return known[units]
    power = re.compile(r"(?<![\d-])(?<=[A-Za-z])(-?[1-9])(?=\s|$)")
    return power.sub(lambda m: m[1].translate(RAISED), units.replace("ug ", "µg "))


def columns_of_images(
    fields: Mapping[str, xr.DataArray], errors: Mapping[str, xr.DataArray], title: str
) -> Figure:
    """Draw space-time images one below the other, each with its error to the right if one is given.

    Parameters
    ----------
    fields : mapping of str to DataArray, dims (y, time)
        Images, keyed by their title, with coordinates along both dimensions.
    errors : mapping of str to DataArray
        Errors, keyed by the title of their image, on one colour scale symmetric about zero.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Matplotlib figure; write it to a file with its ``savefig``.

    Examples
    --------
    >>> x = xr.DataArray(np.eye(3), {"component": range(3), "time": range(3)}, ("component", "time"))
    >>> figure = columns_of_images({"truth": x, "filled": x}, {"filled": 0 * x}, "Lorenz-96")
    >>> [axis.get_title() for axis in figure.axes if axis.get_title()]
    ['truth', 'filled', 'error of filled']
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=BESIDE_A_BAR)
    figure = Figure(figsize=(11, 1.7 * len(fields) + 0.6), layout=layout)
    figure.suptitle(title)
    axes = figure.subplots(len(fields), 2, sharex=True, squeeze=False)
    low, high = shared_range(list(fields.values()))
    reach = max((float(np.nanquantile(np.abs(e), 0.99)) for e in errors.values()), default=1.0)
    for (left, right), (name, field) in zip(axes, fields.items(), strict=True):
        y, x = (field[d] for d in field.dims)
        for axis, array, colours, ends, label in (
            (left, field, FIELD_COLOURS, (low, high), str(field.name or "")),
            (right, errors.get(name), ERROR_COLOURS, (-reach, reach), "error"),
        ):
            if array is None:
                axis.set_visible(False)
                continue
            cmap = colormaps[colours].with_extremes(bad=NOTHING)
            values = np.ma.masked_invalid(array.values)
            image = axis.pcolormesh(x, y, values, cmap=cmap, vmin=ends[0], vmax=ends[1])
            figure.colorbar(image, ax=axis, label=label)
            axis.set_title(name if axis is left else f"error of {name}", fontsize="medium")
            axis.set_ylabel(labelled(y, field.dims[0]))
    for axis in axes[-1]:
        axis.set_xlabel(labelled(x, field.dims[1]))
    return figure


def pathways(lines: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Plot the cost U against the error of the reconstruction along the iterations of solvers.

    Parameters
    ----------
    lines : mapping of str to (array, array)
        U and R-score of the iterates, keyed by the name of the solver. A circle marks the first iterate, a
        square the last.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Matplotlib figure; write it to a file with its ``savefig``.

    Examples
    --------
    >>> descent = (np.array([9.0, 3.0, 1.0]), np.array([0.5, 0.2, 0.1]))
    >>> [text.get_text() for text in pathways({"LSTM": descent}, "A descent").axes[0].get_legend().texts]
    ['LSTM, 2 iterations']
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axis = figure.subplots()
    colours = colormaps["viridis"](np.linspace(0, 0.9, max(len(lines), 2)))
    for colour, style, (name, (energy, error)) in zip(colours, LINE_STYLES * 3, lines.items(), strict=False):
        axis.loglog(error, energy, style, color=colour, label=f"{name}, {len(error) - 1} iterations")
        axis.plot(error[0], energy[0], "o", color=colour)
        axis.plot(error[-1], energy[-1], "s", color=colour, markersize=8)
    axis.set_title(title, fontsize="medium")
    axis.set_xlabel("R-score of the iterate")
    axis.set_ylabel("U of the iterate")
    axis.grid(which="both", alpha=0.3)
    axis.legend(title="from circle to square")
    return figure


def gallery(fields: Mapping[str, xr.DataArray], title: str) -> Figure:
    """Draw images of several samples, all on the colour scale of the first row; gaps are grey.

    Parameters
    ----------
    fields : mapping of str to DataArray, dims (sample, y, x)
        Images, keyed by the label of their row; y increases downwards.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Matplotlib figure; write it to a file with its ``savefig``.

    Examples
    --------
    >>> digits = xr.DataArray(np.zeros((5, 28, 28)), dims=("sample", "y", "x"))
    >>> len(gallery({"truth": digits, "seen": digits.where(digits > 0)}, "Five digits").axes)
    10
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    columns = len(next(iter(fields.values())))
    figure = Figure(figsize=(columns * 0.95 + 1.8, len(fields) * 0.95 + 0.5), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(len(fields), columns, squeeze=False)
    low, high = shared_range([next(iter(fields.values()))])
    cmap = colormaps[FIELD_COLOURS].with_extremes(bad=NOTHING)
    for row, (name, images) in zip(axes, fields.items(), strict=True):
        for axis, image in zip(row, images.values, strict=True):
            axis.imshow(np.ma.masked_invalid(image), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure
