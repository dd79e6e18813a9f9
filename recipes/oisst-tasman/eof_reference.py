"""Optimal interpolation in EOF space: the reference that the model is measured against.

A piece of days is a vector of anomalies a with a = E z + e, where E holds the leading EOFs of such
pieces in the training years, z ~ N(0, Λ) with their variances, and e the variance that they leave
in each cell, plus an observation error. From what is observed of a piece, the mean of z given the
observations is a small linear system; the estimate is kept on the day in the middle.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from sklearn.utils.extmath import randomized_svd

from da4dvar.fields.scaling import Anomaly

DAYS = 9


def pieces(anomalies: np.ndarray, step: int = 1) -> np.ndarray:
    """Runs of nine days as vectors, shape (piece, day * cell)."""
    starts = range(0, len(anomalies) - DAYS + 1, step)
    return np.stack([anomalies[s : s + DAYS].ravel() for s in starts])


class EofInterpolation:
    """Fit on complete training years; estimate from gappy ones."""

    def __init__(self, modes: int, error: float = 0.1) -> None:
        self.modes, self.error = modes, error
        self.scaling = Anomaly()

    def fit(self, train: xr.Dataset) -> EofInterpolation:
        self.scaling.fit(train, ["sst"], ("time", "lat", "lon"))
        anomalies = self.scaling.normalise(train)["sst"].values.astype("float32")
        self.sea = np.isfinite(anomalies[0])
        data = pieces(anomalies[:, self.sea], step=3)
        _, singular, vectors = randomized_svd(data, self.modes, random_state=0)
        self.eofs = vectors.T.astype("float64")
        self.variances = singular**2 / len(data)
        left = np.mean(data**2, axis=0) - (self.eofs**2) @ self.variances
        self.noise = np.maximum(left, 0.0) + self.error**2
        return self

    def interpolate(self, gappy: xr.Dataset) -> xr.Dataset:
        normalised = self.scaling.normalise(gappy)
        y = normalised["sst"].values[:, self.sea]
        half = DAYS // 2
        padded = np.pad(y, ((half, half), (0, 0)), constant_values=np.nan)
        cells = self.sea.sum()
        middle = self.eofs[half * cells : (half + 1) * cells]
        estimate = np.full(normalised["sst"].shape, np.nan)
        for day in range(len(y)):
            seen = padded[day : day + DAYS].ravel()
            at = np.isfinite(seen)
            weighted = self.eofs[at] / self.noise[at, None]
            normal = weighted.T @ self.eofs[at] + np.diag(1 / self.variances)
            estimate[day, self.sea] = middle @ np.linalg.solve(normal, weighted.T @ seen[at])
        return self.scaling.restore(normalised.assign(sst=(("time", "lat", "lon"), estimate)))
