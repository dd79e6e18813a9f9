"""n = Σ_t missing_t and the longest run of it, of cells that are not missing always, in one pass."""

from __future__ import annotations

import numpy as np
import xarray as xr


def missing_run(flags: xr.DataArray, time: str, missing: int, steps: int) -> tuple[int, int]:
    """How many values of some cells are missing and the longest run, read a few steps at a time.

    A cell that is missing at all times is land, and not counted.

    Parameters
    ----------
    flags : DataArray of int
        As opened, not read.
    time : str
        Its dimension of time.
    missing : int
        The flag that says so.
    steps : int
        How many to read at once.

    Returns
    -------
    count, longest : int
        As of :func:`da4dvar.fields.output.unreached`.

    Examples
    --------
    >>> missing_run(xr.DataArray([[0, 2], [2, 2], [2, 2], [1, 2]], dims=("time", "place")), "time", 2, 3)
    (2, 2)
    """
    ordered = flags.transpose(time, ...)
    shape = ordered.shape[1:]
    count, run, longest = (np.zeros(shape, dtype="int64") for _ in range(3))
    for first in range(0, ordered.shape[0], steps):
        for now in ordered[first : first + steps].values == missing:
            count += now
            run = np.where(now, run + 1, 0)
            np.maximum(longest, run, out=longest)
    sea = count < ordered.shape[0]
    return int(count[sea].sum()), int(longest[sea].max(initial=0))
