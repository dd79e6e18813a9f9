"""Conversion of labelled arrays to the tensor channels that a layout describes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from da4dvar.layout import Layout


@dataclass(frozen=True)
class Entries:
    """Entries along ``variable`` of a field: observations, then the first guess, then covariates.

    Parameters
    ----------
    observed : int
        Number of observed entries: one for each state variable, or one for each sensor.
    first : sequence of int, optional
        Index of the first sensor of each state variable. Not given without sensors.
    guess : bool
        Whether a first guess of each state variable follows the observations.
    covariates : mapping of str to collection of str
        Names of the covariates that follow, and the dimensions of each before broadcasting.

    Examples
    --------
    >>> entries = Entries(observed=2, guess=True, covariates={"depth": ["lat", "lon"]})
    >>> entries.sought, entries.telling
    (2, 4)
    """

    observed: int
    first: Sequence[int] | None = None
    guess: bool = False
    covariates: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def sought(self) -> int:
        """Number of state variables, which are estimated."""
        return self.observed if self.first is None else len(self.first)

    @property
    def telling(self) -> int:
        """Number of entries that give a reason to solve a window: all but the covariates."""
        return self.observed + (self.sought if self.guess else 0)

    def split(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Split windows, shape ``(window, entry, *cells)``, into observations, first guess and covariates."""
        y, guess, covariates = np.split(windows, [self.observed, self.telling], axis=1)
        return y, guess if self.guess else None, covariates


def to_channels(window: np.ndarray, layout: Layout) -> np.ndarray:
    """Fold an array of shape ``(variable, *channels, *axes)`` to ``(channel, *axes)``."""
    return window.reshape(-1, *window.shape[1 + len(layout.channels) :])


def stack_variables(ds: xr.Dataset, layout: Layout) -> xr.DataArray:
    """Stack the layout's variables into one array with dims ``(variable, *batch, *layout.dims)``."""
    arrays = [ds[name].drop_attrs() for name in layout.variables]
    stacked = xr.concat(arrays, "variable", coords="minimal", compat="override")
    batch = [d for d in stacked.dims if d not in ("variable", *layout.dims)]
    return stacked.transpose("variable", *batch, *layout.dims)


def fold(window: Sequence[np.ndarray], own: Sequence[Collection[str]], layout: Layout) -> np.ndarray:
    """Fold windows of covariates to channels, shape ``(channel, *axes)``.

    Parameters
    ----------
    window : sequence of array, each of shape ``(*layout.dims)``
        One array for each covariate.
    own : sequence of collections of str
        Dimensions of each covariate. A covariate without a folded dimension gets a single channel for it.
    layout : Layout
        Layout of the state.
    """
    folded = []
    for covariate, dims in zip(window, own, strict=True):
        at = tuple(slice(None) if d in dims or d in layout.axes else slice(1) for d in layout.dims)
        folded.append(covariate[at].reshape(-1, *covariate.shape[len(layout.channels) :]))
    return np.concatenate(folded)
