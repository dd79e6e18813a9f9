"""What would be filled in a data set, what would not and why, and what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from da4dvar.errors import DataError, first_line
from da4dvar.fields.files.opening import in_parts
from da4dvar.fields.gaps.geometry import missing_run
from da4dvar.fields.intake.take import take_in
from da4dvar.fields.labels.cf import is_dates, spacing
from da4dvar.modelfile.summary import in_words

# Number of time steps that are read at once.
STEPS = 64


def filling_of(ds: xr.Dataset, dim: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe what ``da4dvar interpolate`` would do with a data set, without filling it.

    Parameters
    ----------
    ds : Dataset
        Data set as opened.
    dim : mapping of str to str, optional
        Maps ``time`` to the name of the time dimension in `ds`.

    Returns
    -------
    dict
        Entries ``would_be_filled`` and ``not_filled``, which map names of variables to a line of text, and
        ``remarks``, a list of what was changed on reading or looks wrong. An entry ``error`` says why
        nothing can be filled.

    Examples
    --------
    >>> import numpy as np
    >>> ds = xr.Dataset({"tas": ("time", [280.0, np.nan, 281.0]), "tas_qc": ("time", [0, 1, 0])})
    >>> filling_of(ds)["would_be_filled"]
    {'tas': '33.3 % missing, the longest gap 1 step'}
    """
    notes: list[str] = []
    try:
        taken = take_in(in_parts(ds), dim=dim, say=notes.append)
    except DataError as error:
        return {"error": str(error)}
    except Exception as error:  # damaged files raise many kinds of errors in the libraries
        return {"error": f"the data cannot be read ({first_line(error)})"}
    notes = [note for note in notes if not note.startswith("not filled")]
    filled: dict[str, str] = {}
    others: dict[str, str] = {}
    for name in taken.fields:
        text, has_gaps = gaps_of(taken.data[name], taken.time)
        (filled if has_gaps else others)[name] = text
    return {"would_be_filled": filled, "not_filled": others | taken.carried, "remarks": notes}


def gaps_of(array: xr.DataArray, time: str) -> tuple[str, bool]:
    """Describe the gaps of a field; also return whether there is a gap that can be filled."""
    missing = array.isnull()
    by_cell = missing.sum(time).values
    never = int((by_cell == array.sizes[time]).sum())
    cells = f"{never} of {by_cell.size} cells are never observed" if never else ""
    count, longest = missing_run(missing, time, True, STEPS)
    if not count:
        return ("it holds no value" if never == by_cell.size else cells or "no gaps"), False
    step = spacing(array[time]) if time in array.coords and is_dates(array[time]) else None
    of = f" of {in_words(step, True)}" if step else ""
    share = 100 * count / array.size
    said = f"{share:.1f} % missing" if share >= 0.05 else f"{count} of {array.size} values missing"
    said += f", the longest gap {longest} step{'s' if longest > 1 else ''}{of}"
    return (f"{said}; {cells}" if cells else said), True
