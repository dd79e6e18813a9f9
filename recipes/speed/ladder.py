"""The ladder of Levenberg-Marquardt for one series of Lorenz-96, by numpy and scipy's sparse solver.

The rules for steps, damping and rungs are those of `da4dvar.variational.solvers.levenberg_marquardt`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

FORCING = 8.0


def rhs(x: np.ndarray) -> np.ndarray:
    """The right-hand side of Lorenz-96, with components along the first axis."""
    return (np.roll(x, -1, 0) - np.roll(x, 2, 0)) * np.roll(x, 1, 0) - x + FORCING


def slope(x: np.ndarray) -> np.ndarray:
    """The Jacobian of `rhs` at every time, shape (time, component, component)."""
    size, times = x.shape
    out = np.zeros((times, size, size), dtype=x.dtype)
    j = np.arange(size)
    out[:, j, (j + 1) % size] = np.roll(x, 1, 0).T
    out[:, j, (j - 2) % size] = -np.roll(x, 1, 0).T
    out[:, j, (j - 1) % size] = (np.roll(x, -1, 0) - np.roll(x, 2, 0)).T
    out[:, j, j] = -1
    return out


def forecast(x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """One Runge-Kutta step of every column, and its Jacobian."""
    one = np.eye(len(x), dtype=x.dtype)
    k, tangent = [rhs(x)], [slope(x)]
    for part in (0.5, 0.5, 1.0):
        at = x + part * step * k[-1]
        tangent.append(slope(at) @ (one + part * step * tangent[-1]))
        k.append(rhs(at))
    moved = x + step / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])
    return moved, one + step / 6 * (tangent[0] + 2 * tangent[1] + 2 * tangent[2] + tangent[3])


def terms(x: np.ndarray, y: np.ndarray, mask: np.ndarray, step: float) -> tuple[float, float]:
    """Sums of squares of both terms of U."""
    moved = x[:, :-1].copy()
    moved = forecast(moved, step)[0]
    return float(((x - y)[mask] ** 2).sum()), float(((x[:, 1:] - moved) ** 2).sum())


def climb(
    y: np.ndarray,
    mask: np.ndarray,
    x: np.ndarray,
    step: float,
    weights: tuple[float, float],
    ladder: Sequence[float],
    iterations: int,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Return the minimiser of U for one series, shape (component, time)."""
    size, times = x.shape
    for rung, factor in enumerate(ladder):
        steps = iterations * (rung + 1) // len(ladder) - iterations * rung // len(ladder)
        prior, mu = factor * weights[1], 1.0
        value = np.dot((weights[0], prior), terms(x, y, mask, step))
        for _ in range(steps):
            moved, tangent = forecast(x[:, :-1], step)
            # The components of a time are adjacent unknowns, so that the matrix is banded.
            here = sparse.block_diag(list(tangent), format="csr")
            ahead = sparse.eye_array(size * (times - 1), format="csr")
            none = sparse.csr_array((size * (times - 1), size))
            jacobian = sparse.hstack([none, ahead]) - sparse.hstack([here, none])
            residual = (x[:, 1:] - moved).T.ravel()
            seen = mask.T.ravel()
            misfit = np.where(seen, (x - y).T.ravel(), 0.0)
            diagonal = sparse.diags_array(weights[0] * seen + mu)
            normal = (prior * jacobian.T @ jacobian + diagonal).tocsc()
            right = -(weights[0] * misfit + prior * jacobian.T @ residual)
            candidate = x + spsolve(normal, right).reshape(times, size).T
            reached = np.dot((weights[0], prior), terms(candidate, y, mask, step))
            lower = reached < value
            done = lower and value - reached < tolerance * value
            if lower:
                x, value = candidate, reached
            mu *= 0.1 if lower else 10.0
            if done:
                break
    return x
