"""Joint samples: their rank histogram, and the coverage of intervals of means over boxes and periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.report.part import Part, Table, percent
from da4dvar.evaluation.scores import boxes_of
from da4dvar.fields.scores.ensembles import rank_histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10


def samples_part(one: Comparison) -> Part:
    """Return the part about the joint samples of a variable, or a line of text if it has none."""
    title = "Joint samples"
    if one.samples is None:
        said = f"The estimate has no samples, {one.name}_samples; da4dvar interpolate --samples 50 adds them."
        return Part("samples", title, [said])
    ranks = rank_histogram(one.samples, one.truth.where(one.scored), BINS)
    text = [
        "The rank of a true value is the number of samples below it. For samples that are as uncertain as "
        "they say, all ranks are equally frequent. High ends of the histogram mean that the samples vary too "
        "little, a high middle that they vary too much. The same cells are scored as for the reliability of "
        "the error bars.",
    ]
    tables = []
    if boxes := boxes_of(one):
        text.append(
            "The table gives the part of the true means over boxes of cells and periods that are in the 90 % "
            "interval of the means of the samples. Boxes without an unobserved cell are not scored."
        )
        periods = next(iter(boxes.values()))
        rows = [[box, *(percent(c) for c in found.values())] for box, found in boxes.items()]
        tables = [Table(["cells", *periods], rows)]
    return Part("samples", title, text, tables, draw_ranks(one.title, ranks))


def draw_ranks(name: str, ranks: np.ndarray) -> Figure:
    """Plot the frequencies of the ranks, with a line where all would be."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    figure.suptitle(f"{name}: rank of the truth among the samples", fontsize="medium")
    axis = figure.subplots()
    middle = (np.arange(ranks.size) + 0.5) / ranks.size
    axis.bar(middle, 100 * ranks, 0.9 / ranks.size, color="#3182bd")
    axis.axhline(100 / ranks.size, color="0.4", lw=1)
    axis.set(xlim=(0, 1), xlabel="rank / number of samples", ylabel="true values [%]")
    return figure
