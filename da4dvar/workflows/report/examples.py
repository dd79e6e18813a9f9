"""A typical and the worst gap, before and after, as maps and as series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.evaluation.figures import FIELD_COLOURS, labelled, shared_range
from da4dvar.evaluation.report.example import words_in
from da4dvar.evaluation.report.maps import FINEST, SPREAD_COLOURS, Panel, concise, coordinates, draw_stack
from da4dvar.evaluation.report.part import Part, with_units
from da4dvar.evaluation.report.series import draw_lines
from da4dvar.workflows.report.outcome import LEVEL, Outcome, counted

# Steps around a gap in a figure: as many as it has, within these.
AROUND = (15, 100)
HALF = f"half of the {100 * LEVEL:.0f} % interval"
NOTHING = "No value was filled in."


def example_parts(one: Outcome) -> list[Part]:
    """Return the parts with maps and series of a typical and of the worst gap."""
    parts = map_parts(one) if len(one.shape.space) == 2 else []
    if not one.lazy:
        return [*parts, series_part(one)]
    said = "The data did not fit in --memory, so that no series around gaps are shown."
    return [*parts, Part("series", "Series through a gap", [said])]


def map_parts(one: Outcome) -> list[Part]:
    """Draw a grid at a typical time, and at the one with the widest intervals."""
    space = list(one.shape.space)
    count = one.new.sum(space).compute()
    if not bool((count > 0).any()):
        return [Part("map", "Before and after", [NOTHING])]
    half = None if one.lazy else one.half
    rank = (count if half is None else half.mean(space)).transpose(*count.dims).values.ravel()
    number = count.values.ravel()
    # Of times with equal intervals, the one with more filled cells is the worse.
    order = np.lexsort((number, rank))
    able = order[(number >= np.median(number[number > 0]) / 2)[order]]
    typical, worst = int(able[able.size // 2]), int(able[-1])
    measure = "the number of filled cells" if half is None else "the mean width of the intervals"
    parts = []
    for title, chosen, reason in (
        ("A typical time", typical, f"{measure} is the median of all times"),
        ("The worst time", worst, f"{measure} is the largest of all times"),
    ):
        where = np.unravel_index(chosen, count.shape)
        at = {str(d): int(k) for d, k in zip(count.dims, where, strict=True)}
        parts.append(map_part(one, at, title, reason))
    return parts[:1] if typical == worst else parts


def map_part(one: Outcome, at: Mapping[str, int], title: str, reason: str) -> Part:
    """Draw a grid at one time: the observations, the filled field and the width of its intervals."""
    space = list(one.shape.space)

    def cut(array: xr.DataArray) -> xr.DataArray:
        thin = {d: slice(None, None, -(-array.sizes[d] // FINEST)) for d in space}
        return array.isel(at).isel(thin).transpose(*space).compute()

    seen, filled, beyond = cut(one.seen), cut(one.filled), cut(one.beyond)
    low, high = shared_range([seen, filled])
    label = with_units(one.name, one.units)
    panels = [
        Panel("before", seen, FIELD_COLOURS, low, high, label),
        Panel("after", filled, FIELD_COLOURS, low, high, label, beyond),
    ]
    if one.half is not None:
        half = cut(one.half)
        panels.append(Panel(HALF, half, SPREAD_COLOURS, *shared_range([half]), with_units("±", one.units)))
    where = words_in(one.seen, at)
    text = f"Shown: {where}; {reason}. Cells without a value are grey."
    if beyond.any():
        text += " Crosses mark flag 3."
    alt = f"Maps of {one.name} before and after filling: {where}."
    return Part("map", title, [text], (), draw_stack(panels, where), alt)


@dataclass(frozen=True)
class Gap:
    """A gap of one series: its place, its first step, and the step after its last."""

    place: dict[str, int]
    first: int
    stop: int

    @property
    def steps(self) -> int | slice:
        """Index of the steps along time."""
        return self.first if self.stop == self.first + 1 else slice(self.first, self.stop)


def series_part(one: Outcome) -> Part:
    """Draw the series around a gap of typical length, and around the one with the widest interval."""
    from matplotlib.figure import Figure

    chosen = typical_and_worst(one)
    if not chosen:
        return Part("series", "Series through a gap", [NOTHING])
    figure = Figure(figsize=(5, 2.3 * len(chosen) + 0.5), layout="constrained")
    axes = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
    said, named = [], {}
    for axis, (title, gap) in zip(axes, chosen.items(), strict=True):
        pad = int(np.clip(gap.stop - gap.first, *AROUND))
        window = slice(max(0, gap.first - pad), min(one.seen.sizes[one.time], gap.stop + pad))
        here = gap.place | {one.time: window}
        filled = one.filled.isel(here)
        # Where there is an observation, the shade has no width: gaps of one step are seen as well.
        ends = one.ends and tuple(end.where(one.new, one.filled).isel(here) for end in one.ends)
        draw_lines(axis, filled, ends, one.seen.isel(here))
        times, far = coordinates(filled)[0], filled.where(one.beyond.isel(here))
        if far.notnull().any():
            axis.plot(times.values, far.values, "x", color="black", ms=4, label="flag 3")
        place = words_in(one.seen, gap.place)
        axis.set_title(f"{title}: {place}" if place else title, fontsize="small")
        axis.set_ylabel(with_units(one.name, one.units))
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize="small")
        concise(axis, times)
        named |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        steps = counted(gap.stop - gap.first, "step")
        said.append(f"{title}: {steps} ({words_in(one.seen, gap.place | {one.time: gap.steps})}).")
    axes[-1].set_xlabel(labelled(times, one.time))
    figure.legend(named.values(), named, loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    shade = f"The {100 * LEVEL:.0f} % interval is shaded."
    text = " ".join([*said, "A direction has no interval." if one.ends is None else shade])
    alt = f"Series of {one.name} before and after filling. {text}"
    return Part("series", "Series through a gap", [text], (), figure, alt)


def typical_and_worst(one: Outcome) -> dict[str, Gap]:
    """Choose the gap of median length over all filled values, and the one with the widest interval.

    Returns
    -------
    dict of str to Gap
        Keyed by title; one gap if both are the same, and none if nothing was filled in.
    """
    at = np.argwhere(one.new.values)
    if not len(at):
        return {}
    index = tuple(at.T)
    length, ends = one.length[index], one.open[index]
    width = length.astype(float) if one.half is None else np.nan_to_num(one.half.values[index])
    usual = length == np.sort(length)[length.size // 2]
    usual = usual & ~ends if (usual & ~ends).any() else usual
    typical = np.argmin(np.where(usual, np.abs(width - np.median(width[usual])), np.inf))
    worst = np.argmax(np.where(width >= width.max() * (1 - 1e-6), length, -1))
    hard = "The longest gap" if one.half is None else "The gap with the widest interval"
    found = {"A typical gap": gap_at(one, at[typical]), hard: gap_at(one, at[worst])}
    return found if found["A typical gap"] != found[hard] else {hard: found[hard]}


def gap_at(one: Outcome, where: np.ndarray) -> Gap:
    """Return the gap that holds the missing value with the given index along each dimension."""
    place = {str(d): int(k) for d, k in zip(one.seen.dims, where, strict=True)}
    step = place.pop(one.time)
    seen = np.flatnonzero(one.observed.isel(place).values)
    around = np.searchsorted(seen, step)
    first = int(seen[around - 1]) + 1 if around > 0 else 0
    return Gap(place, first, int(seen[around]) if around < seen.size else one.seen.sizes[one.time])
