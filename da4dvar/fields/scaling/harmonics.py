"""Least-squares fit of annual harmonics in each cell, with the harmonics of the region as a prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def harmonic_basis(angle: np.ndarray, harmonics: int) -> np.ndarray:
    """1, cos ωt, sin ωt, cos 2ωt, …: harmonic basis at each time.

    Parameters
    ----------
    angle : array, shape (time,)
        ωt in radians.
    harmonics : int
        Number of harmonics.

    Returns
    -------
    array of float32, shape (time, 1 + 2 harmonics)
    """
    columns = [np.ones_like(angle)]
    for k in range(1, harmonics + 1):
        columns += [np.cos(k * angle), np.sin(k * angle)]
    return np.stack(columns, 1).astype("float32")


def harmonic_regression(values: np.ndarray, basis: np.ndarray, shrinkage: float) -> np.ndarray:
    """Fit each column of `values` by least squares on `basis`, ignoring NaN.

    Parameters
    ----------
    values : array, shape (time, cell)
        Observations, NaN in the gaps.
    basis : array, shape (time, harmonic)
        See :func:`harmonic_basis`.
    shrinkage : float
        Weight with which the coefficients of a cell, except its mean, shrink towards those of all cells.

    Returns
    -------
    array, shape (harmonic, cell)
        NaN for cells without observations.
    """
    return solved_harmonics(*harmonic_sums(values, basis), shrinkage)


def harmonic_sums(values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the normal matrices, shape (cell, harmonic, harmonic), and right-hand sides of the cells.

    The results for disjoint sets of times add up to the result for all of them.
    """
    observed = np.isfinite(values)
    filled = np.where(observed, values, 0.0).astype("float64")
    basis = basis.astype("float64")
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    count = basis.shape[1]
    return (observed.T.astype("float64") @ products).reshape(-1, count, count), filled.T @ basis


def solved_harmonics(normal: np.ndarray, right: np.ndarray, shrinkage: float) -> np.ndarray:
    """Solve for the coefficients of :func:`harmonic_regression`, given its sums."""
    count = normal.shape[-1]
    small = 1e-6 * np.eye(count)
    # Relative to the mean of each cell: a warm cell observed only in summer must not add to the season.
    mean = normal[:, 0] / np.maximum(normal[:, :1, 0], 1)
    within = normal - mean[:, :, None] * normal[:, :1]
    region = np.linalg.solve(within.sum(0) + small, (right - mean * right[:, :1]).sum(0))
    penalty = np.diag([1e-6] + [shrinkage] * (count - 1))
    fitted = np.linalg.solve(normal + penalty, (right + penalty @ region)[..., None])[..., 0].T
    # The first column of the basis is 1, so its sum is the number of observations.
    return np.where(normal[:, 0, 0] > 0, fitted, np.nan)


def check_season(
    name: str, coefficients: np.ndarray, harmonics: int, coords: Mapping[str, np.ndarray]
) -> None:
    """Raise an error for coefficients or coordinates that no fit can have produced.

    Raises
    ------
    ValueError
        If coefficients or coordinates are infinite, or the number of harmonics is wrong.
    """
    if coefficients.shape[:1] != (harmonics,) or np.isinf(coefficients).any():
        raise ValueError(f"{name!r} has infinite values, or not {harmonics} coefficients for each cell")
    for dim, values in coords.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"the coordinate {dim!r} of {name!r} is not finite")
