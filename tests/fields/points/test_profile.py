"""Profiles by depth: means, cycles whose size depends on the depth, and spreads."""

import numpy as np

from da4dvar.fields.points.profile import Profile
from da4dvar.fields.points.record import Points

DEPTHS = np.array([0.0, 20.0, 50.0, 100.0, 300.0])


def year(number: int = 200) -> tuple[Points, np.ndarray, np.ndarray]:
    """Casts of two years with a season that vanishes with depth, their regressors, and the season."""
    generator = np.random.default_rng(0)
    angle = np.repeat(np.sort(generator.uniform(0, 4 * np.pi, number)), DEPTHS.size)
    depth = np.tile(DEPTHS, number)
    season = 4 * np.exp(-depth / 40) * np.cos(angle)
    noise = (0.1 + np.exp(-depth / 100)) * generator.standard_normal(depth.size)
    cycles = np.stack([np.cos(angle), np.sin(angle)], 1)
    return Points("t", 15 - depth / 50 + season + noise, depth=depth), cycles, season


def test_a_season_is_as_large_as_it_is_at_its_depth():
    """The mean contains it, and the spread does not."""
    points, cycles, season = year()
    mean, spread = Profile.of(points, cycles).at(points.depth, cycles)
    np.testing.assert_allclose(mean, 15 - points.depth / 50 + season, atol=0.35)
    np.testing.assert_allclose(spread, 0.1 + np.exp(-points.depth / 100), rtol=0.2)
    whole = Profile.of(points, cycles[:, :0]).at(DEPTHS, np.empty((DEPTHS.size, 0)))[1]
    assert whole[0] > 2.5


def test_standardised_values_are_alike_at_all_depths():
    """They have a mean of 0 and a spread of about 1."""
    points, cycles, _ = year()
    alike = Profile.of(points, cycles).standardised(points, cycles).value.reshape(-1, DEPTHS.size)
    np.testing.assert_allclose(alike.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(alike.std(0), 1, atol=0.1)


def test_times_and_depths_may_be_those_of_a_grid():
    """As the cells of a map, whose regressors have one row for each time."""
    points, cycles, _ = year()
    profile = Profile.of(points, cycles)
    mean, spread = profile.at(DEPTHS, cycles[:: DEPTHS.size][:, None])
    assert mean.shape == (200, DEPTHS.size)
    assert spread.shape == DEPTHS.shape
    np.testing.assert_allclose(mean.ravel(), profile.at(points.depth, cycles)[0])
