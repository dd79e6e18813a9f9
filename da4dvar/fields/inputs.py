"""Network inputs of windows: y, Ω, x(0) and c. All callers build them with this module."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from da4dvar.fields.channels import Entries, fold, to_channels
from da4dvar.fields.initial import start
from da4dvar.layout import Layout


class Inputs(NamedTuple):
    """Network inputs y, Ω, x(0) and c, each of shape ``(window, channel, *axes)``.

    Attributes
    ----------
    y : array of float32
        Observations, zero outside Ω.
    mask : array of bool
        Ω, true where observed.
    x0 : array of float32
        Initial state x(0).
    covariates : array of float32 or None
        Covariates c, or None if there are none.
    """

    y: np.ndarray
    mask: np.ndarray
    x0: np.ndarray
    covariates: np.ndarray | None


def inputs_of(windows: np.ndarray, entries: Entries, layout: Layout, initial: str, time: str) -> Inputs:
    """Return the network inputs for windows of a normalised field.

    Parameters
    ----------
    windows : array, shape ``(window, entry, *layout.dims)``
        Windows, NaN where not observed or where the first guess is missing.
    entries : Entries
        Meaning of the entries.
    layout : Layout
        Layout of the state.
    initial : {"zero", "observed", "linear"}
        Initial state if there is no first guess; see :func:`da4dvar.fields.initial.start`.
    time : str
        Name of the time dimension.

    Returns
    -------
    Inputs

    Examples
    --------
    >>> window = np.array([[[np.nan, 2.0, np.nan]]], dtype="float32")
    >>> found = inputs_of(window, Entries(1), Layout(["x"], axes=["time"]), "linear", "time")
    >>> found.mask, found.x0
    (array([[[False,  True, False]]]), array([[[2., 2., 2.]]], dtype=float32))
    """
    y, guess, covariates = entries.split(windows)
    axis = layout.dims.index(time) + 2 if time in layout.dims else None
    of_state = slice(None) if entries.first is None else list(entries.first)
    x0 = start(y[:, of_state], initial, axis) if guess is None else np.nan_to_num(guess)
    mask = np.isfinite(y)
    y, mask, x0 = (np.stack([to_channels(w, layout) for w in a]) for a in (np.where(mask, y, 0), mask, x0))
    own = list(entries.covariates.values())
    c = np.stack([fold(w, own, layout) for w in covariates]) if own else None
    return Inputs(y.astype("float32"), mask, x0.astype("float32"), c)
