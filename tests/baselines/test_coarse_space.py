"""Tests of the correction of a local preconditioner on the largest scales."""

from __future__ import annotations

import numpy as np
import pytest

from da4dvar.baselines import coarse_space, solve_kernels
from da4dvar.baselines.coarse_space import CoarseSpace, leading
from da4dvar.baselines.products import Kronecker
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.baselines.vecchia import Vecchia
from da4dvar.variational.kernels import Separable, SumOfSeparable

# Large, smooth scales under noise, and a shorter one.
SMOOTH = SumOfSeparable(
    (Separable(1.0, 30.0, 40.0, "matern52", "gaussian"), Separable(0.1, 3.0, 4.0, "matern52", "gaussian")),
    nugget=0.3,
)


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observations of a field with gaps as large as clouds."""
    generator = np.random.default_rng(0)
    place = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0), indexing="ij"), -1).reshape(-1, 2)
    clock = np.arange(60.0)
    x, y, t = place[:, 0], place[:, 1], clock[:, None]
    seen = np.sin(x / 2 - t / 3) + np.cos(y / 2 + t / 5) > 0
    return seen, place, clock, generator.standard_normal(seen.shape) + np.sin(x / 9 + t / 20)


def test_leading_eigenvectors_are_those_of_the_matrix():
    """Orthonormal, and with the largest eigenvalues."""
    half = np.random.default_rng(0).standard_normal((30, 30)) * 0.6 ** np.arange(30)
    matrix = (half @ half.T).astype("float32")
    found = leading(lambda x: x @ matrix, 30, 6)
    np.testing.assert_allclose(found @ found.T, np.eye(6), atol=1e-5)
    expected = np.linalg.eigvalsh(matrix)[::-1][:4]
    np.testing.assert_allclose(np.diag(found @ matrix @ found.T)[:4], expected, rtol=1e-3)


def test_the_correction_is_symmetric_and_positive(monkeypatch):
    """Conjugate gradients need both; with a part of the modes, on a field with gaps."""
    monkeypatch.setattr(coarse_space, "OBSERVATIONS", 50)
    seen, place, clock, _ = problem()
    seen[:, 30:] = False
    coarse = CoarseSpace(Kronecker(place, clock, SMOOTH), seen, SMOOTH.nugget)
    assert 3 < len(coarse.inverse) <= seen.sum() / 50
    basis = np.stack([coarse.extended(c) for c in np.eye(len(coarse.inverse), dtype="float32")])
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-4)
    weights = np.linspace(1, 3, seen.sum(), dtype="float32")
    every = np.eye(seen.sum(), dtype="float32")[::7]
    whole = np.stack([coarse.corrected(lambda r: weights * r, r) for r in every])[:, ::7]
    np.testing.assert_allclose(whole, whole.T, atol=1e-4)
    assert np.linalg.eigvalsh(whole).min() > 0


@pytest.mark.parametrize("rows", [None, (12, 12)])
def test_large_scales_cost_few_iterations(rows, monkeypatch):
    """Fewer than with neighbours alone, for the same estimate, dense and by transforms."""
    monkeypatch.setattr("da4dvar.baselines.products.DENSE", 0)
    monkeypatch.setattr(solve_kernels, "FEW", 0)
    seen, place, clock, y = problem()
    both = Analysis(seen, place, clock, SMOOTH, rows)
    x = both.estimate(y)
    alone = Analysis(seen, place, clock, SMOOTH, rows)
    monkeypatch.setattr(CoarseSpace, "corrected", lambda self, local, r: local(r))
    np.testing.assert_allclose(alone.estimate(y), x, atol=0.05 * x.std())
    assert both.iterations < 0.7 * alone.iterations


def test_the_inverse_from_all_points_before_is_exact():
    """With as many given points as there are, Wᵀ W is the inverse."""
    points = np.random.default_rng(1).random((60, 2))

    def systems(i: np.ndarray) -> np.ndarray:
        apart = np.linalg.norm(points[i][:, :, None] - points[i][:, None], axis=-1)
        return (np.exp(-apart) + 0.1 * (apart == 0)).astype("float32")

    matrix = systems(np.arange(60)[None])[0]
    inverse = Vecchia(points, systems)
    product = np.stack([inverse(row) for row in matrix])
    np.testing.assert_allclose(product, np.eye(60), atol=0.02)
