"""Tests of EOF iteration."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.baselines.eof import across_bare_times, as_matrix, fillings, filter_in_time, from_matrix
from da4dvar.baselines.eof_iteration import EofIteration, choose_modes, hidden_values
from da4dvar.errors import DataError


def waves(modes: int = 2, noise: float = 0.0, times: int = 60, seed: int = 0) -> xr.DataArray:
    """A field (time, y, x) of `modes` modes of unit variance about a mean of 10."""
    generator = np.random.default_rng(seed)
    patterns = generator.standard_normal((modes, 8, 10))
    field = np.einsum("tm,myx->tyx", generator.standard_normal((times, modes)), patterns)
    field = 10 + field - field.mean() + noise * generator.standard_normal(field.shape)
    return xr.DataArray(field, dims=("time", "y", "x"), name="sst", attrs={"units": "degC"})


def gappy(field: xr.DataArray, seen: float = 0.5, seed: int = 1) -> xr.Dataset:
    """A field with cells missing at random."""
    return field.where(np.random.default_rng(seed).random(field.shape) < seen).to_dataset()


def anomalies(ds: xr.Dataset) -> np.ndarray:
    """The anomalies of a data set as a matrix."""
    matrix = as_matrix(ds["sst"], "time")
    return matrix - np.nanmean(matrix)


def test_a_field_of_two_modes_is_recovered():
    """A field of two modes with half the values missing is recovered up to the tolerance."""
    truth = waves() - float(waves().mean())
    observed = gappy(truth)
    # The mean of the observations differs from that of the field, which adds a third mode.
    out = EofIteration(modes=3, tolerance=1e-7, iterations=5000).interpolate(observed)
    np.testing.assert_allclose(out.sst, truth, atol=1e-3)


def test_without_gaps_the_modes_are_those_of_a_singular_value_decomposition():
    """The modes are the leading singular vectors of the filled matrix, of which the fill is a fixed point."""
    x = anomalies(gappy(waves(4, noise=0.3), seen=0.8))
    *_, filled = fillings(x, 2, tolerance=1e-9, iterations=5000)
    u, s, vt = np.linalg.svd(filled, full_matrices=False)
    gaps = np.isnan(x)
    np.testing.assert_allclose(filled[gaps], ((u[:, :2] * s[:2]) @ vt[:2])[gaps], atol=1e-5)
    np.testing.assert_array_equal(filled[~gaps], x[~gaps])


@pytest.mark.parametrize("clouds", [True, False])
def test_the_number_of_modes_is_found(clouds):
    """The number of modes of a noisy field is found to within one."""
    modes, errors = choose_modes(anomalies(gappy(waves(3, noise=0.3, times=150), 0.7)), clouds=clouds)
    assert abs(modes - 3) <= 1
    assert modes == errors.argmin() + 1
    assert errors.min() < 0.45 < 1 < errors[0]


def test_the_choice_ends_where_the_error_has_risen():
    """The search ends three modes after the best or at the maximum; a given number of modes is used."""
    x = anomalies(gappy(waves(2, noise=0.5), 0.7))
    modes, errors = choose_modes(x, most=20)
    assert errors.size == modes + 3
    assert choose_modes(x, most=1)[1].size == 1
    truth = waves()
    one, two = (EofIteration(modes=n).interpolate(gappy(truth, 0.8)).sst for n in (1, 3))
    assert float(abs(two - truth).max()) < 0.1 < float(abs(one - truth).max())


def test_a_time_without_any_observation_gets_the_mean():
    """A time without observations gets the overall mean or, with harmonics, the season of each cell."""
    y = gappy(waves(noise=0.3), 0.7)
    y.sst[17] = np.nan
    out = EofIteration().interpolate(y).sst[17]
    np.testing.assert_allclose(out, float(y.sst.mean()), atol=1e-6)
    usual = EofIteration(harmonics=1).interpolate(y).sst[17]
    np.testing.assert_allclose(usual, y.sst.mean("time"), atol=1e-5)
    time = xr.date_range("2001-01-01", periods=730)
    season = 10 * np.cos(2 * np.pi * (time.day_of_year.values - 1) / 365.2425)
    truth = (waves(times=730) * 0.1 + xr.DataArray(season, dims="time")).assign_coords(time=time)
    y = gappy(truth.rename("sst"), 0.5)
    y.sst[200:230] = np.nan
    out = EofIteration(harmonics=2, modes=2).interpolate(y).sst
    assert float(abs(out - truth)[200:230].mean()) < 1


def slow_waves(noise: float = 0.3, times: int = 120) -> xr.DataArray:
    """A field of eight modes that change slowly, without a name for its times."""
    generator = np.random.default_rng(5)
    series = generator.standard_normal((times, 8))
    for t in range(1, times):
        series[t] = 0.95 * series[t - 1] + 0.3 * series[t]
    field = np.einsum("tm,myx->tyx", series, generator.standard_normal((8, 8, 10)))
    field += noise * generator.standard_normal(field.shape)
    return xr.DataArray(field, dims=("time", "y", "x"), name="sst")


def test_bare_times_are_those_of_an_autoregressive_process():
    """The mean of a Gaussian with covariance ρ^|t − s| given all other times, uneven, with open ends."""
    generator = np.random.default_rng(0)
    clock = np.cumsum(generator.choice([1.0, 1.0, 1.0, 2.0], 40))
    bare = np.isin(np.arange(40), [0, 1, 9, 20, 21, 22, 39])
    x = np.cumsum(generator.standard_normal((40, 3)), axis=0)
    known, at = x[~bare], clock[~bare]
    near = np.diff(at) == 1
    one, other = known[:-1][near], known[1:][near]
    rho = np.sum(one * other) / np.sqrt(np.sum(one**2) * np.sum(other**2))
    covariance = rho ** np.abs(clock[:, None] - clock)
    expected = covariance[np.ix_(bare, ~bare)] @ np.linalg.solve(covariance[np.ix_(~bare, ~bare)], known)
    found = across_bare_times(x, bare, clock)
    np.testing.assert_allclose(found[bare], expected)
    np.testing.assert_array_equal(found[~bare], x[~bare])


def test_a_time_with_next_to_no_observation_is_like_its_neighbours():
    """Modes that are fitted to a few cells would be far off in all others."""
    slow = np.cumsum(np.random.default_rng(0).standard_normal((60, 4)), axis=0)
    patterns = np.random.default_rng(1).standard_normal((4, 8, 10))
    truth = xr.DataArray(np.einsum("tm,myx->tyx", slow, patterns), dims=("time", "y", "x"), name="sst")
    observed = gappy(truth + 0.5 * np.random.default_rng(2).standard_normal(truth.shape), seen=0.9)
    observed.sst[30, 1:] = np.nan
    between = (truth[29] + truth[31]) / 2
    error = [float(np.sqrt(((x - truth[30])[1:] ** 2).mean())) for x in (between, truth.mean("time"))]
    filled = EofIteration(modes=4, smoothing=0.0).interpolate(observed).sst[30]
    assert float(np.sqrt(((filled - truth[30])[1:] ** 2).mean())) < 1.2 * error[0] < 0.5 * error[1]


def test_with_a_filter_the_modes_are_those_of_the_filtered_field():
    """The fill is a fixed point of the projection on the leading singular vectors of F X."""
    x, smooth = anomalies(gappy(waves(4, noise=0.3), seen=0.8)), filter_in_time(np.ones(59), 1.0)
    *_, filled = fillings(x, 2, tolerance=1e-9, iterations=5000, smooth=smooth)
    u = np.linalg.svd(smooth(filled), full_matrices=False)[0][:, :2]
    gaps = np.isnan(x)
    np.testing.assert_allclose(filled[gaps], (u @ u.T @ filled)[gaps], atol=1e-5)


def test_the_filter_is_a_diffusion_of_its_length():
    """It keeps a constant, spreads a peak by the standard deviation ℓ, and does not cross a long gap."""
    matrix = filter_in_time(np.ones(200), 3.0)(np.eye(201))
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(matrix[100] @ (np.arange(201) - 100.0) ** 2, 9, rtol=1e-6)
    apart = filter_in_time(np.array([1.0, 1.0, 100.0, 1.0, 1.0]), 3.0)(np.eye(6))
    assert apart[:3, 3:].max() < 1e-3 < 0.1 < apart[0, 2]


def test_the_filter_is_chosen_where_it_helps():
    """It is used for slow changes, with a smaller error than without it, and not for independent times."""
    truth = slow_waves(times=300)
    y = gappy(truth, 0.1)
    errors = [float(abs(EofIteration(smoothing=s).interpolate(y).sst - truth).mean()) for s in (None, 0.0)]
    assert errors[0] < 0.9 * errors[1]
    y = gappy(waves(3, noise=0.3), 0.7)
    xr.testing.assert_equal(*(EofIteration(smoothing=s).interpolate(y) for s in (None, 0.0)))


def test_noise_is_filled_with_the_mean():
    """Where no mode lowers the error at withheld values, there is none."""
    noise = xr.DataArray(
        np.random.default_rng(0).standard_normal((80, 8, 10)), dims=("time", "y", "x"), name="sst"
    )
    y = gappy(noise, 0.4)
    out = EofIteration().interpolate(y).sst.where(y.sst.isnull())
    np.testing.assert_allclose(out.min(), float(y.sst.mean()), atol=1e-9)
    np.testing.assert_allclose(out.max(), float(y.sst.mean()), atol=1e-9)


def test_a_season_is_removed_first():
    """By default, if dates cover a year, a month without data is filled with the season."""
    time = xr.date_range("2001-01-01", periods=730)
    season = 10 * np.cos(2 * np.pi * (time.day_of_year.values - 1) / 365.2425)
    truth = (slow_waves(times=730) * 0.1 + xr.DataArray(season, dims="time")).assign_coords(time=time)
    y = gappy(truth.rename("sst"), 0.2)
    y.sst[200:230] = np.nan
    errors = [
        float(abs(EofIteration(harmonics=n).interpolate(y).sst - truth)[200:230].mean()) for n in (None, 0)
    ]
    assert errors[0] < 0.4 * errors[1]


def test_times_may_be_shuffled():
    """For a given number of modes, the order of times has no effect."""
    y = gappy(waves(3, noise=0.3), 0.7)
    order = np.random.default_rng(3).permutation(60)
    method = EofIteration(modes=3, tolerance=1e-7, iterations=3000)
    np.testing.assert_allclose(
        method.interpolate(y.isel(time=order)).sst, method.interpolate(y).sst.isel(time=order), atol=1e-3
    )


@given(shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
@settings(max_examples=4, deadline=None)
def test_units_do_not_matter(shift, scale):
    """The result does not depend on the units, such as degrees Celsius or Fahrenheit."""
    y = gappy(waves(noise=0.3, times=30), 0.7)
    out = EofIteration().interpolate(y * scale + shift)
    xr.testing.assert_allclose(out, EofIteration().interpolate(y) * scale + shift, atol=1e-4 * scale)


@given(st.integers(0, 1000), st.booleans(), st.sampled_from([0.02, 0.1, 0.3]))
@settings(max_examples=20, deadline=None)
def test_hidden_values_are_observed_and_as_many_as_asked(seed, clouds, part):
    """The withheld values are observed, and as many as requested but at least thirty."""
    seen = np.random.default_rng(seed).random((20, 40)) < 0.5
    out = hidden_values(seen, part, clouds, seed)
    assert not (out & ~seen).any()
    assert out.sum() == max(30, round(part * seen.sum()))


def test_hidden_values_have_the_shape_of_gaps():
    """If the gaps are halves of the field, the withheld values of a time are on one side."""
    seen = np.ones((40, 100), dtype=bool)
    seen[::2, :50], seen[1::2, 50:] = False, False
    out = hidden_values(seen, 0.05)
    assert 8 <= out.any(1).sum() <= 12
    assert hidden_values(seen, 0.05, clouds=False).any(1).sum() > 30


def test_hidden_values_last_as_long_as_gaps():
    """If a gap of a cell lasts ten times, so does a run of withheld values."""
    seen = np.ones((200, 30), dtype=bool)
    for cell in range(30):
        seen[5 * cell : 5 * cell + 10, cell] = False
    out = hidden_values(seen, 0.05)
    runs = [len(run) for column in out.T for run in "".join(".x"[int(v)] for v in column).split(".") if run]
    assert np.average(runs, weights=runs) > 5


def test_a_matrix_comes_back_as_the_field():
    """The array from a matrix has the dimensions and data type of the original."""
    field = waves().astype("float32").transpose("x", "time", "y")
    np.testing.assert_array_equal(from_matrix(as_matrix(field, "time"), field, "time"), field)


def test_neither_land_nor_the_order_of_times_matters():
    """Cells that are never observed and the order of times have no effect; a constant is reproduced."""
    constant = gappy(xr.full_like(waves(), 3.0))
    np.testing.assert_allclose(EofIteration().interpolate(constant).sst, 3.0)
    y = gappy(waves(noise=0.3), 0.7)
    y.sst[:, :, 0] = np.nan
    sea, out = y.isel(x=slice(1, None)), EofIteration().interpolate(y)
    xr.testing.assert_allclose(EofIteration().interpolate(sea), out.isel(x=slice(1, None)))
    y = gappy(waves(3, noise=0.3), 0.7)
    order = np.random.default_rng(3).permutation(60)
    method = EofIteration(modes=3, tolerance=1e-7, iterations=3000)
    np.testing.assert_allclose(
        method.interpolate(y.isel(time=order)).sst, method.interpolate(y).sst.isel(time=order), atol=1e-3
    )


def test_too_few_observations_are_refused():
    """A single cell, and too few observations unless the number of modes is given, are refused."""
    with pytest.raises(DataError, match=r"only one cell has observations.*linear\.Linear"):
        EofIteration().interpolate(gappy(waves().isel(x=[0], y=0)))
    y = gappy(waves(times=8).isel(y=0), 0.5)
    with pytest.raises(DataError, match=r"got \d+ observed values, expected at least 60"):
        EofIteration().interpolate(y)
    assert EofIteration(modes=1).interpolate(y).sst.notnull().all()
