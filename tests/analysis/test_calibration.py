"""Calibration: intervals cover what they state, whatever the spread was."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import t as student

from da4dvar.analysis.calibration import LEVELS, Calibration, levels_of
from da4dvar.errors import DataError


def errors(seed: int, number: int = 20_000, wrong: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian errors and their standard deviations, stated too small by a factor."""
    generator = np.random.default_rng(seed)
    sigma = generator.uniform(0.5, 3, number)
    return sigma * generator.standard_normal(number), sigma / wrong


def half_width(fitted: Calibration, level: float, spread: np.ndarray) -> np.ndarray:
    """Return the half-width of the interval of a level."""
    return fitted.factor(level) * fitted.sigma(spread, 0.0, np.zeros(spread.size))


def test_a_perfect_gaussian_has_the_quantiles_of_the_normal_distribution():
    """For a correct spread, σ = s and q_p = Φ⁻¹((1 + p)/2); errors of Student's t are covered too."""
    fitted = Calibration.fit(*errors(0, 200_000))
    assert (fitted.spread, fitted.floor) == (pytest.approx(1, abs=0.02), pytest.approx(0, abs=0.15))
    np.testing.assert_allclose(fitted.factors, ndtri((1 + np.array(LEVELS)) / 2), rtol=0.03)
    draws = student(2).rvs((2, 20_000), random_state=0)
    ones = np.ones(20_000)
    fitted = Calibration.fit(draws[0], ones)
    for level in (0.5, 0.77, 0.9):
        covered = np.mean(np.abs(draws[1]) <= half_width(fitted, level, ones))
        assert covered == pytest.approx(level, abs=0.015)


@pytest.mark.parametrize("wrong", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_a_spread_that_is_wrong_by_a_factor_still_covers(wrong, level):
    """The coverage of other points is within two per cent of the level."""
    fitted = Calibration.fit(*errors(1, wrong=wrong))
    error, spread = errors(2, wrong=wrong)
    covered = np.mean(np.abs(error) <= half_width(fitted, level, spread))
    assert covered == pytest.approx(level, abs=0.02)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e3), units=st.floats(1e-3, 1e3))
def test_a_spread_in_other_units_changes_nothing(scale, units):
    """Intervals do not depend on the units of the spread, and scale with the errors."""
    error, spread = errors(3, 3000)
    expected = half_width(Calibration.fit(error, spread), 0.9, spread)
    found = half_width(Calibration.fit(units * error, scale * spread), 0.9, scale * spread)
    np.testing.assert_allclose(found, units * expected, rtol=0.05)


def test_each_source_is_told_from_the_others():
    """All coefficients of σ² are recovered, and larger distances count as the largest known."""
    generator = np.random.default_rng(4)
    s, g, r = generator.uniform(0, 1, (3, 200_000)) * np.array([[1.0], [4.0], [40.0]])
    sigma = np.sqrt(0.25 + 4 * s**2 + 0.49 * g**2 + 0.09 * r)
    fitted = Calibration.fit(sigma * generator.standard_normal(s.size), s, g, r)
    assert (fitted.spread, fitted.guess, fitted.distance) == pytest.approx((2, 0.7, 0.3), rel=0.1)
    far = fitted.sigma(np.zeros(2), 0.0, np.array([fitted.reach, np.inf]))
    assert far[0] == far[1]


def test_a_sampling_with_larger_errors_has_wider_intervals():
    """Errors that are f⁻⁰·² times what the ensemble says are covered alike where f is small and large."""
    error, spread = errors(6, 40_000)
    share = np.where(np.arange(error.size) % 3, 0.03, 0.6)
    error *= share**-0.2
    fitted = Calibration.fit(error, spread, share=share)
    assert (fitted.sparsity, fitted.sparsest) == (pytest.approx(0.2, abs=0.02), 0.03)
    inside = np.abs(error) <= fitted.factor(0.9) * fitted.sigma(spread, 0.0, 0 * spread, share)
    assert [inside[share == f].mean() for f in (0.03, 0.6)] == pytest.approx([0.9, 0.9], abs=0.01)
    rare = fitted.sigma(np.ones(3), 0.0, np.zeros(3), np.array([0.0, 0.03, 1.0]))
    assert rare[0] == rare[1] > rare[2]


def test_a_share_that_is_everywhere_the_same_changes_nothing():
    """With one share, the exponent is 0 and all else is as without it, as in files without an exponent."""
    error, spread = errors(7)
    fitted = Calibration.fit(error, spread, share=np.full(error.size, 0.3))
    plain = Calibration.fit(error, spread)
    assert fitted.sparsity == 0
    where = np.full(spread.size, 0.3)
    np.testing.assert_allclose(
        fitted.sigma(spread, 0.0, 0 * spread, where), plain.sigma(spread, 0.0, 0 * spread), rtol=1e-3
    )
    older = {k: v for k, v in asdict(plain).items() if k not in ("sparsity", "sparsest")}
    assert Calibration.from_dict(older) == plain


def test_few_points_promise_no_more_than_they_know():
    """60 points support levels up to 0.98, also after JSON, and fewer than 50 points are refused."""
    error, spread = errors(5, 60)
    fitted = Calibration.fit(error, spread)
    assert fitted.levels[-1] == 0.98
    with pytest.raises(DataError, match=r"supports only levels from 0.05 to 0.98"):
        fitted.factor(0.99)
    with pytest.raises(DataError, match=r"40 points .* expected 50 or more"):
        Calibration.fit(error[:40], spread[:40])
    assert Calibration.from_dict(json.loads(json.dumps(asdict(fitted)))) == fitted


@pytest.mark.parametrize(
    "wrong", [0.0, 1.0, -0.1, 90.0, [0.5, 1.0], "0.9", ["0.9"], None, np.array(0.9), [[0.9]], 90], ids=repr
)
def test_levels_are_numbers_between_0_and_1(wrong):
    """A single level needs no list; everything else is refused with an example."""
    for level in (0.9, np.float32(0.9), (0.9,), np.array([0.9])):
        assert levels_of(level) == pytest.approx((0.9,))
    with pytest.raises(DataError, match=r"^interval: got .*, expected numbers above 0 .*, such as 0\.9"):
        levels_of(wrong)
