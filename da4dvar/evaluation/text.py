"""Scores as text tables."""

from __future__ import annotations

from collections.abc import Mapping

from da4dvar.evaluation.report.page import table_html
from da4dvar.evaluation.report.part import Table

COLUMNS = {
    "rmse": "RMSE",
    "bias": "bias",
    "r_score": "R-score",
    "correlation": "correlation",
    "crps": "CRPS",
    "spread_skill": "spread/skill",
    "coverage_50": "in 50 %",
    "coverage_90": "in 90 %",
    "energy": "energy",
    "variogram": "variogram",
}
# Key of the coverage of means over boxes, which are no scores of cells.
BOXES = "boxes"


class Scores(dict[str, dict[str, dict[str, float]]]):
    """Scores by variable and kind of cell; a dict that a notebook displays as a table."""

    def _repr_html_(self) -> str:
        head, *rows = rows_of(self)
        return table_html(Table(head, rows))


def table_of(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Format scores as a text table with one line for each variable and kind of cell.

    Parameters
    ----------
    table : dict
        Scores as returned by :func:`evaluate_files`.

    Returns
    -------
    str
        The table; a score that no variable has gets no column. The coverage of means over boxes and periods
        follows in a second table, if there is any.

    Examples
    --------
    >>> print(table_of({"sst": {"all": {"cells": 3, "rmse": 0.5, "bias": 0.5}}}))
    variable  cells  number  RMSE  bias
    sst       all         3   0.5   0.5
    """
    text = as_columns(rows_of(table))
    boxes = {name: nested(parts[BOXES]) for name, parts in table.items() if BOXES in parts}
    return f"{text}\n\n{boxes_table(boxes)}" if boxes else text


def rows_of(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    """Return the header and the rows of a table of scores; a score that no variable has gets no column."""
    columns = {key: title for key, title in COLUMNS.items() if _any_has(table, key)}
    rows = [
        [name, part, f"{s['cells']:.0f}"] + [f"{s[k]:.4g}" if k in s else "" for k in columns]
        for name, parts in table.items()
        for part, s in parts.items()
        if part != BOXES
    ]
    return [["variable", "cells", "number", *columns.values()], *rows]


def nested(boxes: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the coverage of boxes by box and period.

    Examples
    --------
    >>> nested({"2 x 2, 1 day": 0.9, "2 x 2, 7 days": 0.8})
    {'2 x 2': {'1 day': 0.9, '7 days': 0.8}}
    """
    out: dict[str, dict[str, float]] = {}
    for key, value in boxes.items():
        box, _, period = key.partition(", ")
        out.setdefault(box, {})[period] = value
    return out


def boxes_table(boxes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Format the coverage of intervals of box means as a text table, with one line for each variable and box.

    Examples
    --------
    >>> print(boxes_table({"sst": {"2 x 2": {"1 day": 0.9, "7 days": 0.875}}}))
    in 90 %  box    1 day  7 days
    sst      2 x 2   0.90    0.88
    """
    periods = next(iter(next(iter(boxes.values())).values()))
    rows = [
        [name, box, *(f"{c:.2f}" if c == c else "" for c in found.values())]
        for name, own in boxes.items()
        for box, found in own.items()
    ]
    return as_columns([["in 90 %", "box", *periods], *rows])


def _any_has(table: Mapping[str, Mapping[str, Mapping[str, float]]], key: str) -> bool:
    return any(key in s for parts in table.values() for s in parts.values())


def as_columns(rows: list[list[str]], left: int = 2) -> str:
    """Align the columns of rows of text: the first `left` to the left, the others to the right."""
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            c.ljust(w) if k < left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
