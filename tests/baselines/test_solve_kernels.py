"""Tests of the solve of optimal interpolation for all observations at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from da4dvar.baselines import solve_kernels
from da4dvar.baselines.draws import Deviations, windows
from da4dvar.baselines.products import Kronecker, regular
from da4dvar.baselines.solve_kernels import Analysis, conjugate_gradients
from da4dvar.baselines.vecchia import bisected, coarse_to_fine
from da4dvar.errors import DataError
from da4dvar.variational.kernels import Separable, SumOfSeparable

TWO = SumOfSeparable(
    (
        Separable(0.7, 40.0, 4.0, "matern52", "exponential"),
        Separable(0.3, 150.0, 15.0, "gaussian", "matern32"),
    ),
    nugget=0.01,
)


def problem(days: int = 30, rows: int = 5, columns: int = 7, seen: float = 0.4, seed: int = 0):
    """Observations of a field on a grid of 20 km."""
    generator = np.random.default_rng(seed)
    place = 20.0 * np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(
        -1, 2
    )
    clock = np.cumsum(generator.choice([1.0, 1.5], days))
    y = np.sin(clock[:, None] / 5 + place[:, 0] / 30) + 0.3 * generator.standard_normal((days, len(place)))
    return np.where(generator.random(y.shape) < seen, y, np.nan), place, clock


def dense(y, place, clock, covariance):
    """The closed form: estimate, and covariance of its error."""
    when, where = np.divmod(np.arange(y.size), len(place))
    distance = np.linalg.norm(place[where][:, None] - place[where], axis=-1)
    full = covariance(distance, np.abs(clock[when][:, None] - clock[when]))
    seen = np.isfinite(y.ravel())
    system = full[np.ix_(seen, seen)] + covariance.nugget * np.eye(seen.sum())
    gain = np.linalg.solve(system, full[seen]).T
    return (gain @ y.ravel()[seen]).reshape(y.shape), full - gain @ full[seen]


@pytest.fixture(params=["factorised", "iterated"])
def way(request, monkeypatch):
    """Small systems are factorised, and large ones are not."""
    if request.param == "iterated":
        monkeypatch.setattr(solve_kernels, "FEW", 0)
        monkeypatch.setattr(solve_kernels, "TOLERANCE", 1e-5)
    return request.param


def test_it_is_the_dense_formula(way):
    """Estimate and standard error are those of the formula, with all observations as neighbours."""
    y, place, clock = problem()
    analysis = Analysis(np.isfinite(y), place, clock, TWO)
    x, error = dense(y, place, clock, TWO)
    np.testing.assert_allclose(analysis.estimate(y), x, atol=1e-5 if way == "factorised" else 2e-4)
    std = np.sqrt(np.diag(error)).reshape(y.shape)
    np.testing.assert_allclose(
        analysis.standard_error(y.size), std, atol=1e-5 if way == "factorised" else 1e-3
    )
    assert (analysis.iterations > 3) == (way == "iterated")


def test_it_is_the_regression_of_scikit_learn():
    """Estimate and standard error of a Gaussian process with one squared exponential."""
    y, place, clock = problem(10)
    one = SumOfSeparable((Separable(1.5, 50.0, 3.0, "gaussian", "gaussian"),), nugget=0.1)
    when, where = np.divmod(np.arange(y.size), len(place))
    points, seen = np.column_stack([place[where], clock[when]]), np.isfinite(y.ravel())
    kernel = ConstantKernel(1.5) * RBF([50.0, 50.0, 3.0])
    reference = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None).fit(points[seen], y.ravel()[seen])
    x, std = reference.predict(points, return_std=True)
    analysis = Analysis(np.isfinite(y), place, clock, one)
    np.testing.assert_allclose(analysis.estimate(y).ravel(), x, atol=1e-5)
    np.testing.assert_allclose(analysis.standard_error().ravel(), std, atol=1e-5)


def test_a_few_neighbours_have_nearly_the_standard_error_of_all(monkeypatch):
    """Within a few percent, and never below that of all by more."""
    y, place, clock = problem(60, seen=0.2)
    exact = Analysis(np.isfinite(y), place, clock, TWO).standard_error()
    monkeypatch.setattr(solve_kernels, "FEW", 0)
    found = Analysis(np.isfinite(y), place, clock, TWO).standard_error(60)
    np.testing.assert_allclose(np.median(found / exact), 1.0, atol=0.03)
    assert (found > 0.97 * exact).all()
    assert (found < 1.3 * exact).all()


def test_neighbours_alone_come_close(monkeypatch):
    """An estimate from 60 neighbours differs little from that of all."""
    y, place, clock = problem(60)
    x, _ = dense(y, place, clock, TWO)
    found, _ = Analysis(np.isfinite(y), place, clock, TWO).local(y, 60)
    assert np.sqrt(np.mean((found - x) ** 2)) < 0.1 * x.std()


@pytest.mark.parametrize("globe", [False, True])
def test_transforms_along_rows_are_the_dense_product(globe, monkeypatch):
    """On a plane, and on a grid of latitudes and longitudes, whose rows have different spacings."""
    rows, columns = 6, 9
    if globe:
        phi, theta = np.radians(
            np.meshgrid(50 + 2.0 * np.arange(rows), 3.0 * np.arange(columns), indexing="ij")
        )
        unit = np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], -1)
        place = 600 * unit.reshape(-1, 3)
    else:
        place = problem(2, rows, columns)[1]
    assert regular(place, (rows, columns))
    clock, x = np.arange(8.0), np.random.default_rng(0).standard_normal((8, rows * columns)).astype("float32")
    expected = Kronecker(place, clock, TWO)(x)
    monkeypatch.setattr("da4dvar.baselines.products.DENSE", 0)
    found = Kronecker(place, clock, TWO, (rows, columns))
    assert not found.dense
    np.testing.assert_allclose(found(x), expected, atol=1e-4)


def test_rows_of_uneven_cells_are_not_regular():
    """A stretched or a curvilinear grid is not multiplied by transforms."""
    place = problem(2, 6, 9)[1]
    assert not regular(place**1.1, (6, 9))
    assert not regular(place, (54,))


def test_draws_have_the_mean_and_the_covariance_of_the_formula(way):
    """Samples given the observations: mean and covariances between different points."""
    y, place, clock = problem(6, 3, 3)
    x, error = dense(y, place, clock, TWO)
    seen, all_times = np.isfinite(y), windows(clock, len(clock))
    draw = Deviations(seen, place, clock, TWO, all_times, None, 400, Analysis.estimate)
    mean = Analysis(seen, place, clock, TWO).estimate(y)
    drawn = np.stack([mean + draw([1, k]) for k in range(3000)]).reshape(3000, -1)
    np.testing.assert_allclose(drawn.mean(0), x.ravel(), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), error, atol=0.05)


def test_a_solve_that_does_not_converge_is_refused(monkeypatch):
    """It never returns what it has reached."""
    monkeypatch.setattr(solve_kernels, "FEW", 0)
    monkeypatch.setattr(solve_kernels, "IN_DOUBLE", 0)
    y, place, clock = problem()
    with pytest.raises(DataError, match=r"left a residual of .* after 2 iterations, expected 0.005"):
        Analysis(np.isfinite(y), place, clock, TWO, iterations=2).estimate(y)


def test_the_residual_is_what_was_asked_for(monkeypatch):
    """By the dense matrix too, even if the nugget is tiny and the kernels smooth: in double precision."""
    monkeypatch.setattr(solve_kernels, "FEW", 0)
    y, place, clock = problem(40, seen=0.8)
    smooth = SumOfSeparable((Separable(1.0, 60.0, 6.0, "gaussian", "gaussian"),), nugget=1e-6)
    analysis = Analysis(np.isfinite(y), place, clock, smooth)
    seen = y[np.isfinite(y)]
    w = analysis.solved(seen)
    each = np.arange(seen.size)[None]
    system = analysis.block(analysis.when[each], analysis.where[each], "float64")[0]
    assert np.linalg.norm(system @ w - seen) < 1.2 * solve_kernels.TOLERANCE * np.linalg.norm(seen)


def test_an_iteration_that_grows_goes_on_in_double_precision():
    """From the smallest residual of single precision."""
    values = np.geomspace(1, 1e-4, 200)
    y = np.sqrt(values) * np.random.default_rng(0).standard_normal(200)

    def residual(error: float, w: np.ndarray) -> float:
        return float(np.linalg.norm(y - (values - error) * w) / np.linalg.norm(y))

    def solved(error: float, dtype: str, start: np.ndarray) -> tuple[np.ndarray, float, int]:
        a = (values - error).astype(dtype)
        system: Any = SimpleNamespace(matrix=lambda w: a * w, preconditioned=lambda r: r)
        return conjugate_gradients(system, y.astype(dtype), start.astype(dtype), 10_000)

    # Rounding has made the matrix indefinite.
    w, left, count = solved(1e-3, "float32", np.zeros(200))
    assert solve_kernels.STALLED < count < 1000
    assert solve_kernels.TOLERANCE < left < 0.5
    assert left == pytest.approx(residual(1e-3, w), rel=1e-3)
    after = solved(0.0, "float64", w)
    assert residual(0.0, after[0]) <= solve_kernels.TOLERANCE
    assert solved(0.0, "float64", after[0])[2] == 0


def test_blocks_hold_every_point_once():
    """Blocks are no larger than asked for, of neighbours, and their order is a permutation."""
    points = np.random.default_rng(0).random((333, 3))
    blocks = bisected(points, 16)
    assert max(map(len, blocks)) <= 16
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(333))
    assert np.mean([np.ptp(points[b], axis=0).max() for b in blocks]) < 0.6
    np.testing.assert_array_equal(np.sort(coarse_to_fine(37)), np.arange(37))
