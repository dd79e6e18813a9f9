"""Parts of a report: a title with text, tables and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column names the row. Cells with `words` hold sentences."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Part:
    """A heading with the text, tables and figure below it.

    Attributes
    ----------
    kind : str
        One word for the file name of the figure, such as "map".
    title : str
        Text of the heading.
    text : sequence of str
        Paragraphs.
    tables : sequence of Table
        Tables, shown after the text.
    figure : Figure, optional
        Matplotlib figure, shown after the tables.
    alt : str
        Description of the figure for those who cannot see it; by default its title.
    """

    kind: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = field(default_factory=tuple)
    figure: Figure | None = None
    alt: str = ""


def number(value: float, digits: int = 3) -> str:
    """Format a number for a table; a dash if it is not finite.

    Examples
    --------
    >>> [number(v) for v in (0.123456, 12345.6, float("nan"), -0.0004)]
    ['0.123', '12346', '–', '-0.0004']
    """
    if not np.isfinite(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def percent(value: float) -> str:
    """Format a fraction as a percentage; a dash if it is not finite."""
    return f"{100 * value:.1f} %" if np.isfinite(value) else "–"


def with_units(name: str, units: str) -> str:
    """Return a name followed by its units in brackets, if it has any."""
    return f"{name} [{units}]" if units else name
