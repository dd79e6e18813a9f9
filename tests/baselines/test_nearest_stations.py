"""Tests of regression on reporting stations, against scikit-learn and dense solvers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import rmse

NAN = np.nan


def red(times: int, series: int, memory: float, generator: np.random.Generator) -> np.ndarray:
    """Autoregressive noise of unit variance."""
    noise = generator.standard_normal((times, series))
    for t in range(1, times):
        noise[t] = memory * noise[t - 1] + np.sqrt(1 - memory**2) * noise[t]
    return noise


def network(
    times: int = 300, stations: int = 6, own: float = 0.5, memory: float = 0.0, seed: int = 0
) -> xr.Dataset:
    """Stations on a line that share two signals, with independent noise."""
    generator = np.random.default_rng(seed)
    lon = np.linspace(5, 15, stations)
    shared = generator.standard_normal((times, 2))
    values = 10 + shared[:, :1] + shared[:, 1:] * np.linspace(-1, 1, stations)
    values = values + own * red(times, stations, memory, generator)
    coords = {"lon": ("station", lon), "lat": ("station", np.full(stations, 50.0))}
    return xr.Dataset({"pm10": (("time", "station"), values, {"units": "ug/m3"})}, coords)


def with_gaps(ds: xr.Dataset, part: float = 0.3, seed: int = 1) -> xr.Dataset:
    """Values missing at random."""
    seen = np.random.default_rng(seed).random(ds.pm10.shape) > part
    return ds.assign(pm10=ds.pm10.copy(data=np.where(seen, ds.pm10, NAN)))


def hidden(ds: xr.Dataset, at: slice, station: int = 2) -> xr.Dataset:
    """The data without some times of one station."""
    ds = ds.copy(deep=True)
    ds.pm10[at, station] = NAN
    return ds


@pytest.mark.parametrize("neighbours", [2, 3, 5])
def test_without_a_penalty_it_is_least_squares(neighbours):
    """Without a penalty, the regression is least squares on the best correlated of complete stations."""
    ds = hidden(network(), slice(100, 160))
    out = NearestStations(neighbours=neighbours, ridge=0, lags=0).interpolate(ds)
    y, left = ds.pm10.values, np.isfinite(ds.pm10.values[:, 2])
    others = [0, 1, 3, 4, 5]
    best = sorted(others, key=lambda j: -abs(np.corrcoef(y[left, j], y[left, 2])[0, 1]))[:neighbours]
    expected = LinearRegression().fit(y[left][:, best], y[left, 2])
    np.testing.assert_allclose(out.pm10[~left, 2], expected.predict(y[~left][:, best]), rtol=1e-6)
    residual = y[left, 2] - expected.predict(y[left][:, best])
    unbiased = np.sqrt((residual**2).sum() / (left.sum() - neighbours - 1))
    np.testing.assert_allclose(out.pm10_std[~left, 2], unbiased, rtol=1e-6)


@pytest.mark.parametrize("ridge", [1.0, 30.0])
def test_the_penalty_is_that_of_a_ridge_regression(ridge):
    """The penalty is that of a ridge regression on standardised predictors."""
    ds = hidden(network(), slice(100, 160))
    out = NearestStations(neighbours=5, ridge=ridge, lags=0).interpolate(ds)
    y, left, others = ds.pm10.values, np.isfinite(ds.pm10.values[:, 2]), [0, 1, 3, 4, 5]
    x = y[:, others] / y[:, others].std(0)
    expected = Ridge(alpha=ridge, tol=1e-12).fit(x[left], y[left, 2]).predict(x[~left])
    np.testing.assert_allclose(out.pm10[~left, 2], expected, rtol=1e-6)


def test_each_time_has_a_regression_of_its_own():
    """Each time uses exactly the stations that report; a linear combination of two is reproduced."""
    ds = hidden(network(), slice(100, 104))
    ds.pm10[102:104, [1, 3]] = NAN
    out = NearestStations(ridge=0, lags=0).interpolate(ds).pm10
    few = NearestStations(ridge=0, lags=0).interpolate(ds.isel(station=[0, 2, 4, 5])).pm10
    np.testing.assert_allclose(out[102:104, 2], few[102:104, 1], atol=0.02)
    assert float(abs(out[100:102, 2] - few[100:102, 1]).min()) > 1e-3
    ds = network()
    ds.pm10[:, 2] = 3 + 2 * ds.pm10[:, 0] - 0.5 * ds.pm10[:, 4]
    out = NearestStations(ridge=0).interpolate(hidden(ds, slice(50, 150)))
    np.testing.assert_allclose(out.pm10, ds.pm10, atol=1e-6)
    assert float(out.pm10_std.max()) < 1e-3


def test_a_residual_that_lasts_is_carried_over():
    """For autocorrelated noise, the residual near the edges of a gap is estimated with a smaller error."""
    truth = network(2000, memory=0.95)
    gaps = truth
    for start in range(100, 1900, 100):
        gaps = hidden(gaps, slice(start, start + 10), station=start // 100 % 6)
    alone, carried = (NearestStations(lags=lags).interpolate(gaps) for lags in (0, 30))
    where = gaps.pm10.isnull()
    errors = [float(rmse(out.pm10.where(where), truth.pm10)) for out in (alone, carried)]
    assert errors[1] < 0.75 * errors[0]
    std = carried.pm10_std[100:110, 1].values
    assert std[0] < std[5] > std[9]
    ratio = float((carried.pm10_std.where(where) ** 2).mean() ** 0.5) / errors[1]
    assert 0.8 < ratio < 1.25


def test_without_neighbours_it_is_kriging_in_time():
    """Without neighbours, the estimate is the kriging from both edges of the gap for exp(−τ/T)."""
    generator = np.random.default_rng(0)
    rho = np.exp(-1 / 8)
    values = red(20000, 1, rho, generator)
    ds = xr.Dataset({"x": (("time", "station"), values)})
    ds.x[1000:1005, 0] = NAN
    out = NearestStations().interpolate(ds)
    lag = np.arange(1, 6)
    c = np.stack([rho**lag, rho ** lag[::-1]])
    weights = np.linalg.solve([[1, rho**6], [rho**6, 1]], c)
    expected = weights.T @ [values[999, 0], values[1005, 0]]
    np.testing.assert_allclose(out.x[1000:1005, 0], expected, atol=0.06)
    np.testing.assert_allclose(out.x_std[1000:1005, 0], np.sqrt(1 - (weights * c).sum(0)), atol=0.06)


def test_when_nobody_reports_it_decays_to_the_climatology():
    """If no station reports, the anomaly decays from the edges of the gap to the climatology."""
    time = xr.date_range("2001-01-01", periods=1500)
    ds = network(1500, own=0.3).assign_coords(time=time)
    ds["pm10"] = ds.pm10.copy(data=10 + red(1500, 1, 0.9, np.random.default_rng(3)) + 0.1 * ds.pm10)
    ds.pm10[700:800] = NAN
    out = NearestStations().interpolate(ds)
    usual = Climatology().interpolate(ds)
    away = abs(out.pm10 - usual.pm10).mean("station")
    assert float(away[750]) < 0.01
    assert float(abs(away[700] - abs(ds.pm10 - usual.pm10).mean("station")[699])) < 0.5
    sigma = (ds.pm10 - usual.pm10).std("time")
    np.testing.assert_allclose(out.pm10_std[750], sigma, rtol=0.05)


@settings(max_examples=40, deadline=None)
@example(times=37, stations=4, part=0.25, seed=0, ridge=0.0, same=True)
@given(
    times=st.integers(1, 40),
    stations=st.integers(1, 6),
    part=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    ridge=st.sampled_from([0.0, 20.0]),
    same=st.booleans(),
)
def test_nan_never_spreads(times, stations, part, seed, ridge, same):
    """All gaps of observed stations are filled with finite σ, and observed values are kept."""
    ds = with_gaps(network(times, stations, own=0.0 if same else 0.5, seed=seed), part, seed)
    out = NearestStations(ridge=ridge).interpolate(ds)
    seen = ds.pm10.notnull()
    for name in ("pm10", "pm10_std"):
        np.testing.assert_array_equal(np.isfinite(out[name]), xr.broadcast(seen.any("time"), seen)[0].T)
    xr.testing.assert_equal(out.pm10.where(seen), ds.pm10)
    assert (out.pm10_std.where(seen, 0) == 0).all()
    assert (out.pm10_std.fillna(0) >= 0).all()
    # A bound on the departure from the mean, which an indefinite system would violate.
    assert float(abs(out.pm10 - 10).max().fillna(0)) < 40


def test_error_bars_are_honest():
    """The error bars match the errors at hidden values with a third of the data missing."""
    truth = network(1500)
    gaps = with_gaps(truth)
    out = NearestStations().interpolate(gaps)
    z = ((out.pm10 - truth.pm10) / out.pm10_std).where(gaps.pm10.isnull())
    assert 0.9 < float(z.std()) < 1.1
    assert float(rmse(out.pm10.where(gaps.pm10.isnull()), truth.pm10)) < 0.75


def test_stations_without_common_times_are_judged_by_their_distance():
    """Without common times, a station is filled from the nearest one or, without positions, from none."""
    ds = network(400, 8, own=0.2)
    ds.pm10[:200, 0] = ds.pm10[200:, 1] = NAN
    near = NearestStations(neighbours=1, lags=0)
    ds.pm10[:200, 2:] = NAN
    out = near.interpolate(ds).pm10[:200, 0]
    assert np.corrcoef(out, ds.pm10[:200, 1])[0, 1] > 0.99
    lost = near.interpolate(ds.drop_vars(["lat", "lon"])).pm10[:200, 0]
    assert float(lost.std()) < 1e-6


def test_unobserved_stations_do_not_matter():
    """Stations that are never observed have no effect, and the dimension may have any name."""
    ds, others = with_gaps(network()), [0, 1, 2, 4, 5]
    ds.pm10[:, 3] = NAN
    for method in (NearestStations(neighbours=0), NearestStations(neighbours=5)):
        out = method.interpolate(ds).isel(station=others)
        xr.testing.assert_allclose(out, method.interpolate(ds.isel(station=others)))
    ds = with_gaps(network()).rename(station="site")
    xr.testing.assert_equal(
        NearestStations(station="site").interpolate(ds), NearestStations().interpolate(ds)
    )


GRID = xr.Dataset({"pm10": (("time", "y", "x"), np.ones((3, 2, 2)))})


@pytest.mark.parametrize(("ds", "station", "message"), [
    (GRID, "site", "variable 'pm10' has no dimension 'site'; it has time, y, x"),
    (GRID, None, "variable 'pm10' may have its stations along any of y, x; name one"),
    (GRID.isel(x=0, y=0), None, r"'pm10' has no stations, only 'time'; .* linear interpolation"),
])  # fmt: skip
def test_stations_that_cannot_be_told_are_refused(ds, station, message):
    """The message lists the dimensions, or suggests linear interpolation for a single series."""
    with pytest.raises(DataError, match=message):
        NearestStations(station=station).interpolate(ds)
