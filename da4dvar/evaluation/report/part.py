"""What a report is made of: parts with text, tables and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Part:
    """A heading with what stands below it.

    Attributes
    ----------
    kind : str
        One word for the name of a file, such as "map".
    title : str
    text : sequence of str
        Paragraphs.
    tables : sequence of Table
    figure : Figure, optional
    """

    kind: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = field(default_factory=tuple)
    figure: Figure | None = None


def number(value: float, digits: int = 3) -> str:
    """A number as a table shows it; a dash where there is none.

    Examples
    --------
    >>> [number(v) for v in (0.123456, 12345.6, float("nan"), -0.0004)]
    ['0.123', '12346', '–', '-0.0004']
    """
    if not np.isfinite(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def percent(value: float) -> str:
    """A part of one in per cent; a dash where there is none."""
    return f"{100 * value:.1f} %" if np.isfinite(value) else "–"


def with_units(name: str, units: str) -> str:
    """A name with its units, if it has some."""
    return f"{name} [{units}]" if units else name
