"""Errors of the methods of a competition at the hidden points of its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from da4dvar.workflows.autofit.comparison import Residuals
from da4dvar.workflows.autofit.trials import Trial

# Largest factor by which gaps are taken to be harder, or easier, than the hidden points.
MOST_SCALE = 2.0


class Tally:
    """Estimates of the methods at the hidden points of all trials."""

    def __init__(self, circular: float | None) -> None:
        self.period = circular
        self.errors: dict[str, list[np.ndarray]] = {}
        self.stds: dict[str, list[np.ndarray]] = {}
        self.changes: dict[str, list[np.ndarray]] = {}
        self.variances: dict[str, list[tuple[int, float, float]]] = {}

    def add(self, name: str, trial: Trial, estimate: xr.DataArray, std: xr.DataArray | None) -> None:
        """Record the estimates of a method at the hidden points, and its changes of observed values."""
        usual = float(trial.seen.mean())
        values = estimate.transpose(*trial.seen.dims).values
        error = np.nan_to_num(values[trial.at].astype("float64"), nan=usual) - trial.truth
        self.errors.setdefault(name, []).append(self._around(error))
        if std is not None:
            everywhere = std.transpose(*trial.seen.dims).values.astype("float64")
            found = everywhere[trial.at]
            self.stds.setdefault(name, []).append(found)
            known = np.isfinite(found)
            gaps = everywhere[trial.missing.to_fill & np.isfinite(everywhere)]
            if gaps.size and known.any():
                own = np.average(found[known] ** 2, weights=trial.weight[known])
                self.variances.setdefault(name, []).append((found.size, own, float(np.mean(gaps**2))))
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
            *(
                np.concatenate([getattr(t.hidden, name)[t.at] for t in trials])
                for name in ("length", "ends", "distance", "bridge", "apart", "known")
            ),
        )

    def scale(self, name: str, trials: Sequence[Trial], noise: float) -> float:
        """s = √(mean of σ² + ε² over the gaps / weighted mean over the hidden points), within [1/2, 2].

        The gaps of a file may be harder than anything that can be hidden in it, such as a time at which all
        is missing. The standard error of a method, σ, knows that. The mean square error at the hidden points
        is multiplied by the ratio of the variances that are expected at the gaps and at these points, as in
        the ratio estimator of survey sampling (Cochran, Sampling Techniques, 1977, chapter 6).

        Parameters
        ----------
        name : str
            Method with standard errors.
        trials : sequence of Trial
            Trials in which the method took part.
        noise : float
            Standard deviation of the errors of the observations, ε, which a standard error does not contain.

        Returns
        -------
        float
            1 if the method has no standard errors in all of the trials.
        """
        found = self.variances.get(name, [])[: len(trials)]
        if len(found) < len(trials):
            return 1.0
        number, hidden, gaps = np.array(found).T
        expected = np.sum(number * (hidden + noise**2))
        if not expected > 0:
            return 1.0
        return float(
            np.clip(np.sqrt(np.sum(number * (gaps + noise**2)) / expected), 1 / MOST_SCALE, MOST_SCALE)
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
