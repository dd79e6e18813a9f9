"""Errors of the methods of a competition at the hidden points of its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.workflows.autofit.comparison import HARDNESS, Residuals
from da4dvar.workflows.autofit.trials import Trial

# Largest factor by which gaps are taken to be harder, or easier, than the hidden points.
MOST_SCALE = 2.0
# Smallest σ² at a hidden point, as a fraction of its mean over the gaps.
LEAST = 0.01


class Tally:
    """Estimates of the methods at the hidden points of all trials."""

    def __init__(self, circular: float | None) -> None:
        self.period = circular
        self.errors: dict[str, list[np.ndarray]] = {}
        self.stds: dict[str, list[np.ndarray]] = {}
        self.changes: dict[str, list[np.ndarray]] = {}
        # Means of σ² over the gaps of each trial.
        self.variances: dict[str, list[float]] = {}

    def add(self, name: str, trial: Trial, estimate: xr.DataArray, std: xr.DataArray | None) -> None:
        """Record the estimates of a method at the hidden points, and its changes of observed values."""
        usual = float(trial.seen.mean())
        values = estimate.transpose(*trial.seen.dims).values
        error = np.nan_to_num(values[trial.at].astype("float64"), nan=usual) - trial.truth
        self.errors.setdefault(name, []).append(self._around(error))
        if std is not None:
            found = std.transpose(*trial.seen.dims).values[trial.at].astype("float64")
            self.stds.setdefault(name, []).append(found)
            self.variances.setdefault(name, []).append(variance_of_gaps(std, trial))
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
            *(np.concatenate([getattr(t.hidden, name)[t.at] for t in trials]) for name in HARDNESS),
        )

    def scale(self, name: str, trials: Sequence[Trial], noise: float, full: float) -> float:
        """s² = κ · mean of σ² + ε² over the gaps / mean of e², with κ the mean of e² / (σ² + ε²).

        Both means of e are over the hidden points, with their weights. Gaps may be harder than anything that
        can be hidden, such as a time at which all is missing, or easier, as the hidden points are known when
        they are filled. The standard error of a method, σ, knows that; κ corrects a σ that is too small or
        too large throughout.

        Parameters
        ----------
        name : str
            Method with standard errors.
        trials : sequence of Trial
            Trials in which the method took part.
        noise : float
            Standard deviation of the errors of the observations, ε, which a standard error does not contain.
        full : float
            Mean of σ² over the gaps of the last trial if nothing is hidden.

        Returns
        -------
        float
            Factor of the errors at the hidden points, within [1/2, 2]; 1 if σ is not known everywhere.
        """
        found = self.variances[name][: len(trials)]
        e, std, w = (
            np.concatenate(parts[: len(trials)])
            for parts in (self.errors[name], self.stds[name], [t.weight for t in trials])
        )
        mean = np.average(e**2, weights=w)
        known = np.isfinite([*found, full]).all() and np.isfinite(std).all()
        if not (known and min(*found, full) + noise**2 > 0 and mean > 0):
            return 1.0
        gaps = np.average(found, weights=[t.truth.size for t in trials]) + noise**2
        gaps *= (full + noise**2) / (found[-1] + noise**2)
        # A standard error next to 0, beside an observation, must not decide.
        kappa = np.average(e**2 / np.maximum(std**2 + noise**2, LEAST * gaps), weights=w)
        return float(np.clip(np.sqrt(kappa * gaps / mean), 1 / MOST_SCALE, MOST_SCALE))

    def change(self, name: str) -> tuple[float, float]:
        """Return the root mean square and the largest change that a method makes at observed points."""
        every = np.concatenate(self.changes.get(name, [np.zeros(0)]))
        if not every.size:
            return 0.0, 0.0
        return float(np.sqrt(np.mean(every**2))), float(np.abs(every).max())


def variance_of_gaps(std: xr.DataArray, trial: Trial) -> float:
    """Return the mean of σ² over the values of a trial that are filled."""
    found = std.transpose(*trial.seen.dims).values[trial.missing.to_fill].astype("float64")
    return float(np.mean(found**2)) if found.size else np.nan


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
