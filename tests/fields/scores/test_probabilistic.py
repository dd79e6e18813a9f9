"""Probabilistic scores, with the package `scores`, quadrature and scipy.stats as oracles."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from scores.probability import crps_for_ensemble

from da4dvar.errors import DataError
from da4dvar.fields.scores.probabilistic import (
    coverage,
    crps_gaussian,
    reliability,
    spread_skill,
)

DIMS = ("time", "lat", "lon")
every_dims = pytest.mark.parametrize("dims", [None, ["time"], ["lat", "lon"], []])


def field(seed: int, gaps: float = 0.0) -> xr.DataArray:
    """Standard normal numbers, some of them missing."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((7, 5, 4))
    values[generator.random(values.shape) < gaps] = np.nan
    return xr.DataArray(values, dims=DIMS)


@settings(max_examples=25, deadline=None)
@given(mean=st.floats(-3, 3), std=st.floats(0.1, 4), truth=st.floats(-3, 3))
def test_crps_of_a_gaussian_is_the_integral_that_defines_it(mean: float, std: float, truth: float) -> None:
    """∫ (F(z) − 1(z ≥ x))² dz."""
    below = quad(lambda z: norm.cdf(z, mean, std) ** 2, mean - 12 * std - 6, truth)[0]
    above = quad(lambda z: norm.sf(z, mean, std) ** 2, truth, mean + 12 * std + 6)[0]
    got = crps_gaussian(*(xr.DataArray(v) for v in (mean, std, truth)))
    assert float(got) == pytest.approx(below + above, abs=1e-6)


@every_dims
def test_crps_of_a_gaussian_is_that_of_many_of_its_members(dims: list[str] | None) -> None:
    """The members are the quantiles of the Gaussian."""
    mean, truth = field(1), field(2, gaps=0.2)
    std = 0.5 + abs(field(3))
    p = xr.DataArray((np.arange(2000) + 0.5) / 2000, dims="member")
    quantiles = mean + std * xr.apply_ufunc(norm.ppf, p)
    expected = crps_for_ensemble(quantiles, truth, "member", preserve_dims="all").mean(dims)
    xr.testing.assert_allclose(crps_gaussian(mean, std, truth, dims), expected, atol=1e-3)


def test_crps_without_spread_is_the_absolute_error() -> None:
    """The limit σ → 0, where the formula divides by 0."""
    mean, truth = field(1), field(2)
    got = crps_gaussian(mean, xr.zeros_like(mean), truth, [])
    xr.testing.assert_allclose(got, abs(mean - truth))


def test_crps_of_a_gaussian_leaves_gaps_out() -> None:
    """A cell without a mean, an error bar or a truth does not count."""
    parts = [field(1, 0.3), abs(field(2, 0.3)), field(3, 0.3)]
    known = np.logical_and.reduce([a.notnull() for a in parts])
    each = crps_gaussian(*parts, dims=[]).values
    np.testing.assert_array_equal(np.isfinite(each), known)
    assert float(crps_gaussian(*parts)) == pytest.approx(each[known].mean())


@every_dims
def test_coverage_by_hand(dims: list[str] | None) -> None:
    """A count over the cells where all three are known, bounds included."""
    lower, upper, truth = field(1, 0.2), field(1, 0.2) + 1, field(2, 0.2)
    truth[0, 0, 0] = lower[0, 0, 0] = 0.0
    values = np.where((lower <= truth) & (truth <= upper), 1.0, 0.0)
    values[np.isnan(lower.values + upper.values + truth.values)] = np.nan
    xr.testing.assert_allclose(coverage(lower, upper, truth, dims), truth.copy(data=values).mean(dims))


def test_spread_skill_is_a_ratio_of_root_mean_squares() -> None:
    """Over the same cells, whatever the gaps of each."""
    std, estimate, truth = abs(field(1, 0.2)), field(2, 0.2), field(3, 0.2)
    known = np.isfinite(std.values + estimate.values + truth.values)
    s, e = std.values[known], (estimate - truth).values[known]
    assert float(spread_skill(std, estimate, truth)) == pytest.approx(np.sqrt((s**2).mean() / (e**2).mean()))
    assert spread_skill(std, estimate, truth, ["time"]).dims == ("lat", "lon")


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.1, 10))
def test_spread_skill_grows_with_the_spread(factor: float) -> None:
    """Error bars that are k times as wide have k times the ratio."""
    std, estimate, truth = abs(field(1)), field(2), field(3)
    once = float(spread_skill(std, estimate, truth))
    assert float(spread_skill(factor * std, estimate, truth)) == pytest.approx(factor * once)


def test_honest_error_bars_are_reliable() -> None:
    """Of Gaussian errors with the σ that is stated, p lie in the interval of level p."""
    generator = np.random.default_rng(0)
    std = xr.DataArray(generator.uniform(0.5, 2, 40000), dims="time")
    truth = std * generator.standard_normal(40000)
    got = reliability(std, xr.zeros_like(std), truth, [0.1, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(got, got.level, atol=5 * 0.5 / 200)


def test_reliability_of_error_bars_half_as_wide() -> None:
    """The part of a Gaussian that lies within half of the interval's quantile."""
    quantiles = xr.DataArray(norm.ppf((np.arange(10000) + 0.5) / 10000), dims="time")
    half = xr.full_like(quantiles, 0.5)
    got = reliability(half, xr.zeros_like(half), quantiles, [0.5, 0.9])
    np.testing.assert_allclose(got, 2 * norm.cdf(norm.ppf([0.75, 0.95]) / 2) - 1, atol=1e-3)


def test_reliability_of_each_cell() -> None:
    """The levels come first, then the dimensions that were not averaged over."""
    got = reliability(abs(field(1)), field(2), field(3), [0.5, 0.8], ["time"])
    assert got.dims == ("level", "lat", "lon")
    np.testing.assert_array_equal(got.level, [0.5, 0.8])


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    """A per cent is not a part of one."""
    with pytest.raises(DataError, match=f"a level is {level}, expected between 0 and 1"):
        reliability(field(1), field(2), field(3), [0.5, level])


def test_lazy_in_lazy_out() -> None:
    """The same numbers, once they are asked for, from whatever chunks."""
    mean, std, truth = field(1), abs(field(2)), field(3, 0.1)
    chunked = [a.chunk(time=2, lat=3) for a in (mean, std, truth)]
    pairs = [
        (crps_gaussian(*chunked), crps_gaussian(mean, std, truth)),
        (spread_skill(chunked[1], chunked[0], chunked[2]), spread_skill(std, mean, truth)),
        (reliability(chunked[1], *chunked[::2], [0.5]), reliability(std, mean, truth, [0.5])),
    ]
    for lazy, eager in pairs:
        assert lazy.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), eager)
