"""Harmonics of the year in every cell, by least squares with the region's as a prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def harmonic_basis(angle: np.ndarray, harmonics: int) -> np.ndarray:
    """1, cos ωt, sin ωt, cos 2ωt, … at every time, shape (time, 1 + 2 harmonics).

    Parameters
    ----------
    angle : array, shape (time,)
        ωt in radians.
    harmonics : int

    Returns
    -------
    array of float32
    """
    columns = [np.ones_like(angle)]
    for k in range(1, harmonics + 1):
        columns += [np.cos(k * angle), np.sin(k * angle)]
    return np.stack(columns, 1).astype("float32")


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


def check_season(
    name: str, coefficients: np.ndarray, harmonics: int, coords: Mapping[str, np.ndarray]
) -> None:
    """Refuse coefficients, or coordinates of them, that no fit can have given.

    Raises
    ------
    ValueError
    """
    if coefficients.shape[:1] != (harmonics,) or np.isinf(coefficients).any():
        raise ValueError(f"{name!r} is infinite, or not of {harmonics} harmonics")
    for dim, values in coords.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"the coordinate {dim!r} of {name!r} is not finite")
