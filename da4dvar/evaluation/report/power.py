"""Power spectra of truth, estimate and error, and the shortest resolved wavelength."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.part import Part, Table, number
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.labels.cf import geographic, is_dates
from da4dvar.fields.scores.spectra import power_spectrum, resolved_wavelength

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Largest number of values that enter a spectrum; more would not make the mean noticeably smoother.
ENOUGH = 500_000
SHORTEST = 16
SAMPLES = 5  # whose spectra are averaged


def spectra_part(one: Comparison, shape: Shape) -> Part:
    """Draw spectra along time and space, where lines are long enough and free of gaps."""
    title = "Power spectra"
    text, rows, drawn = [], [], []
    dims = [d for d in (shape.time, *reversed(shape.space)) if d is not None]
    if shape.located:
        dims = [d for d in dims if d == shape.time]
    for dim in dims:
        if one.estimate.sizes[dim] < SHORTEST:
            text.append(
                f"Along {dim}: no spectrum; {one.estimate.sizes[dim]} cells, at least {SHORTEST} are needed."
            )
            continue
        try:
            estimate, truth, *drawn_lines = sampled(one, dim)
            length = resolved_wavelength(estimate, truth, dim)
            spectra = {
                "truth": power_spectrum(truth, dim),
                "filled": power_spectrum(estimate, dim),
                "error": power_spectrum(estimate - truth, dim),
            }
            if drawn_lines:
                each = [power_spectrum(lines, dim) for lines in drawn_lines]
                spectra["samples"] = xr.concat(each, "realization").mean("realization")
        except DataError as error:
            text.append(f"Along {dim}: no spectrum; {error}.")
            continue
        rows.append(
            [dim, f"{number(length)} {units_of(one, dim)}" if np.isfinite(length) else passing(spectra)]
        )
        drawn.append((dim, spectra, length))
    if not drawn:
        return Part("spectra", title, text)
    text.insert(
        0,
        "The spectra include all cells, observed or not. The estimate resolves wavelengths down to that at "
        "which the power of the error exceeds half that of the truth. A single sample should have the "
        "spectrum of the truth; an estimate has less power at short waves.",
    )
    table = Table(["along", "shortest resolved wavelength"], rows)
    return Part("spectra", title, text, [table], draw_spectra(one, drawn))


def sampled(one: Comparison, dim: str) -> list[xr.DataArray]:
    """Choose lines evenly among those without gaps: of the estimate, the truth, and a few joint samples.

    Raises
    ------
    DataError
        If every line has a gap.
    """
    both = (one.estimate.notnull() & one.truth.notnull()).all(dim)
    lines = int(both.sum())
    if not lines:
        raise DataError("every line has a gap in the truth or in the estimate")
    chosen = np.flatnonzero(both.values.ravel())
    wanted = max(1, ENOUGH // one.estimate.sizes[dim])
    chosen = chosen[np.linspace(0, lines - 1, min(lines, wanted)).astype(int)]
    out = []
    drawn = [] if one.samples is None else list(one.samples[:SAMPLES])
    for array in (one.estimate, one.truth, *drawn):
        rows = array.transpose(..., dim).values.reshape(-1, array.sizes[dim])[chosen].astype("float64")
        coords = {dim: array[dim]} if dim in array.coords else {}
        out.append(xr.DataArray(rows, dims=("line", dim), coords=coords))
    # All get the same coordinates, so that arithmetic does not align them again.
    return [lines.assign_coords(out[0].coords) for lines in out]


def passing(spectra: dict[str, xr.DataArray]) -> str:
    """Explain why there is no wavelength at which the error exceeds half the signal."""
    error, truth = spectra["error"].values[1:], spectra["truth"].values[1:]
    return "all are resolved" if (error <= truth / 2).all() else "none is resolved"


def units_of(one: Comparison, dim: str) -> str:
    """Units of a wavelength along a dimension."""
    if dim not in one.estimate.coords:
        return "cells"
    coordinate = one.estimate[dim]
    if is_dates(coordinate):
        return "days"
    units = str(coordinate.attrs.get("units", ""))
    if units.startswith("degree") or any(geographic({dim: coordinate}, role) for role in "YX"):
        return "°"
    return pretty(units) or f"units of {dim}"


def draw_spectra(one: Comparison, drawn: list[tuple[str, dict[str, xr.DataArray], float]]) -> Figure:
    """Plot power against wavelength, with long waves on the left."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(min(4.4 * len(drawn) + 0.8, 13), 3.9), layout="constrained")
    figure.suptitle(f"{one.title}: power spectra", fontsize="medium")
    axes = figure.subplots(1, len(drawn), squeeze=False)[0]
    styles = {
        "truth": ("black", "-"),
        "filled": ("#3182bd", "--"),
        "error": ("#d95f0e", "-."),
        "samples": ("#31a354", "-"),
    }
    for axis, (dim, spectra, length) in zip(axes, drawn, strict=True):
        for name, spectrum in spectra.items():
            colour, style = styles[name]
            axis.loglog(1 / spectrum.frequency[1:], spectrum[1:], style, color=colour, label=name)
        half = spectra["truth"][1:] / 2
        axis.loglog(1 / half.frequency, half, ":", color="0.5", lw=1, label="half the truth")
        if np.isfinite(length):
            axis.axvline(length, color="0.5", lw=1)
            left = length**2 < 1 / float(half.frequency[0] * half.frequency[-1])
            axis.annotate(
                f" {number(length)} {units_of(one, dim)} ",
                (length, 0.97),
                xycoords=("data", "axes fraction"),
                va="top",
                ha="right" if left else "left",
                fontsize="small",
                color="0.3",
            )
        floor = max(float(spectra["truth"][1:].max()) * 1e-9, 1e-300)
        axis.set_ylim(bottom=max(floor, float(min(s[1:].min() for s in spectra.values()))))
        axis.invert_xaxis()
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(f"wavelength along {dim} [{units_of(one, dim)}]")
        axis.grid(which="major", alpha=0.3)
        axis.set_title(f"along {dim}", fontsize="medium")
    units = pretty(one.units)
    axes[0].set_ylabel(
        f"power [({units})² per unit of frequency]" if units else "power per unit of frequency"
    )
    axes[0].legend(fontsize="small")
    return figure
