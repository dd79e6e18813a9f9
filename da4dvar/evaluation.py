"""Scores of one file against another."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from da4dvar.errors import DataError, nearest
from da4dvar.fields.conform import pick
from da4dvar.fields.metrics import scores
from da4dvar.fields.store import load_dataset

Scores = dict[str, dict[str, dict[str, float]]]


def evaluate_files(
    estimate: str, truth: str, observed: str | None = None, variable: Mapping[str, str] | None = None
) -> Scores:
    """Scores of every variable that both files have; see :func:`da4dvar.fields.metrics.scores`.

    Parameters
    ----------
    estimate, truth : str
        Paths of data sets on the same coordinates.
    observed : str, optional
        Path of the data set with gaps, for scores of observed and unobserved cells apart.
    variable : mapping of str to str, optional
        The name of a variable in `observed`, where it is another.

    Raises
    ------
    DataError
        If the files have no variable, or no coordinates, in common.
    """
    guess, true = load_dataset(estimate), load_dataset(truth)
    gappy = None if observed is None else load_dataset(observed)
    common = [str(n) for n in guess.data_vars if n in true.data_vars and not str(n).endswith("_flag")]
    if not common:
        raise DataError(
            f"{estimate} and {truth} have no variable in common "
            f"({', '.join(map(str, guess.data_vars))} against {', '.join(map(str, true.data_vars))}); "
            "rename one of them"
        )
    for name in variable or {}:
        if name not in common:
            raise DataError(f"--variable {name}: no such variable to score; {nearest(name, common)}")
    table = {}
    for name in common:
        seen = None
        if gappy is not None:
            seen = pick(gappy, (variable or {}).get(name, name))
        table[name] = scores(*aligned(guess[name], true[name], seen))
    return table


def aligned(
    estimate: xr.DataArray, truth: xr.DataArray, gappy: xr.DataArray | None
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """All of them on the coordinates of the estimate."""
    others = [truth] if gappy is None else [truth, gappy]
    for other in others:
        if set(other.dims) != set(estimate.dims):
            raise DataError(
                f"variable {estimate.name!r} has dimensions {', '.join(map(str, estimate.dims))} in "
                f"one file and {', '.join(map(str, other.dims))} in another; rename them alike"
            )
    try:
        joined = xr.align(estimate, *others, join="inner")
    except ValueError as error:
        raise DataError(f"variable {estimate.name!r}: {str(error).splitlines()[0]}") from error
    if joined[0].size == 0:
        raise DataError(
            f"the files have no coordinates in common for {estimate.name!r}; "
            "check that they cover the same times and places"
        )
    observed = None if gappy is None else joined[2].notnull().transpose(*estimate.dims)
    return joined[0], joined[1].transpose(*estimate.dims), observed


def table_of(scores_of: Scores) -> str:
    """A table for reading: a line for each variable and kind of cell."""
    head = ["variable", "cells", "number", "RMSE", "bias", "R-score", "correlation"]
    rows = [
        [name, part, f"{s['cells']:.0f}"]
        + [f"{s[k]:.4g}" for k in ("rmse", "bias", "r_score", "correlation")]
        for name, parts in scores_of.items()
        for part, s in parts.items()
    ]
    return as_columns([head, *rows])


def as_columns(rows: list[list[str]]) -> str:
    """Rows of text with their columns lined up."""
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
