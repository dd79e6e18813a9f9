"""Probabilistic scores, checked against quadrature and scipy.stats."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from da4dvar.errors import DataError
from da4dvar.fields.scores.probabilistic import coverage, crps_gaussian, reliability, spread_skill

DIMS = ("time", "lat", "lon")
every_dims = pytest.mark.parametrize("dims", [None, ["time"], ["lat", "lon"], []])


def field(seed: int, gaps: float = 0.0) -> xr.DataArray:
    """Return standard normal numbers with gaps."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((7, 5, 4))
    values[generator.random(values.shape) < gaps] = np.nan
    return xr.DataArray(values, dims=DIMS)


@settings(max_examples=25, deadline=None)
@given(mean=st.floats(-3, 3), std=st.floats(0.1, 4), truth=st.floats(-3, 3))
def test_crps_of_a_gaussian_is_the_integral_that_defines_it(mean, std, truth):
    """The CRPS is ∫ (F(z) − 1(z ≥ x))² dz."""
    below = quad(lambda z: norm.cdf(z, mean, std) ** 2, mean - 12 * std - 6, truth)[0]
    above = quad(lambda z: norm.sf(z, mean, std) ** 2, truth, mean + 12 * std + 6)[0]
    got = crps_gaussian(*(xr.DataArray(v) for v in (mean, std, truth)))
    assert float(got) == pytest.approx(below + above, abs=1e-6)


def test_crps_without_spread_and_spread_skill():
    """Without spread, the CRPS is the absolute error; the ratio of spread and skill uses the same cells."""
    mean, truth = field(1), field(2)
    got = crps_gaussian(mean, xr.zeros_like(mean), truth, [])
    xr.testing.assert_allclose(got, abs(mean - truth))
    std, estimate, truth = abs(field(1, 0.2)), field(2, 0.2), field(3, 0.2)
    known = np.isfinite(std.values + estimate.values + truth.values)
    s, e = std.values[known], (estimate - truth).values[known]
    assert float(spread_skill(std, estimate, truth)) == pytest.approx(np.sqrt((s**2).mean() / (e**2).mean()))
    assert spread_skill(std, estimate, truth, ["time"]).dims == ("lat", "lon")


@every_dims
def test_crps_of_a_gaussian_leaves_gaps_out(dims):
    """Cells without a mean, an error bar or a truth are ignored; the others are averaged."""
    parts = [field(1, 0.3), abs(field(2, 0.3)), field(3, 0.3)]
    each = crps_gaussian(*parts, dims=[])
    np.testing.assert_array_equal(each.notnull(), np.logical_and.reduce([a.notnull() for a in parts]))
    xr.testing.assert_allclose(crps_gaussian(*parts, dims=dims), each.mean(dims))


@every_dims
def test_coverage_by_hand(dims):
    """Coverage counts the cells where all three are known, bounds included."""
    lower, upper, truth = field(1, 0.2), field(1, 0.2) + 1, field(2, 0.2)
    truth[0, 0, 0] = lower[0, 0, 0] = 0.0
    values = np.where((lower <= truth) & (truth <= upper), 1.0, 0.0)
    values[np.isnan(lower.values + upper.values + truth.values)] = np.nan
    xr.testing.assert_allclose(coverage(lower, upper, truth, dims), truth.copy(data=values).mean(dims))


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_reliability_is_the_part_of_a_gaussian_within_its_interval(factor):
    """Calibrated error bars have a reliability equal to the level, others that of the scaled interval."""
    quantiles = xr.DataArray(norm.ppf((np.arange(10000) + 0.5) / 10000), dims="time")
    std = xr.full_like(quantiles, factor)
    got = reliability(3 * std, xr.zeros_like(std), 3 * quantiles, [0.1, 0.5, 0.9])
    expected = 2 * norm.cdf(factor * norm.ppf((1 + got.level) / 2)) - 1
    np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_probability_is_refused(level):
    """A level in per cent is refused."""
    with pytest.raises(DataError, match=f"a level is {level}, expected a number between 0 and 1"):
        reliability(field(1), field(2), field(3), [0.5, level])


def test_lazy_in_lazy_out():
    """Lazy data give lazy scores with the same values, for each cell that is left."""
    mean, std, truth = field(1), abs(field(2)), field(3, 0.1)
    lazy = [a.chunk(time=2, lat=3) for a in (mean, std, truth)]

    def scores(mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray) -> list[xr.DataArray]:
        reliable = reliability(std, mean, truth, [0.5, 0.8], ["time"])
        return [crps_gaussian(mean, std, truth), spread_skill(std, mean, truth), reliable]

    for got, expected in zip(scores(*lazy), scores(mean, std, truth), strict=True):
        assert got.chunks is not None
        xr.testing.assert_allclose(got.compute(), expected)
    assert got.dims == ("level", "lat", "lon")
    np.testing.assert_array_equal(got.level, [0.5, 0.8])
