"""What a network is given of some windows: y, Ω, x(0) and c, made here and nowhere else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from da4dvar.fields.channels import Entries, fold, to_channels
from da4dvar.fields.initial import start
from da4dvar.layout import Layout


class Inputs(NamedTuple):
    """y, Ω, x(0) and c of windows, each of shape ``(window, channel, *axes)``.

    Attributes
    ----------
    y : array of float32
        Zero outside Ω.
    mask : array of bool
        Ω.
    x0 : array of float32
        x(0).
    covariates : array of float32 or None
        c.
    """

    y: np.ndarray
    mask: np.ndarray
    x0: np.ndarray
    covariates: np.ndarray | None


def inputs_of(windows: np.ndarray, entries: Entries, layout: Layout, initial: str, time: str) -> Inputs:
    """The inputs of windows of a normalised field.

    Parameters
    ----------
    windows : array, shape ``(window, entry, *layout.dims)``
        NaN where nothing was observed, or where there is no first guess.
    entries : Entries
        What the entries are.
    layout : Layout
    initial : {"zero", "observed", "linear"}
        x(0), where there is no first guess; see :func:`da4dvar.fields.initial.start`.
    time : str
        The dimension of time.

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
