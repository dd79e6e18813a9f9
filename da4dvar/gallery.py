"""Many small images side by side: a column a sample, a row a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.plots import FIELD_COLOURS, NOTHING, shared_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gallery(fields: Mapping[str, xr.DataArray], title: str) -> Figure:
    """Images of several samples, each row on the colours of the first; the gaps are grey.

    Parameters
    ----------
    fields : mapping of str to DataArray, dims (sample, y, x)
        By the name of their row; y counts downwards.
    title : str
        Above all of them.

    Returns
    -------
    Figure
        To be written with its ``savefig``.

    Examples
    --------
    >>> digits = xr.DataArray(np.zeros((5, 28, 28)), dims=("sample", "y", "x"))
    >>> len(gallery({"truth": digits, "seen": digits.where(digits > 0)}, "Five digits").axes)
    10
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    columns = len(next(iter(fields.values())))
    figure = Figure(figsize=(columns * 0.95 + 1.8, len(fields) * 0.95 + 0.5), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(len(fields), columns, squeeze=False)
    low, high = shared_range([next(iter(fields.values()))])
    cmap = colormaps[FIELD_COLOURS].with_extremes(bad=NOTHING)
    for row, (name, images) in zip(axes, fields.items(), strict=True):
        for axis, image in zip(row, images.values, strict=True):
            axis.imshow(np.ma.masked_invalid(image), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure
