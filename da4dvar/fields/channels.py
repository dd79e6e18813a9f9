"""Labelled arrays as channels of a tensor, as a layout describes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from da4dvar.layout import Layout


def to_channels(window: np.ndarray, layout: Layout) -> np.ndarray:
    """``(variable, *channels, *axes)`` folded to ``(channel, *axes)``."""
    return window.reshape(-1, *window.shape[1 + len(layout.channels) :])


def stack_variables(ds: xr.Dataset, layout: Layout) -> xr.DataArray:
    """The layout's variables as one array, dims ``(variable, *batch, *layout.dims)``."""
    arrays = [ds[name].drop_attrs() for name in layout.variables]
    stacked = xr.concat(arrays, "variable", coords="minimal", compat="override")
    batch = [d for d in stacked.dims if d not in ("variable", *layout.dims)]
    return stacked.transpose("variable", *batch, *layout.dims)


def fold(window: Sequence[np.ndarray], own: Sequence[Collection[str]], layout: Layout) -> np.ndarray:
    """Windows of covariates as channels, shape ``(channel, *axes)``.

    Parameters
    ----------
    window : sequence of array, each of shape ``(*layout.dims)``
    own : sequence of collections of str
        The dimensions of each covariate: a folded one that it lacks gives no channels.
    layout : Layout
    """
    folded = []
    for field, dims in zip(window, own, strict=True):
        at = tuple(slice(None) if d in dims or d in layout.axes else slice(1) for d in layout.dims)
        folded.append(field[at].reshape(-1, *field.shape[len(layout.channels) :]))
    return np.concatenate(folded)
