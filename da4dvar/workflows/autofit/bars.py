"""Standard errors and intervals of estimates, from the errors at hidden points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from da4dvar.workflows.autofit.comparison import Residuals

CLASSES = 6
FEWEST = 40
# Level of the interval that serves as a standard error, that of one standard deviation of a Gaussian.
ONE_SIGMA = 0.6827


@dataclass(frozen=True)
class Bars:
    """h_p(d) = q_p(|e| / s) s, for each class of the distance d to the nearest observation.

    q_p is the quantile of the scaled errors at the hidden points of the class, weighted to the gaps to be
    filled and increasing with d. s is the standard error of the method, or 1 if it has none.

    Attributes
    ----------
    edges : array, shape (class - 1,)
        Upper edges of all classes but the last.
    scaled : list of array
        Scaled absolute errors in each class, sorted.
    cumulative : list of array
        Cumulative weights of these errors.
    scales : bool
        Whether the errors were divided by the method's standard error.
    """

    edges: np.ndarray
    scaled: list[np.ndarray]
    cumulative: list[np.ndarray]
    scales: bool

    def half_width(self, level: float, distance: np.ndarray, std: np.ndarray | None) -> np.ndarray:
        """Return half the width of the interval of a level at given distances.

        Parameters
        ----------
        level : float
            Probability that the interval contains the truth.
        distance : array
            Distances to the nearest observation, in correlation lengths.
        std : array or None
            Standard errors of the method, if the errors were scaled by them.

        Returns
        -------
        array
        """
        quantiles = [
            float(s[min(int(np.searchsorted(c, level)), s.size - 1)])
            for s, c in zip(self.scaled, self.cumulative, strict=True)
        ]
        width = np.maximum.accumulate(quantiles)[np.searchsorted(self.edges, distance)]
        return width if std is None or not self.scales else width * std


def bars_of(residuals: Residuals, method: str) -> Bars:
    """Return the error bars of a method.

    Parameters
    ----------
    residuals : Residuals
        Errors at the hidden points.
    method : str
        Name of the method.

    Returns
    -------
    Bars
    """
    error, std = np.abs(residuals.error[method]), residuals.std.get(method)
    scales = std is not None and bool(np.isfinite(std).all() and (std > 0).all())
    if std is not None and scales:
        error = error / std
    number = int(np.clip(error.size // FEWEST, 1, CLASSES))
    edges = np.unique(np.quantile(residuals.distance, np.linspace(0, 1, number + 1)[1:-1]))
    row = np.searchsorted(edges, residuals.distance)
    scaled, cumulative = [], []
    for k in range(edges.size + 1):
        here = row == k if (row == k).any() else np.ones_like(row, dtype=bool)
        order = np.argsort(error[here])
        weight = residuals.weight[here][order]
        scaled.append(error[here][order])
        # The half keeps small classes from promising too little.
        cumulative.append((np.cumsum(weight) - weight / 2) / weight.sum())
    return Bars(edges, scaled, cumulative, scales)
