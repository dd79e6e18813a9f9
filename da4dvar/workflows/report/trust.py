"""Where the filled values can be trusted, and where not."""

from __future__ import annotations

import numpy as np

from da4dvar.evaluation.gap_classes import gap_classes
from da4dvar.evaluation.report.part import Part, Table, number, percent, with_units
from da4dvar.fields.labels.output import FLAGS
from da4dvar.workflows.report.outcome import LEVEL, Outcome
from da4dvar.workflows.report.shares import draw_shares

MEANINGS = {
    "observed": "observed",
    "estimated": "filled, in a gap like those that were hidden for the scores",
    "beyond_scored": "filled, in a longer gap or farther from observations than any hidden point",
    "not_estimable": "empty: never observed, or left empty by a limit",
}


def trust_part(one: Outcome) -> Part:
    """Return the part with the flags of a variable, its errors by length of the gap, and where flag 3 is."""
    counts, found = one.counts, one.comparison
    error, spread = found.rmse[found.winner]
    deviation = float(one.seen.std()) or np.nan
    text = [
        f"Expect an error of {one.said(error)} ± {number(spread)} over all filled values (RMSE at hidden "
        f"points). This is {percent(error / deviation)} of the standard deviation of the observed values; "
        "where it comes near to 100 %, an estimate says little more than the mean does."
    ]
    own = found.by_class[found.winner]
    if len(own) > 1:
        ranked = sorted(own, key=lambda kind: own[kind])
        best, worst = (
            f"{one.said(own[kind])} in gaps {words_of_class(kind)}" for kind in (ranked[0], ranked[-1])
        )
        text.append(f"The error is smallest with {best}, and largest with {worst}.")
    if not one.lazy and one.half is not None and one.filled_in:
        half = one.half.values[one.new.values]
        middle, wide = (one.said(float(np.nanquantile(half, q))) for q in (0.5, 0.9))
        text.append(
            f"The {100 * LEVEL:.0f} % interval is ± {middle} or narrower for half of the filled values, and "
            f"± {wide} or wider for a tenth of them."
        )
    figure, alt = None, ""
    if counts["beyond_scored"]:
        part = f"{percent(counts['beyond_scored'] / one.filled_in)} of the filled values"
        text.append(
            f"Do not rely on the {counts['beyond_scored']:,} values with flag 3 ({part}) without a check of "
            "your own: no hidden point was in so long a gap or so far from observations, so that their "
            "errors and intervals are extrapolated. The figure shows where they are."
        )
        figure = draw_shares(one, one.beyond, one.new, "flag 3 [%]")
        alt = f"Share of the filled values of {one.name} that have flag 3, by time and place."
    elif one.filled_in:
        text.append("No value has flag 3: all gaps are like some that were hidden and scored.")
    flags = [
        [str(FLAGS[key]), f"{counts[key]:,}", percent(counts[key] / one.seen.size), meaning]
        for key, meaning in MEANINGS.items()
    ]
    tables = [Table(["flag", "values", "share", "meaning"], flags, words=True), classes_table(one, deviation)]
    return Part("trust", "Where to trust the result", text, tables, figure, alt)


def words_of_class(kind: str) -> str:
    """Describe a class of gap lengths in words.

    Examples
    --------
    >>> words_of_class("1"), words_of_class("4-7"), words_of_class("open end")
    ('of 1 step', 'of 4-7 steps', 'that are open at an end of the record')
    """
    if kind == "open end":
        return "that are open at an end of the record"
    return f"of {kind} step{'' if kind == '1' else 's'}"


def classes_table(one: Outcome, deviation: float) -> Table:
    """Return the errors at hidden points and, for data in memory, the filled values by length of the gap."""
    own = one.comparison.by_class[one.comparison.winner]
    head = ["gap length [steps]", with_units("RMSE", one.units), "of std. dev."]
    if one.lazy:
        return Table(head, [[kind, number(e), percent(e / deviation)] for kind, e in own.items()])
    new, beyond = one.new.values, one.beyond.values
    head += ["filled", "with flag 3"]
    head += [] if one.half is None else [with_units(f"{100 * LEVEL:.0f} % interval, median ±", one.units)]
    rows = []
    for kind, where in gap_classes(one.length, one.open).items():
        here = where & new
        if not here.any():
            continue
        error = own.get(kind, np.nan)
        row = [kind, number(error), percent(error / deviation), f"{here.sum():,}"]
        row.append(percent(float(beyond[here].mean())))
        row += [] if one.half is None else [number(float(np.nanmedian(one.half.values[here])))]
        rows.append(row)
    return Table(head, rows)
