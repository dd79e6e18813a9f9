"""The page: what was in the file, what was chosen and why, the result, and where to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr

from da4dvar.evaluation.report.example import words_in
from da4dvar.evaluation.report.page import page, versions
from da4dvar.evaluation.report.part import Part, Table, number, percent
from da4dvar.workflows.report.examples import example_parts
from da4dvar.workflows.report.gaps import gaps_part
from da4dvar.workflows.report.methods import methods_part
from da4dvar.workflows.report.outcome import Outcome
from da4dvar.workflows.report.trust import trust_part

# Largest number of variables that have figures, and of bytes, so that the page can be sent by e-mail.
DRAWN, LARGEST = 6, 2_900_000
# Largest number of files that are named.
LISTED = 6


@dataclass(frozen=True)
class Run:
    """What a report says about the run.

    Attributes
    ----------
    inputs : sequence of str
        Names of the files read.
    output : str
        Name of the file written.
    command : str
        Command line.
    minutes, seconds : float
        Time allowed in minutes, and time taken up to the report in seconds.
    notes : sequence of str
        What the run found, guessed and left out.
    carried : mapping of str to str
        Variables that were copied, and why.
    """

    inputs: Sequence[str]
    output: str
    command: str
    minutes: float
    seconds: float
    notes: Sequence[str] = ()
    carried: Mapping[str, str] = field(default_factory=dict)


def report_of(ds: xr.Dataset, outcomes: Sequence[Outcome], time: str, run: Run) -> str:
    """Return the page about a run.

    Parameters
    ----------
    ds : Dataset
        Data with gaps.
    outcomes : sequence of Outcome
        Variables that were filled.
    time : str
        Name of the time dimension.
    run : Run
        Files, command, time and notes.

    Returns
    -------
    str
        HTML that refers to no other file.
    """
    about = []
    for place, one in enumerate(outcomes):
        examples = example_parts(one) if place < DRAWN else []
        parts = [gaps_part(one), methods_part(one.comparison), *examples, trust_part(one)]
        about.append((one.title, parts))
    for drawn in range(min(DRAWN, len(outcomes)), -1, -1):
        opening = [short_part(outcomes, drawn), file_part(ds, outcomes, time, run)]
        last = made_part(run)
        bare = [(title, [replace(p, figure=None) for p in parts]) for title, parts in about[drawn:]]
        sections = [*((p.title, [p]) for p in opening), *about[:drawn], *bare, (last.title, [last])]
        text = page(f"Report on {Path(run.output).name}", sections)
        if len(text.encode()) < LARGEST:
            break
    return text


def short_part(outcomes: Sequence[Outcome], drawn: int) -> Part:
    """Return the table with one row for each variable; `drawn` of them have figures."""
    if not outcomes:
        return Part("short", "In short", ["No variable had gaps that could be filled; all were copied."])
    rows = []
    for one in outcomes:
        found = one.comparison
        error, spread = found.rmse[found.winner]
        missing = one.missing / (one.seen.size - one.counts["never"])
        beyond = one.counts["beyond_scored"] / one.filled_in if one.filled_in else np.nan
        expected = f"{number(error)} ± {number(spread)} {one.units}".strip()
        rows.append(
            [one.name, found.winner, expected, percent(missing), f"{one.filled_in:,}", percent(beyond)]
        )
    head = ["variable", "filled by", "expected error", "missing", "values filled", "with flag 3"]
    text = [
        "The expected error is the root mean square error at observed points hidden from the method. "
        "Values with flag 3 are in longer gaps, or farther from observations, than any hidden point; do not "
        "rely on them without a check."
    ]
    if drawn < len(outcomes):
        text.append(
            f"Figures are shown for {drawn} of {len(outcomes)} variables; choose others with --variable."
        )
    return Part("short", "In short", text, [Table(head, rows)])


def file_part(ds: xr.Dataset, outcomes: Sequence[Outcome], time: str, run: Run) -> Part:
    """Return the part about the file, and what the run found in it."""
    names = [Path(file).name for file in run.inputs]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    rows = [
        ["files", f"{', '.join(names[:LISTED])}{more}"],
        ["dimensions", ", ".join(f"{d} {n}" for d, n in ds.sizes.items())],
        [str(time), words_in(ds[time], {time: slice(None)}).removeprefix(f"{time} ")],
        ["filled", ", ".join(one.name for one in outcomes) or "nothing"],
    ]
    if run.carried:
        rows.append(["kept as they are", ", ".join(f"{n} ({why})" for n, why in run.carried.items())])
    rows += [["note", line] for line in run.notes]
    text = (
        "The notes are what was found, guessed or changed. Check the guesses before you use the result."
        if run.notes
        else "Nothing in the file was suspicious, and nothing had to be guessed or changed."
    )
    return Part("file", "What was in the file", [text], [Table([], rows, words=True)])


def made_part(run: Run) -> Part:
    """Return the part with the command, the time and the versions."""
    rows = [
        ["command", run.command],
        ["time", f"{run.seconds:.0f} s of the {60 * run.minutes:.0f} s allowed, without this page"],
        ["versions", versions("scipy", "torch")],
    ]
    return Part("made", "How it was made", (), [Table([], rows, words=True)])
