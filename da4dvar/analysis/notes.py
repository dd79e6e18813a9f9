"""Warnings and history lines for an interpolated data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

import xarray as xr

from da4dvar.analysis.model import Model
from da4dvar.errors import warn
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.output import unreached


def credit(model: Model, done: str = "interpolated") -> str:
    """Return the history line that names the model and what was done with it."""
    names, title = ", ".join(model.layout.variables), model.provenance.get("title")
    by = f"by the model {title!r}" if title else "by an unnamed model"
    return f"da4dvar {version('da4dvar')}: {names} {done} {by}"


def report(
    notes: Iterable[str], conformed: Conformed, terms: xr.DataArray, filled: xr.Dataset, time: str
) -> None:
    """Warn with notes and about windows without observations, at the line of the user's call."""
    for note in notes:
        warn(note)
    if terms.chunks is not None or not (empty := int(terms.isel(term=0).isnull().sum())):
        return
    runs = {
        name: unreached(filled[f"{name}_flag"], str(theirs))
        for name, source in conformed.sources.items()
        if (theirs := conformed.dims.get(time)) in source.dims
    }
    warn_of_gaps(empty, terms.isel(term=0).size, runs)


def warn_of_gaps(empty: int, windows: int, runs: Mapping[str, tuple[int, int]]) -> None:
    """Warn about windows without observations, and say what became of their cells.

    Parameters
    ----------
    empty, windows : int
        Number of windows without observations, and of all windows.
    runs : mapping of str to tuple of int
        Number of values of each variable that are missing for this reason, and their longest run in steps.

    Warns
    -----
    Da4dvarWarning
        With both numbers.
    """
    said = "other windows reach all of their cells"
    for name, (count, longest) in runs.items():
        if count:
            said = f"{count} values of {name!r}, up to {longest} steps together, are NaN and have flag 2"
    warn(f"{empty} of {windows} windows hold no observation; {said}")
