"""Tests of optimal interpolation of points: against scikit-learn, and of what is estimated with it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from da4dvar.baselines import point_analysis
from da4dvar.baselines.fit_points import PointSearch, fit_points
from da4dvar.baselines.point_analysis import PointAnalysis
from da4dvar.baselines.point_interpolation import FittedPoints, PointInterpolation, Scattered
from da4dvar.errors import DataError
from da4dvar.variational.kernels import Separable, SumOfSeparable

TRUE = SumOfSeparable((Separable(1.0, 30.0, np.inf, "matern32", "exponential"),), nugget=0.04)
BOTH = SumOfSeparable((Separable(1.0, 30.0, 8.0, "matern52", "exponential"),), nugget=0.04)


def drawn(number, covariance=TRUE, seed=0, size=200.0, days=40.0):
    """Places, times and noisy values of a random field, and the values without noise."""
    generator = np.random.default_rng(seed)
    place, clock = generator.uniform(0, size, (number, 2)), generator.uniform(0, days, number)
    analysis = PointAnalysis(place, clock, np.zeros(number), covariance)
    root = np.linalg.cholesky(analysis.between(place, clock) + 1e-9 * np.eye(number))
    field = root @ generator.standard_normal(number)
    noisy = field + np.sqrt(covariance.nugget) * generator.standard_normal(number)
    return place, clock, noisy, field


def test_estimates_and_standard_errors_are_those_of_scikit_learn():
    """Kriging of 300 places with a Matérn kernel, at further places and on a grid."""
    place, clock, y, _ = drawn(300)
    kernel = ConstantKernel(1.0) * Matern(30.0, nu=1.5) + WhiteKernel(0.04)
    reference = GaussianProcessRegressor(kernel, optimizer=None).fit(place, y)
    targets = np.random.default_rng(1).uniform(0, 200, (64, 2))
    expected, spread = reference.predict(targets, return_std=True)
    analysis = PointAnalysis(place, clock, np.full(300, 0.04), TRUE)
    np.testing.assert_allclose(analysis.at(y, targets, np.zeros(64)), expected, atol=1e-8)
    np.testing.assert_allclose(analysis.on_grid(y, targets, np.zeros(1))[0], expected, atol=1e-8)
    x, std = analysis.local(y, targets, np.zeros(64), 300)
    np.testing.assert_allclose(x, expected, atol=1e-3)
    # That of scikit-learn contains the noise of an observation.
    np.testing.assert_allclose(std**2 + 0.04, spread**2, atol=1e-3)
    near = analysis.local(y, targets, np.zeros(64), 60)[0]
    assert np.sqrt(np.mean((near - expected) ** 2)) < 0.05 * y.std()


def test_many_points_are_solved_like_few(monkeypatch):
    """Conjugate gradients and windows of time, in place of one factorisation."""
    place, clock, y, _ = drawn(400, BOTH, days=200.0)
    grid, times = np.random.default_rng(1).uniform(0, 200, (30, 2)), np.linspace(0, 200, 9)
    analysis = PointAnalysis(place, clock, np.full(400, 0.04), BOTH)
    exact = analysis.on_grid(y, grid, times)
    monkeypatch.setattr(point_analysis, "FEW", 50)
    iterated = PointAnalysis(place, clock, np.full(400, 0.04), BOTH).on_grid(y, grid, times)
    np.testing.assert_allclose(iterated, exact, atol=0.01)
    monkeypatch.setattr(point_analysis, "MOST", 250)
    analysis = PointAnalysis(place, clock, np.full(400, 0.04), BOTH)
    windows = analysis.windows(times)
    assert len(windows) > 1
    assert sorted(np.concatenate([t for t, _ in windows])) == list(range(9))
    assert max(p.size for _, p in windows) <= 250
    np.testing.assert_allclose(analysis.on_grid(y, grid, times), exact, atol=0.05)
    monkeypatch.setattr(point_analysis, "MOST", 50)
    assert PointAnalysis(place, clock, np.full(400, 0.04), BOTH).windows(times) is None


def test_a_solve_that_does_not_converge_is_no_result(monkeypatch):
    """It is an error of one line, with the residual."""
    place, clock, y, _ = drawn(400, BOTH)
    monkeypatch.setattr(point_analysis, "FEW", 50)
    monkeypatch.setattr(point_analysis, "ITERATIONS", 1)
    with pytest.raises(DataError, match=r"400 points left a residual of .* after 1 iterations"):
        PointAnalysis(place, clock, np.full(400, 1e-3), BOTH).at(y, place, clock)


def test_the_covariance_is_found():
    """Variance, scale and noise of a known field, from single points and from tracks."""
    place, clock, y, _ = drawn(500, size=300.0)
    for track in (np.arange(500), np.arange(500) // 10):
        found = fit_points(y, place, 0 * clock, track)
        assert found.nugget == pytest.approx(0.04, abs=0.03)
        assert found.scales(np.exp(-1))[0] == pytest.approx(TRUE.scales(np.exp(-1))[0], rel=0.35)


def test_tracks_are_hidden_whole():
    """No neighbour of a point of a hidden track is of the same track; half of the points are hidden alone."""
    place, clock, _, _ = drawn(200)
    track = np.arange(200) // 10
    search = PointSearch(track.astype(float), place, 0 * clock, track, np.zeros(200), 20, 0)
    (near,) = search.points((30.0, 1.0), [60])
    own = near.values[:, 1:] == near.values[:, :1]
    alone = own.any(1)
    assert (~alone).sum() > 20
    assert alone.sum() > 5


def test_known_errors_are_not_noise_of_the_field():
    """With the error of each point given, the nugget is what is left of the noise."""
    place, clock, y, field = drawn(400)
    error = np.where(np.arange(400) % 2, 0.05, 0.6)
    y = field + error * np.random.default_rng(2).standard_normal(400)
    known = fit_points(y, place, 0 * clock, np.arange(400), error**2)
    unknown = fit_points(y, place, 0 * clock, np.arange(400))
    assert known.nugget < 0.03
    assert unknown.nugget > 0.1
    points = replace(Scattered.of(y, place, 0 * clock), noise=error**2)
    held = PointAnalysis(place, 0 * clock, points.noise, TRUE).at(y, place, 0 * clock)
    alike = PointAnalysis(place, 0 * clock, np.full(400, np.mean(error**2)), TRUE).at(y, place, 0 * clock)
    assert np.mean((held - field) ** 2) < 0.7 * np.mean((alike - field) ** 2)


def platforms(bias: float, seed: int = 0) -> tuple[Scattered, np.ndarray]:
    """Two platforms that cross the same field, the second with a bias and with larger errors."""
    place, clock, _, field = drawn(500, seed=seed)
    which = (np.arange(500) // 25) % 2
    error = np.where(which == 1, 0.4, 0.1)
    y = field + bias * which + error * np.random.default_rng(3).standard_normal(500)
    points = replace(Scattered.of(y, place, 0 * clock), platform=which, track=np.arange(500) // 25)
    return points, field


def test_biases_and_errors_of_platforms_are_estimated():
    """A difference of 0.5 between platforms, and errors of 0.1 and 0.4."""
    points, field = platforms(0.5)
    fitted = PointInterpolation().fitted(points)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(0.5, abs=0.1)
    errors = np.sqrt(fitted.errors)
    assert errors[0] < 0.2
    assert errors[1] == pytest.approx(0.4, abs=0.12)
    x = fitted.at(points.place, points.clock, points.basis)[0]
    without = PointInterpolation(biases=False).fitted(points)
    plain = without.at(points.place, points.clock, points.basis)[0]
    assert np.std(x - field) < 0.9 * np.std(plain - field)
    assert not without.bias.size


def test_no_bias_is_found_where_there_is_none():
    """The likelihood of a bias is compared with that of none."""
    points, _ = platforms(0.0)
    found = FittedPoints.of(points, PointInterpolation(), TRUE, np.array([0.01, 0.16]))
    assert np.abs(found.bias).max(initial=0.0) < 0.05


def test_the_background_is_a_mean_and_cycles():
    """Far from all points, the estimate is the background."""
    clock = np.linspace(0, 730, 300)
    angle = 2 * np.pi * clock / 365.0
    basis = np.column_stack([np.ones(300), np.cos(angle), np.sin(angle)])
    place = np.random.default_rng(0).uniform(0, 100, (300, 2))
    y = basis @ [20.0, 3.0, -2.0] + 0.1 * np.random.default_rng(1).standard_normal(300)
    kernel = SumOfSeparable((Separable(0.05, 20.0, 10.0),), nugget=0.01)
    points = replace(Scattered.of(y, place, clock), basis=basis)
    fitted = PointInterpolation(covariance=kernel).fitted(points)
    np.testing.assert_allclose(fitted.mean, [20.0, 3.0, -2.0], atol=0.1)
    x, std = fitted.at(np.full((1, 2), 1e5), np.zeros(1), basis[:1])
    assert x[0] == pytest.approx(23.0, abs=0.15)
    assert std[0] == pytest.approx(np.sqrt(0.05), rel=1e-3)


def test_points_that_do_not_vary_are_refused():
    """One point, or the same value everywhere."""
    for number in (1, 5):
        with pytest.raises(DataError, match=f"cannot interpolate {number} points with a variance of 0.0"):
            PointInterpolation().fitted(
                Scattered.of(np.ones(number), np.zeros((number, 2)), np.zeros(number))
            )
    with pytest.raises(DataError, match="cannot fit a covariance to 3 points"):
        fit_points(np.zeros(3), np.zeros((3, 2)), np.zeros(3), np.arange(3))
    with pytest.raises(ValueError, match="neighbours is 0"):
        PointInterpolation(neighbours=0)
