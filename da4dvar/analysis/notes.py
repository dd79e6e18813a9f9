"""Warnings and history lines for an interpolated data set."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import xarray as xr

from da4dvar.analysis.model import Model
from da4dvar.errors import warn
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.output import unreached


def credit(model: Model) -> str:
    """Return the history line that names the model."""
    names, title = ", ".join(model.layout.variables), model.provenance.get("title")
    by = f"by the model {title!r}" if title else "by an unnamed model"
    return f"da4dvar {version('da4dvar')}: {names} interpolated {by}"


def report(
    notes: Iterable[str], conformed: Conformed, terms: xr.DataArray, filled: xr.Dataset, time: str
) -> None:
    """Warn with notes and about windows without observations, at the line of the user's call."""
    for note in notes:
        warn(note)
    if terms.chunks is not None or not (empty := int(terms.isel(term=0).isnull().sum())):
        return
    said = "other windows reach all of their cells"
    for name, source in conformed.sources.items():
        if (theirs := conformed.dims.get(time)) in source.dims:
            count, longest = unreached(filled[f"{name}_flag"], str(theirs))
            if count:
                said = f"{count} values of {name!r}, up to {longest} steps together, are NaN and have flag 2"
    warn(f"{empty} of {terms.isel(term=0).size} windows hold no observation; {said}")
