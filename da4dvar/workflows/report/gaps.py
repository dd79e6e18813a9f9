"""What a variable was like before it was filled: how much was missing, when, where and for how long."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.evaluation.report.example import words_in
from da4dvar.evaluation.report.part import Part, percent
from da4dvar.workflows.report.outcome import Outcome, counted
from da4dvar.workflows.report.shares import draw_shares


def gaps_part(one: Outcome) -> Part:
    """Return the part about the gaps of a variable."""
    never, steps = one.counts["never"], one.seen.sizes[one.time]
    total = one.seen.size - never
    text = [
        f"{one.missing:,} of {total:,} values were missing ({percent(one.missing / total)}), at positions "
        "that were observed at some time."
    ]
    if never:
        text.append(
            f"{never // steps:,} of {one.seen.size // steps:,} positions were never observed, such as land; "
            "they stay empty."
        )
    ever = xr.ones_like(one.observed) & one.observed.any(one.time)
    text.append(
        "The data did not fit in --memory, so that the lengths of their gaps are not listed."
        if one.lazy
        else lengths(one, ever)
    )
    below = ("", "; below, by place and time", "; below, at each place over all times")[len(one.shape.space)]
    grey = " Places that were never observed are grey." if never and one.shape.space else ""
    text.append(f"The figure shows the share that was observed at each time{below}.{grey}")
    figure = draw_shares(one, one.observed, ever, "observed [%]")
    by = "time and by place" if one.shape.space else "time"
    return Part(
        "gaps", "Gaps in the file", text, (), figure, f"Share of {one.name} observed, by {by}. {text[0]}"
    )


def lengths(one: Outcome, ever: xr.DataArray) -> str:
    """Describe the number and the lengths of the gaps of the positions that were observed at some time."""
    at = (one.length > 0) & ever.values
    found = np.sort(one.length[at])
    # A gap of n steps has n values.
    gaps = round(float(np.sum(1 / found)))
    where = dict(zip(map(str, one.seen.dims), np.argwhere(at & (one.length == found[-1]))[0], strict=True))
    first = int(where[one.time])
    longest = words_in(one.seen, {one.time: slice(first, first + int(found[-1]))})
    return (
        f"There {'is' if gaps == 1 else 'are'} {counted(gaps, 'gap')} in time; half of the missing values "
        f"are in gaps of up to {counted(int(found[found.size // 2]), 'step')}. The longest has "
        f"{counted(int(found[-1]), 'step')} ({longest})."
    )
