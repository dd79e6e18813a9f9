"""Errors of the methods of a competition at the hidden points of its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.workflows.autofit.comparison import Residuals
from da4dvar.workflows.autofit.trials import Trial


class Tally:
    """Estimates of the methods at the hidden points of all trials."""

    def __init__(self, circular: float | None) -> None:
        self.period = circular
        self.errors: dict[str, list[np.ndarray]] = {}
        self.stds: dict[str, list[np.ndarray]] = {}
        self.changes: dict[str, list[np.ndarray]] = {}

    def add(self, name: str, trial: Trial, estimate: xr.DataArray, std: xr.DataArray | None) -> None:
        """Record the estimates of a method at the hidden points, and its changes of observed values."""
        usual = float(trial.seen.mean())
        values = estimate.transpose(*trial.seen.dims).values
        error = np.nan_to_num(values[trial.at].astype("float64"), nan=usual) - trial.truth
        self.errors.setdefault(name, []).append(self._around(error))
        if std is not None:
            found = std.transpose(*trial.seen.dims).values[trial.at].astype("float64")
            self.stds.setdefault(name, []).append(found)
        change = self._around((values - trial.seen.values)[np.isfinite(trial.seen.values)])
        self.changes.setdefault(name, []).append(change[np.isfinite(change)])

    def _around(self, error: np.ndarray) -> np.ndarray:
        return error if self.period is None else (error + self.period / 2) % self.period - self.period / 2

    def residuals(self, trials: Sequence[Trial]) -> Residuals:
        """Return the errors of the methods that took part in all of the first trials."""
        number = len(trials)
        return Residuals(
            {n: np.concatenate(e[:number]) for n, e in self.errors.items() if len(e) >= number},
            {n: np.concatenate(s[:number]) for n, s in self.stds.items() if len(s) >= number},
            np.concatenate([t.weight for t in trials]),
            numbered(trials),
            np.concatenate([t.hidden.length[t.at] for t in trials]),
            np.concatenate([t.hidden.ends[t.at] for t in trials]),
            np.concatenate([t.hidden.distance[t.at] for t in trials]),
        )

    def change(self, name: str) -> tuple[float, float]:
        """Return the root mean square and the largest change that a method makes at observed points."""
        every = np.concatenate(self.changes.get(name, [np.zeros(0)]))
        if not every.size:
            return 0.0, 0.0
        return float(np.sqrt(np.mean(every**2))), float(np.abs(every).max())


def numbered(trials: Sequence[Trial]) -> np.ndarray:
    """Number the shapes of all trials; one that hides the same values again, as at an end, is the same."""
    numbers: dict[bytes, int] = {}
    out = []
    for trial in trials:
        where = np.flatnonzero(trial.at)
        own = [
            where[here].tobytes() + trial.truth[here].tobytes()
            for here in (trial.shape == k for k in range(int(trial.shape.max()) + 1))
        ]
        out.append(np.array([numbers.setdefault(values, len(numbers)) for values in own])[trial.shape])
    return np.concatenate(out)
