"""Standard errors and intervals of estimates, from the errors at hidden points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from da4dvar.fields.gaps.likeness import NEVER, Hardness
from da4dvar.workflows.autofit.comparison import FEW_SHAPES, Residuals

# Level of the interval that serves as a standard error, that of one standard deviation of a Gaussian.
ONE_SIGMA = 0.6827
# What predicts the size of an error, in the order of the exponents.
PREDICTORS = ("length", "bridge", "distance", "apart", "known")
# Weight of (exponent − prior)² against the loss of one independent error, and the largest exponent.
PRIOR, STEEPEST = 0.5, 3.0
# Floors of the standard error of a method that are tried, in units of its median.
FLOORS = (0.0, 0.5, 1.0, 2.0)
# Width over which the loss is smoothed, and the smallest error that counts, in units of the mean error.
SMOOTH, SMALLEST = 0.2, 1e-4
# Points from which exponents are fitted, and parts of the shapes of which each is scored by the others.
MOST, FOLDS = 20_000, 5
# Standard errors of the coverage that are added to the level of a quantile.
CAUTION = 0.5
# Independent errors that one hidden shape can be worth.
MOST_PER_SHAPE = 20
# Error of what lies beyond all hidden points, as in a random walk: it grows with the square root of the gap.
GROWTH = 0.5
TINY = 1e-30
# Bound of the logarithm of a scale, in units of the mean error, and the level at which errors are counted.
LARGEST, TYPICAL = 50.0, 0.9


@dataclass(frozen=True)
class Bars:
    """h_p(x) = q_p s(x), s(x) = exp(a) σ(x)^b₀ Π_k x_k^b_k, b ≥ 0: half the width of an interval of level p.

    σ is the standard error of the method, if it has one. The x_k are the length of the gap, the variance of a
    bridge between the observations before and after, the distance to the nearest observation, that to the
    nearest at the same time, and the inverse of the number of observations of the cell, up to 20; see
    :class:`da4dvar.fields.gaps.likeness.Hardness`. q_p is a quantile of
    abs(e)/s at the hidden points, weighted to the gaps to be filled (weighted split conformal prediction;
    Tibshirani et al., 2019, "Conformal prediction under covariate shift").

    Attributes
    ----------
    intercept : float
        a.
    exponents : array, shape (predictor,)
        b, beginning with that of σ if `scales`.
    floor : float
        What is added to the standard error of the method in quadrature, such as the noise of observations.
    lowest, highest : array, shape (5,)
        Logarithms of the smallest x_k at the hidden points, and of the largest that several shapes reach.
        Smaller values count as the smallest. Larger ones count as the largest, and the interval is widened by
        the square root of the ratio of the lengths or distances, whichever is larger.
    scaled : array, shape (point,)
        Scaled absolute errors, sorted. That of a point is scaled by a function fitted to other shapes.
    cumulative : array, shape (point,)
        Cumulative weights of these errors, up to 1.
    scales : bool
        Whether the method has a standard error.
    independent : float
        Number of independent errors that vary as much from shape to shape.
    """

    intercept: float
    exponents: np.ndarray
    floor: float
    lowest: np.ndarray
    highest: np.ndarray
    scaled: np.ndarray
    cumulative: np.ndarray
    scales: bool
    independent: float

    def scale(self, hard: Hardness | Residuals, std: np.ndarray | None) -> np.ndarray:
        """Return s.

        Parameters
        ----------
        hard : Hardness or Residuals
            Properties of the points.
        std : array or None
            Standard errors of the method, if it has some.

        Returns
        -------
        array
            In the units of the variable, with the shape of ``hard.length``.
        """
        out = np.full(hard.length.shape, self.intercept)
        own, *rest = self.exponents if self.scales else (0.0, *self.exponents)
        if own and std is not None:
            out = out + own * np.log(np.maximum(np.hypot(std, self.floor), TINY))
        beyond = np.zeros(out.shape)
        for name, exponent, low, high in zip(PREDICTORS, rest, self.lowest, self.highest, strict=True):
            x = logarithm(hard, name)
            if exponent:
                out += exponent * np.clip(x, low, high)
            if name in ("length", "distance"):
                beyond = np.maximum(beyond, np.where(np.isfinite(x), x, high) - high)
        widened: np.ndarray = np.exp(out + GROWTH * beyond)
        return widened

    def factor(self, level: float) -> float:
        """Return q at p' instead of p, where 1 − p' = (1 − p) / (1 + r + √r/2) and r = p / ((1 − p) n).

        n is the number of independent errors. To first order in r, p' is p (1 + 1/n), as in split conformal
        prediction from n errors, plus half the standard error of the coverage, √(p (1 − p)/n).

        Parameters
        ----------
        level : float
            p, the probability that the interval contains the truth.

        Returns
        -------
        float
        """
        ratio = level / (1 - level) / self.independent
        corrected = 1 - (1 - level) / (1 + ratio + CAUTION * np.sqrt(ratio))
        return float(self.scaled[min(int(np.searchsorted(self.cumulative, corrected)), self.scaled.size - 1)])


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
    rows = [logarithm(residuals, name) for name in PREDICTORS]
    lowest = np.array([np.min(row, where=np.isfinite(row), initial=np.inf) for row in rows])
    highest = np.array([_reached(row, residuals.shape) for row in rows])
    lowest = np.minimum(lowest, highest)
    rows = [np.clip(*of) for of in zip(rows, lowest, highest, strict=True)]
    scales = std is not None and bool(np.isfinite(std).all() and (std > 0).all())
    shape, balanced = residuals.shape, _balanced(residuals)
    floors, tried = np.zeros(1), [np.stack(rows)]
    if std is not None and scales:
        floors = np.multiply(FLOORS, np.median(std))
        tried = [np.stack([np.log(np.hypot(std, np.full_like(std, floor))), *rows]) for floor in floors]
    prior = np.eye(1, len(tried[0]))[0] * scales
    fits = [_fitted(x, error, balanced, shape, prior) for x in tried]
    best = int(np.argmin([loss for *_, loss in fits]))
    x, (intercept, exponents, _) = tried[best], fits[best]
    scaled = np.empty_like(error)
    for part in range(FOLDS):
        inside = shape % FOLDS == part
        others = inside if inside.all() else ~inside
        a, b, _ = _fitted(x[:, others], error[others], balanced[others], shape[others], prior)
        scaled[inside] = error[inside] / np.exp(a + b @ x[:, inside])
    order = np.argsort(scaled)
    weight = residuals.weight[order]
    # The half keeps few points from promising too little.
    cumulative = (np.cumsum(weight) - weight / 2) / weight.sum()
    scores = scaled[order]
    independent = _independent(scaled <= np.interp(TYPICAL, cumulative, scores), residuals)
    floor = float(floors[best])
    return Bars(intercept, exponents, floor, lowest, highest, scores, cumulative, scales, independent)


def logarithm(hard: Hardness | Residuals, name: str) -> np.ndarray:
    """Return the logarithm of a property, -inf where it is 0 and inf where there is no observation.

    The number of observations of a cell is inverted, as errors are larger where there are few.
    """
    x = getattr(hard, name).astype("float64")
    if name == "known":
        x = 1 / np.maximum(x, 1)
    with np.errstate(divide="ignore"):
        out: np.ndarray = np.log(np.where(x < NEVER / 4, x, np.inf))
    return out


def _reached(row: np.ndarray, shape: np.ndarray) -> float:
    """Return the value that several shapes reach, if there are many, and at least half of them otherwise."""
    most = np.full(shape.max() + 1, -np.inf)
    np.maximum.at(most, shape, np.where(np.isfinite(row), row, -np.inf))
    reached = np.sort(most[np.isfinite(most)])[::-1]
    return float(reached[min(FEW_SHAPES, -(-reached.size // 2)) - 1]) if reached.size else 0.0


def _fitted(
    x: np.ndarray, error: np.ndarray, weight: np.ndarray, shape: np.ndarray, prior: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return a and b ≥ 0, which minimise Σ w ρ(log abs(e) − a − b x) + λ Σ (b − prior)², and the minimum.

    ρ(u) = τ u + δ log(1 + exp(−u/δ)) is the loss of the quantile τ, smoothed, so that exp(a + b x) is about
    the quantile of abs(e) at x. The weights sum to the number of shapes that weigh as much as these do.
    """
    kept = slice(None, None, -(-error.size // MOST))
    x, e, w, shape = x[:, kept], error[kept], weight[kept], shape[kept]
    # Errors that are all zero have the smallest scale that leaves room to divide by.
    unit, share = max(np.sum(w * e) / w.sum(), TINY), np.bincount(shape, w)
    w = w * share.sum() / np.sum(share**2)
    log_error = np.log(np.maximum(e / unit, SMALLEST))
    middle = x @ w / w.sum()
    x = x - middle[:, None]

    def cost(p: np.ndarray) -> tuple[float, np.ndarray]:
        u, away = log_error - p[0] - p[1:] @ x, p[1:] - prior
        loss = TYPICAL * u + SMOOTH * np.logaddexp(0, -u / SMOOTH)
        slope = w * (expit(-u / SMOOTH) - TYPICAL)
        return float(w @ loss + PRIOR * away @ away), np.append(slope.sum(), x @ slope + 2 * PRIOR * away)

    limits = [(-LARGEST, LARGEST), *[(0.0, STEEPEST)] * len(x)]
    found = minimize(cost, np.append(0.0, prior), jac=True, method="L-BFGS-B", bounds=limits)
    a, *b = found.x
    return float(a + np.log(unit) - np.dot(b, middle)), np.array(b), float(found.fun)


def _balanced(residuals: Residuals) -> np.ndarray:
    """Return weights of which half represent the gaps to be filled, and half every octave of gap lengths.

    A function that is fitted to gaps of a year alone would say nothing about those of a day. Octaves of few
    shapes count less.
    """
    octave = np.log2(np.maximum(residuals.length, 1)).astype(int)
    number = residuals.shape.max() + 1
    shapes = np.bincount(np.unique(octave * number + residuals.shape) // number)
    alike = np.minimum(shapes, FEW_SHAPES) / np.maximum(np.bincount(octave), 1)
    both: np.ndarray = residuals.weight / residuals.weight.sum() + alike[octave] / alike[octave].sum()
    return both


def _independent(inside: np.ndarray, residuals: Residuals) -> float:
    """Return p (1 − p)/ε²; ε is the standard error over shapes of the share p of points inside a limit."""
    share, error = residuals.over_shapes(inside.astype("float64"))
    most = float(MOST_PER_SHAPE * residuals.shapes)
    return float(np.clip(share * (1 - share) / max(error**2, TINY), 1.0, most))
