"""Labelled arrays as channels of a tensor, as a layout describes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from da4dvar.layout import Layout


@dataclass(frozen=True)
class Entries:
    """What stands along ``variable`` in a field: observations, then the first guess, then covariates.

    Parameters
    ----------
    observed : int
        Observed entries: one for each variable of the state, or for each sensor.
    first : sequence of int, optional
        For each variable of the state, the first of the sensors that see it; without sensors, all in order.
    guess : bool
        Whether a first guess of each variable of the state follows.
    covariates : mapping of str to collection of str
        The covariates that follow, and the dimensions that each has by itself.

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
        """The variables of the state, which are estimated."""
        return self.observed if self.first is None else len(self.first)

    @property
    def telling(self) -> int:
        """The entries that are a reason to solve a window: all but the covariates, which are everywhere."""
        return self.observed + (self.sought if self.guess else 0)

    def split(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Observations, first guess and covariates of windows, shape ``(window, entry, *cells)``."""
        y, guess, covariates = np.split(windows, [self.observed, self.telling], axis=1)
        return y, guess if self.guess else None, covariates


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
    for covariate, dims in zip(window, own, strict=True):
        at = tuple(slice(None) if d in dims or d in layout.axes else slice(1) for d in layout.dims)
        folded.append(covariate[at].reshape(-1, *covariate.shape[len(layout.channels) :]))
    return np.concatenate(folded)
