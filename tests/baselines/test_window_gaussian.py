"""Tests of the joint Gaussian of windows, against dense conditional Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from da4dvar.baselines import window_gaussian
from da4dvar.baselines.window_gaussian import WindowGaussian, WindowModel, conditional
from da4dvar.errors import DataError

NAN = np.nan


def covariance(size: int, seed: int = 0) -> np.ndarray:
    """Random covariance."""
    root = np.random.default_rng(seed).standard_normal((size, size))
    return root @ root.T + np.eye(size)


def gappy(values: np.ndarray, part: float = 0.4, seed: int = 1) -> np.ndarray:
    """Values missing at random."""
    return np.where(np.random.default_rng(seed).random(values.shape) < part, NAN, values)


def dense(y: np.ndarray, mean: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Conditional mean and variance of the whole vector, by the textbook."""
    o = np.flatnonzero(np.isfinite(y))
    weight = np.linalg.solve(s[np.ix_(o, o)], s[o])
    return mean + (y[o] - mean[o]) @ weight, np.diag(s) - (weight * s[o]).sum(0)


def record(times: int, seed: int = 0, memory: float = 0.9, stations: int = 3) -> xr.DataArray:
    """Autoregressive series that share a signal."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((times, stations)) + generator.standard_normal((times, 1))
    for t in range(1, times):
        x[t] = memory * x[t - 1] + np.sqrt(1 - memory**2) * x[t]
    return xr.DataArray(x, dims=("time", "station"), name="power")


def daily(start: str, times: int) -> xr.DataArray:
    """A cycle of a day with little noise, by dates."""
    dates = np.datetime64(start, "ns") + np.arange(times) * np.timedelta64(1, "h")
    angle = 2 * np.pi * (dates - np.datetime64("2020-01-01", "ns")) / np.timedelta64(24, "h")
    noise = 0.01 * np.random.default_rng(0).standard_normal((times, 2))
    x = np.stack([np.sin(angle), 5 + np.cos(angle)], axis=1) + noise
    return xr.DataArray(x, {"time": dates}, ("time", "station"), "power")


def test_missing_values_are_those_of_the_dense_gaussian():
    """Mean and variance, also of rows with nothing or everything observed; that of observed values is 0."""
    s = covariance(6)
    y = gappy(np.random.default_rng(2).standard_normal((20, 6)))
    y[0], y[1] = NAN, 1.0
    x, variance = conditional(y, s, np.inf)
    for row in range(len(y)):
        mean, left = dense(y[row], np.zeros(6), s)
        seen = np.isfinite(y[row])
        np.testing.assert_allclose(x[row], np.where(seen, y[row], mean), atol=1e-10)
        np.testing.assert_allclose(variance[row], np.where(seen, 0, left), atol=1e-10)


def test_errors_are_those_of_a_student_distribution():
    """The estimate at a value is t-distributed: simulated scale mixtures fall into its intervals."""
    freedom, s, generator = 5.0, covariance(6), np.random.default_rng(4)
    scale = np.sqrt(freedom / generator.chisquare(freedom, (20000, 1)))
    truth = scale * (generator.standard_normal((20000, 6)) @ np.linalg.cholesky(s).T)
    y = np.where(np.arange(6) < 4, truth, NAN)
    x, variance = conditional(y, s, freedom)
    ratio = (abs(truth - x) / np.sqrt(variance, where=variance > 0, out=np.ones_like(x)))[:, 4:]
    within = ratio < stats.t.ppf(0.95, freedom + 4)
    assert abs(within.mean() - 0.9) < 0.01
    # It is so in windows of small and of large departures.
    assert abs(within[scale[:, 0] > np.quantile(scale, 0.8)].mean() - within.mean()) < 0.1


@pytest.mark.parametrize(("times", "phase"), [(4, 0), (3, 0), (13, 0), (13, 1), (5, 1)])
def test_each_time_is_estimated_from_the_most_central_window(times, phase):
    """It is that of the dense Gaussian for the values in the window, which begins with a cycle."""
    s, mean, usual, scale = (
        covariance(8),
        np.arange(8.0).reshape(4, 2),
        np.array([3.0, -1]),
        np.array([2.0, 5]),
    )
    model = WindowModel(usual, scale, mean, s, cycle=2, freedom=np.inf)
    y = gappy(np.random.default_rng(3).standard_normal((times, 2)))
    x, std = model.estimate(y, phase)
    starts = np.arange(-phase, max(1 - phase, times - 4 + 2), 2)
    for t in range(times):
        start = starts[np.argmin(abs(starts + 1.5 - t))]
        window = np.full((4, 2), NAN)
        for k in range(4):
            if 0 <= start + k < times:
                window[k] = (y[start + k] - usual) / scale
        expected, left = (part.reshape(4, 2)[t - start] for part in dense(window.ravel(), mean.ravel(), s))
        seen = np.isfinite(y[t])
        np.testing.assert_allclose(x[t], np.where(seen, y[t], usual + scale * expected), atol=1e-10)
        np.testing.assert_allclose(std[t], np.where(seen, 0, scale * np.sqrt(left.clip(0))), atol=1e-7)


def test_the_error_is_nearly_that_of_the_true_covariance():
    """From a history with gaps, the error is within 5 % of the optimum, and the standard error is right."""
    window, truth = 12, record(12 * 60, seed=5)
    history = record(3000).copy(data=gappy(record(3000).values))
    lag = abs(np.subtract.outer(np.arange(window), np.arange(window)))
    s = np.kron(0.9**lag, np.eye(3) + 1)
    y = gappy(truth.values, seed=7).reshape(-1, window, 3)
    best = np.stack([dense(one.ravel(), np.zeros(36), s)[0] for one in y]).reshape(y.shape)
    ds = xr.DataArray(y, dims=("window", "time", "station"), name="power")
    filled = WindowGaussian(window=window, history=history).interpolate(ds)
    gaps, target = np.isnan(y), truth.values.reshape(y.shape)
    error = (filled.power.values - target)[gaps]
    assert np.sqrt(np.mean(error**2)) < 1.05 * np.sqrt(np.mean((best - target)[gaps] ** 2))
    assert 0.95 < np.sqrt(np.mean((error / filled.power_std.values[gaps]) ** 2)) < 1.05


def test_a_series_of_its_own_history_is_filled_from_what_lasts():
    """Without a history, a series that remembers is filled much better than by its mean."""
    truth = record(2000, memory=0.99)
    filled = WindowGaussian(window=8).interpolate(truth.copy(data=gappy(truth.values)))
    gaps = filled.power_std > 0
    assert float(np.sqrt(((filled.power - truth) ** 2).where(gaps).mean())) < 0.3 * float(truth.std())


def test_windows_do_not_see_one_another():
    """With a history, the estimate in a window does not depend on what is observed in others."""
    history = record(500)
    ds = xr.DataArray(
        gappy(record(36).values).reshape(3, 12, 3), dims=("day", "time", "station"), name="power"
    )
    method = WindowGaussian(window=12, history=history, steps=2)
    together, alone = method.interpolate(ds), method.interpolate(ds.isel(day=1))
    xr.testing.assert_allclose(together.isel(day=1), alone)


@pytest.mark.parametrize("start", ["2020-03-01T00", "2020-03-01T07", "2019-03-01T23"])
def test_dates_give_the_phase(start):
    """A day without observations is filled with the usual day, at the hours of the record."""
    history, truth = daily("2020-01-01T03", 24 * 40), daily(start, 48)
    seen = truth.where(np.arange(48)[:, None] < 24)
    filled = WindowGaussian(window=24, cycle=24, history=history).interpolate(seen)
    assert float(abs(filled.power - truth).max()) < 0.2
    wrong = WindowGaussian(window=24, cycle=24, history=history).interpolate(seen.drop_vars("time"))
    assert float(abs(wrong.power - truth).max()) > 0.5 or start == "2020-03-01T03"


def test_what_is_only_in_the_history_helps_and_what_is_only_in_the_data_stays():
    """A station without data is estimated from the others; one without history keeps its gaps."""
    history, ds = record(800), record(40, seed=1)
    history[:, 2] = NAN
    ds[:, 0] = NAN
    ds[5, 2] = NAN
    filled = WindowGaussian(window=5, history=history).interpolate(ds)
    assert bool(filled.power[:, 0].notnull().all())
    assert np.isnan(filled.power[5, 2])
    assert np.isnan(filled.power_std[5, 2])
    xr.testing.assert_equal(filled.power[:, 1], ds[:, 1])


def test_the_window_has_no_more_values_than_can_be_inverted():
    """By default it is shorter for many stations; a long one that is asked for is refused."""
    ds = record(30, stations=200)
    assert WindowGaussian(steps=1).interpolate(ds.where(ds < 1)).power.notnull().all()
    with pytest.raises(DataError, match=r"30 steps of 200 stations of 'power' has 6000 values.*at most 5000"):
        WindowGaussian(window=30).interpolate(ds)
    assert window_gaussian.VALUES // 200 == 2


def test_a_history_of_something_else_is_refused():
    """The message says what it has: no such variable, more dimensions, or other stations."""
    ds = record(20)
    cases = {
        "no variable 'power'": ds.rename("loud"),
        "dimensions member, time, station, expected time and station": ds.expand_dims("member"),
        "different labels along 'station'": ds.isel(station=[0, 1]),
    }
    for said, history in cases.items():
        with pytest.raises(DataError, match=said):
            WindowGaussian(window=4, history=history).interpolate(ds)
    method = WindowGaussian(window=4, history=ds.assign_coords(station=list("abc")))
    with pytest.raises(DataError, match="different labels"):
        method.interpolate(ds.assign_coords(station=list("abd")))
