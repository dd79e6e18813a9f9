"""Tests of the covariance in space and time, and of its estimation."""

from typing import Any

import numpy as np
import pytest

from da4dvar.baselines.covariance import Gaussian, classes, correlogram, fit_covariance
from da4dvar.errors import DataError


def root(n: int, scale: float) -> np.ndarray:
    """A, where A Aᵀ is the Gaussian correlation of n steps."""
    steps = np.arange(n)
    eigenvalues, v = np.linalg.eigh(np.exp(-0.5 * (np.subtract.outer(steps, steps) / scale) ** 2))
    return v * np.sqrt(eigenvalues.clip(0))


def simulated(seen: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A partly observed field with s² = 4, L = 3, T = 5 and ε² = 0.49, and its positions and times."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((200, 24, 24))
    a, b = root(200, 5.0), root(24, 3.0)
    field = np.einsum("at,by,cx,tyx->abc", a, b, b, noise, optimize=True).reshape(200, -1)
    y = 2 * field + 0.7 * generator.standard_normal(field.shape)
    y[generator.random(y.shape) >= seen] = np.nan
    place = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0), indexing="ij"), -1).reshape(-1, 2)
    return y, place, np.arange(200.0)


def fit(y: np.ndarray, place: np.ndarray, time: np.ndarray, **known: float) -> Gaussian:
    """Fit with fewer pairs than the default, as the field is small."""
    return fit_covariance(y, place, time, pairs=2_000_000, **known)  # type: ignore[arg-type]


def test_a_class_of_three_pairs_does_not_decide(monkeypatch):
    """An outlier in a class of three pairs does not change the scales."""
    y, place, time = simulated(0.3)
    expected = fit(y, place, time)

    def with_one_more(*arguments: Any) -> list[np.ndarray]:
        more = (0.0, 64.0, 2.2, 3.0)
        return [np.append(a, b) for a, b in zip(correlogram(*arguments), more, strict=True)]

    monkeypatch.setattr("da4dvar.baselines.covariance.correlogram", with_one_more)
    found = fit(y, place, time)
    assert found.length == pytest.approx(expected.length, rel=0.05)
    assert found.duration == pytest.approx(expected.duration, rel=0.05)


def test_the_covariance_is_its_formula():
    """The covariance follows its formula, without the nugget and with infinite scales ignored."""
    covariance = Gaussian(variance=2.0, length=3.0, duration=4.0, nugget=9.0)
    np.testing.assert_allclose(covariance(3.0, np.array([0.0, 8.0])), 2 * np.exp([-0.5, -2.5]))
    assert Gaussian(2.0, np.inf, 4.0, 0.0)(1e6, 4.0) == pytest.approx(2 * np.exp(-0.5))


@pytest.mark.parametrize("seen", [0.5, 0.05])
def test_the_scales_of_a_simulated_field_are_recovered(seen):
    """The scales are recovered to a quarter, even if no cell is observed twice within T."""
    fitted = fit(*simulated(seen))
    assert (fitted.variance, fitted.length) == (pytest.approx(4, rel=0.25), pytest.approx(3, rel=0.25))
    assert fitted.duration == pytest.approx(5, rel=0.25)
    assert fitted.variance + fitted.nugget == pytest.approx(4.49, rel=0.2)


def test_the_nugget_of_a_field_is_told_from_its_variance():
    """Variance and nugget are told apart, and given parameters are kept."""
    y, place, time = simulated(1.0)
    y = y + np.random.default_rng(9).normal(0, np.sqrt(3.51), y.shape)
    fitted = fit(y, place, time)
    assert (fitted.variance, fitted.nugget) == (pytest.approx(4, rel=0.25), pytest.approx(4, rel=0.25))
    y, place, time = simulated(0.2)
    fitted = fit(y, place, time, length=2.5, nugget=0.25)
    assert (fitted.length, fitted.nugget) == (2.5, pytest.approx(0.25))
    assert fitted.duration == pytest.approx(5, rel=0.3)
    assert fit(y, place, time, duration=6.0).duration == 6.0


def test_the_scales_follow_the_units():
    """The scales follow the units; a single series has no length, and a single map no duration."""
    y, place, time = simulated(0.1)
    one, other = fit(y, place, time), fit(2 * y, 10 * place, 24 * time)
    assert other.variance == pytest.approx(4 * one.variance, rel=1e-3)
    assert other.length == pytest.approx(10 * one.length, rel=1e-3)
    assert other.duration == pytest.approx(24 * one.duration, rel=1e-3)
    y, place, time = simulated(1.0)
    assert fit(y[:, :1], np.empty((1, 0)), time).length == np.inf
    assert fit(y[:1], place, time[:1]).duration == np.inf


def test_the_correlogram_is_the_mean_product():
    """The correlogram equals that computed by hand, without pairs of an observation with itself."""
    y = np.array([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0]])
    place, time = np.array([[0.0], [1.0]]), np.arange(3.0)[:, None]
    distance, lag, product, count = correlogram(
        y, np.isfinite(y), place, time, np.array([0.5, 1.5]), np.array([0.5, 2.5]), 10**6, seed=0
    )
    found = {(d > 0, t > 0): (p, n) for d, t, p, n in zip(distance, lag, product, count, strict=True)}
    apart = [1 * 3, 2 * 5, 3 * 7, 5 * 11, 1 * 7, 2 * 11]
    both = [1 * 5, 2 * 3, 3 * 11, 5 * 7, 1 * 11, 2 * 7]
    assert found[True, False] == (pytest.approx(np.mean([2, 15, 77])), 6)
    assert found[False, True] == (pytest.approx(np.mean(apart)), 6)
    assert found[True, True] == (pytest.approx(np.mean(both)), 6)
    assert (False, False) not in found


def test_classes_start_below_the_spacing():
    """Nearest neighbours and coincident points are in different distance classes."""
    edges = classes(np.arange(10.0)[:, None] * 25)
    assert edges[0] == 12.5
    assert 112 < edges[-1] < 225
    assert classes(np.zeros((5, 2))).size == 0


@pytest.mark.parametrize("y", [np.full((3, 1), np.nan), [[1.0], [np.nan]], np.zeros((3, 1))])
def test_too_little_is_refused(y):
    """No observation, a single one, or constant data are refused."""
    with pytest.raises(DataError, match="cannot fit a covariance"):
        fit_covariance(np.asarray(y), np.empty((1, 0)), np.arange(len(y)))
