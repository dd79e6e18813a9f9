"""Further errors of the winner of a competition, for its error bars."""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import Da4dvarError
from da4dvar.workflows.autofit.comparison import HARDNESS, Residuals
from da4dvar.workflows.autofit.tally import Tally, numbered
from da4dvar.workflows.autofit.trials import Trial

# Trials of the competition and after it, at most.
MOST = 12


def with_further(
    found: Residuals,
    name: str,
    trials: Sequence[Trial],
    draw: Callable[[int], Trial | None],
    estimate: Callable[[Trial], tuple[xr.DataArray, xr.DataArray | None]],
    tally: Tally,
    each: float,
    seconds: float,
) -> Residuals | None:
    """Return the errors of the winner at the hidden points of a competition, and of further trials.

    The competition ends when it is clear which method is best. How large its errors are in gaps of each
    length, and in cells that are hardly ever observed, takes more hidden points to know.

    Parameters
    ----------
    found : Residuals
        Errors of the competition.
    name : str
        Name of the winner.
    trials : sequence of Trial
        Trials of the competition.
    draw : callable
        Returns the trial of a number, or None if there is none.
    estimate : callable
        Returns the winner's estimate for a trial, and its standard error or None.
    tally : Tally
        An empty one.
    each : float
        Seconds that a trial takes, at most.
    seconds : float
        Time allowed.

    Returns
    -------
    Residuals or None
        None if there is no further trial.
    """
    begin = clocks.monotonic()
    more: list[Trial] = []
    while len(trials) + len(more) < MOST and each <= seconds - (clocks.monotonic() - begin):
        trial = draw(len(trials) + len(more))
        if trial is None:
            break
        try:
            tally.add(name, trial, *estimate(trial))
        except Da4dvarError:
            break
        more.append(trial)
    if not more:
        return None
    parts = (found, tally.residuals(more))
    return Residuals(
        {name: np.concatenate([p.error[name] for p in parts])},
        {name: np.concatenate([p.std[name] for p in parts])} if all(name in p.std for p in parts) else {},
        np.concatenate([p.weight for p in parts]),
        numbered([*trials, *more]),
        *(np.concatenate([getattr(p, key) for p in parts]) for key in HARDNESS),
        scale=found.scale,
    )
