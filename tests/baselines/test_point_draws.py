"""Tests of draws of the error of a map of points, against the posterior covariance of a dense problem."""

from dataclasses import replace

import numpy as np
import pytest

from da4dvar.baselines import point_analysis
from da4dvar.baselines.draws import unconditional, unconditional_at
from da4dvar.baselines.point_draws import PointDeviations
from da4dvar.baselines.point_interpolation import FittedPoints, PointInterpolation, Scattered
from da4dvar.variational.kernels import Separable, SumOfSeparable

KERNEL = SumOfSeparable(
    (
        Separable(1.0, 30.0, 8.0, "matern32", "gaussian"),
        Separable(0.5, 80.0, 40.0, "exponential", "matern52", period=10.0, width=1.0),
    ),
    nugget=0.6,
)
PLACE, CLOCK = np.array([[40.0, 50.0], [45.0, 52.0], [90.0, 5.0], [300.0, 300.0]]), np.array([10.0, 70.0])
DRAWS = 800


def points(number: int = 60, seed: int = 0) -> Scattered:
    """Points of two platforms, one of which has a bias, on a background of a mean and a slope."""
    generator = np.random.default_rng(seed)
    place, clock = generator.uniform(20, 70, (number, 2)), generator.uniform(0, 20, number)
    platform = np.arange(number) % 2
    value = unconditional_at(KERNEL, place, clock, [7]) + 2.0 * platform + 0.1 * clock
    value += 0.8 * generator.standard_normal(number)
    return replace(
        Scattered.of(value, place, clock), platform=platform, basis=np.column_stack([clock**0, clock / 20])
    )


def posterior(fitted: FittedPoints, basis: np.ndarray) -> np.ndarray:
    """The covariance of the field in all cells given the points, with the priors of background and biases."""
    own = fitted.points
    when, where = np.divmod(np.arange(len(CLOCK) * len(PLACE)), len(PLACE))
    place, clock = np.concatenate([own.place, PLACE[where]]), np.concatenate([own.clock, CLOCK[when]])
    apart = np.linalg.norm(place[:, None] - place, axis=-1)
    whole = KERNEL(apart, np.abs(clock[:, None] - clock))
    bias = own.platform[:, None] == np.arange(fitted.bias.size)
    z = np.concatenate([np.hstack([own.basis, bias]), np.pad(basis[when], ((0, 0), (0, bias.shape[1])))])
    prior, first = np.diag(fitted.prior), own.basis.shape[1]
    prior[first:, first:] -= prior[first:, first:].mean(0)  # no bias that all share
    whole = whole + z @ prior @ z.T
    n = len(own.value)
    system = whole[:n, :n] + np.diag(fitted.analysis.noise)
    return whole[n:, n:] - whole[n:, :n] @ np.linalg.solve(system, whole[:n, n:])


@pytest.mark.parametrize("all_points", [True, False])
def test_draws_have_the_covariance_of_the_posterior(all_points):
    """Mean, standard errors and correlations, with the errors of the background and of the biases."""
    method = PointInterpolation(all_points=all_points, neighbours=60, covariance=KERNEL)
    fitted = method.fitted(points())
    assert fitted.bias[1] - fitted.bias[0] > 1
    basis = np.column_stack([CLOCK**0, CLOCK / 20])
    draw = PointDeviations(fitted, PLACE, CLOCK, basis)
    drawn = np.stack([draw([3, k]).ravel() for k in range(DRAWS)])
    expected = posterior(fitted, basis)
    std = np.sqrt(np.diag(expected))
    assert std.max() > 2 * std.min()
    assert (np.abs(drawn.mean(0)) < 4 * std / np.sqrt(DRAWS)).all()
    np.testing.assert_allclose(drawn.std(0), std, rtol=0.1)
    correlation = expected / std / std[:, None]
    assert np.abs(correlation - np.eye(len(std))).max() > 0.5
    np.testing.assert_allclose(np.corrcoef(drawn.T), correlation, atol=0.13)


def test_a_known_background_has_no_error():
    """Without the priors of the background and the biases, the standard error is that of the method."""
    method = PointInterpolation(covariance=KERNEL, biases=False, neighbours=60)
    fitted = method.fitted(points())
    known = replace(fitted, gain=0 * fitted.gain, prior=0 * fitted.prior)
    basis = np.zeros((len(CLOCK), 2))
    draw = PointDeviations(known, PLACE, CLOCK, basis)
    std = known.on_grid(PLACE, CLOCK, basis)[1]
    np.testing.assert_allclose(np.std([draw([3, k]) for k in range(DRAWS)], axis=0), std, rtol=0.1)


def test_standardised_draws_have_variance_1():
    """Given the standard error of the method, which leaves out the errors of background and biases."""
    fitted = PointInterpolation(covariance=KERNEL).fitted(replace(points(), basis=np.ones((60, 1))))
    basis = np.ones((len(CLOCK), 1))
    draw = PointDeviations(fitted, PLACE, CLOCK, basis)
    z = draw.standardised(fitted.on_grid(PLACE, CLOCK, basis)[1])
    assert np.std([z([3, k]) for k in range(150)], axis=0) == pytest.approx(1.0, abs=0.3)


def test_a_draw_of_a_cell_does_not_depend_on_other_cells_or_times():
    """Blocks of cells fit together; the same seed gives the same bits, another seed other values."""
    fitted = PointInterpolation(covariance=KERNEL).fitted(points())
    basis = np.column_stack([CLOCK**0, CLOCK / 20])
    whole = PointDeviations(fitted, PLACE, CLOCK, basis)([5, 1])
    part = PointDeviations(fitted, PLACE[1:3], CLOCK[1:], basis[1:])([5, 1])
    np.testing.assert_allclose(part, whole[1:, 1:3], atol=1e-5)
    again = PointDeviations(fitted, PLACE, CLOCK, basis)
    assert (again([5, 1]) == whole).all()
    assert np.abs(again([5, 2]) - whole).min() > 1e-4
    assert np.abs(again([6, 1]) - whole).min() > 1e-4


@pytest.mark.parametrize("few", [5000, 10])
def test_at_an_exact_observation_nothing_is_left_to_draw(few, monkeypatch):
    """By factorisation and by conjugate gradients."""
    monkeypatch.setattr(point_analysis, "FEW", few)
    kernel = replace(KERNEL, nugget=1e-4)
    own = replace(points(), platform=np.full(60, -1))
    fitted = PointInterpolation(covariance=kernel).fitted(own)
    for k in (0, 11):
        draw = PointDeviations(fitted, own.place[[k]], own.clock[[k]], own.basis[[k]])
        assert np.std([draw([0, i]) for i in range(60)]) < 0.02
        x = fitted.on_grid(own.place[[k]], own.clock[[k]], own.basis[[k]])[0]
        assert x[0, 0] == pytest.approx(own.value[k], abs=0.03)


def test_a_field_is_the_same_at_points_and_on_a_grid():
    """All forms in space and time, and a period."""
    for form in ("exponential", "matern32", "matern52", "gaussian"):
        kernel = SumOfSeparable((Separable(1.0, 30.0, 5.0, form, form, period=7.0),), nugget=0.0)
        grid = unconditional(kernel, PLACE, CLOCK, [1, 2])
        when, where = np.divmod(np.arange(grid.size), len(PLACE))
        at = unconditional_at(kernel, PLACE[where], CLOCK[when], [1, 2])
        np.testing.assert_allclose(at, grid.ravel(), atol=1e-4)
