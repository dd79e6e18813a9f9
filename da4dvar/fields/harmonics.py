"""Harmonics of the year in every cell, by least squares with the region's as a prior."""

from __future__ import annotations

import numpy as np


def harmonic_regression(values: np.ndarray, basis: np.ndarray, shrinkage: float) -> np.ndarray:
    """Least squares of every column of `values` on `basis`, NaN left out.

    Parameters
    ----------
    values : array, shape (time, cell)
    basis : array, shape (time, harmonic)
    shrinkage : float
        Weight that draws a cell's coefficients, but for its mean, to those of all cells.

    Returns
    -------
    array, shape (harmonic, cell)
        NaN for a cell without any observation.
    """
    return solved_harmonics(*harmonic_sums(values, basis), shrinkage)


def harmonic_sums(values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normal matrix of every cell, shape (cell, harmonic, harmonic), and the right side.

    Those of all times are the sums of those of parts of them.
    """
    observed = np.isfinite(values)
    filled = np.where(observed, values, 0.0).astype("float64")
    basis = basis.astype("float64")
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    count = basis.shape[1]
    return (observed.T.astype("float64") @ products).reshape(-1, count, count), filled.T @ basis


def solved_harmonics(normal: np.ndarray, right: np.ndarray, shrinkage: float) -> np.ndarray:
    """The coefficients of :func:`harmonic_regression`, from its sums."""
    count = normal.shape[-1]
    small = 1e-6 * np.eye(count)
    # About each cell's own mean: a warm cell that is seen in summer only is no season of the region.
    mean = normal[:, 0] / np.maximum(normal[:, :1, 0], 1)
    within = normal - mean[:, :, None] * normal[:, :1]
    region = np.linalg.solve(within.sum(0) + small, (right - mean * right[:, :1]).sum(0))
    penalty = np.diag([1e-6] + [shrinkage] * (count - 1))
    fitted = np.linalg.solve(normal + penalty, (right + penalty @ region)[..., None])[..., 0].T
    # The first column of the basis is one: its sum counts the observations.
    return np.where(normal[:, 0, 0] > 0, fitted, np.nan)
