"""Tests of the joint Gaussian by EM, against dense conditional Gaussians and textbook equations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.baselines import gaussian_em, joint_gaussian
from da4dvar.baselines.gaussian_em import GaussianEM
from da4dvar.baselines.joint_gaussian import (
    correlations,
    maximise,
    neighbourhoods,
    of_others,
    prior,
    stacked,
    start,
    stationary,
)
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.baselines.stations import heights
from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import rmse

NAN = np.nan


def covariance(size: int, seed: int = 0) -> np.ndarray:
    """Random covariance with unit variances."""
    root = np.random.default_rng(seed).standard_normal((size, size))
    full = root @ root.T + size * np.eye(size)
    scale = 1 / np.sqrt(np.diag(full))
    return full * np.outer(scale, scale)


def gappy(values: np.ndarray, part: float = 0.4, seed: int = 1) -> np.ndarray:
    """Values missing at random."""
    return np.where(np.random.default_rng(seed).random(values.shape) < part, NAN, values)


def network(times: int = 1200, stations: int = 12, memory: float = 0.0, seed: int = 0) -> xr.Dataset:
    """Stations on a line whose covariance decreases with distance, with noise that lasts."""
    generator = np.random.default_rng(seed)
    lon = np.sort(generator.uniform(5, 15, stations))
    shared = np.exp(-abs(lon[:, None] - lon) / 8)
    signal = generator.standard_normal((times, stations)) @ np.linalg.cholesky(shared).T
    own = generator.standard_normal((times, stations))
    for t in range(1, times):
        own[t] = memory * own[t - 1] + np.sqrt(1 - memory**2) * own[t]
    coords = {"lon": ("station", lon), "lat": ("station", np.full(stations, 50.0))}
    return xr.Dataset({"pm10": (("time", "station"), 10 + signal + 0.3 * own, {"units": "ug/m3"})}, coords)


def with_gaps(ds: xr.Dataset, part: float = 0.4, seed: int = 1) -> xr.Dataset:
    """Stations with values missing at random."""
    return ds.assign(pm10=ds.pm10.copy(data=gappy(ds.pm10.values, part, seed)))


@pytest.mark.parametrize("lags", [0, 1])
def test_each_value_is_estimated_from_the_other_stations(lags):
    """Estimate and variance are those of the dense Gaussian, given the values of all other stations."""
    n, width = 4, 2 * lags + 1
    s = covariance(n * width)
    y = gappy(np.random.default_rng(2).standard_normal((30, n * width)))
    y[3] = NAN
    x, variance = of_others(y, s, lags)
    for t in range(len(y)):
        for i in range(n):
            o = [k for k in np.flatnonzero(np.isfinite(y[t])) if k % n != i]
            centre = lags * n + i
            weight = np.linalg.solve(s[np.ix_(o, o)], s[o, centre])
            np.testing.assert_allclose(x[t, i], weight @ y[t, o], atol=1e-10)
            np.testing.assert_allclose(variance[t, i], s[centre, centre] - weight @ s[o, centre], atol=1e-10)


def test_the_steps_begin_where_they_are_asked_to_and_use_a_sample():
    """Without steps the first covariance is returned; a sample of one time is another than all times."""
    z, base = gappy(np.random.default_rng(5).standard_normal((60, 3))), covariance(3)
    design, other = np.ones((60, 1)), 2 * np.eye(3)
    np.testing.assert_array_equal(maximise(z, design, base, lags=0, steps=0, first=other)[1], other)
    every, one = (
        maximise(z, design, base, lags=0, weight=1.0, steps=1, sample=n, first=base)[1] for n in (60, 1)
    )
    assert abs(every - one).max() > 0.01


@pytest.mark.parametrize("lags", [0, 1])
def test_a_step_is_that_of_the_textbook(lags, monkeypatch):
    """E[y yᵀ] is the outer product of the conditional means plus the conditional covariance."""
    monkeypatch.setattr(joint_gaussian, "RELAXATION", 1.0)
    z = gappy(np.random.default_rng(3).standard_normal((50, 3)) @ np.linalg.cholesky(covariance(3)).T)
    base = prior(z, np.full((3, 3), np.inf), np.zeros((3, 3)), lags)
    mean, found = maximise(z, np.ones((50, 1)), base, lags=lags, weight=20.0, steps=1)
    s, y = start(z, base, lags), stacked(z, lags)
    y = y[np.isfinite(y).any(1)]
    moment, filled = np.zeros_like(s), []
    for row in y:
        o, u = np.flatnonzero(np.isfinite(row)), np.flatnonzero(np.isnan(row))
        gain = np.linalg.solve(s[np.ix_(o, o)], s[np.ix_(o, u)])
        full = row.copy()
        full[u] = row[o] @ gain
        moment += np.outer(full, full)
        moment[np.ix_(u, u)] += s[np.ix_(u, u)] - s[np.ix_(u, o)] @ gain
        filled.append(full[3 * lags : 3 * lags + 3])
    expected = stationary((moment + 20 * base) / (len(y) + 20), lags)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(mean[0], np.sum(filled, axis=0) / (len(y) + joint_gaussian.MEAN), atol=1e-10)


def test_without_gaps_it_is_the_mean_of_sample_and_prior():
    """For complete data, the covariance is (N · sample moment + ν S₀)/(N + ν)."""
    z = np.random.default_rng(3).standard_normal((400, 3)) @ np.linalg.cholesky(covariance(3)).T
    z -= z.mean(0)
    _, found = maximise(z, np.ones((400, 1)), np.eye(3), lags=0, weight=100.0, steps=30)
    np.testing.assert_allclose(found, (z.T @ z + 100 * np.eye(3)) / 500, atol=1e-6)


def test_it_finds_the_covariance_behind_the_gaps():
    """With many times and a weak prior, the covariance is the true one although half is missing."""
    true = covariance(4)
    z = np.random.default_rng(5).standard_normal((3000, 4)) @ np.linalg.cholesky(true).T
    _, found = maximise(gappy(z, 0.5), np.ones((3000, 1)), np.eye(4), lags=0, weight=1.0, steps=40)
    np.testing.assert_allclose(found, true, atol=0.08)


def test_blocks_of_one_lag_are_averaged():
    """The covariance of z(t − 1) and z(t) is that of z(t) and z(t + 1)."""
    found = stationary(covariance(6), 1)
    np.testing.assert_array_equal(found[:2, 2:4], found[2:4, 4:])
    np.testing.assert_array_equal(found[:2, :2], found[4:, 4:])
    np.testing.assert_array_equal(found, found.T)


def test_the_prior_follows_distance_and_height():
    """The correlation of the prior is the one from which the series were drawn."""
    generator = np.random.default_rng(0)
    place, height = generator.uniform(0, 300, 15), generator.uniform(0, 2000, 15)
    d, h = abs(place[:, None] - place), abs(height[:, None] - height)
    true = 0.9 * np.exp(-np.sqrt((d / 200) ** 2 + (h / 1500) ** 2)) + 0.1 * np.eye(15)
    z = generator.standard_normal((3000, 15)) @ np.linalg.cholesky(true).T
    np.testing.assert_allclose(prior(gappy(z), d, h, 0), true, atol=0.06)
    exchangeable = prior(gappy(z), np.full_like(d, np.inf), h, 0)
    off = exchangeable[~np.eye(15, dtype=bool)]
    np.testing.assert_allclose(off, true[~np.eye(15, dtype=bool)].mean(), atol=0.03)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_prior_between_variables_has_its_own_sign_and_scale(sign):
    """It is the correlation from which the series of two variables were drawn, also at the same station."""
    place = np.random.default_rng(0).uniform(0, 300, 12)
    d = abs(place[:, None] - place)
    wide, local = np.exp(-d / 300), np.eye(12)
    own, cross = 0.5 * np.exp(-d / 60) + 0.35 * wide + 0.15 * local, sign * (0.3 * wide + 0.1 * local)
    true = np.block([[own, cross], [cross, own]])
    z = np.random.default_rng(1).standard_normal((3000, 24)) @ np.linalg.cholesky(true).T
    kind, same = np.repeat([0, 1], 12), np.tile(np.eye(12, dtype=bool), (2, 2))
    found = prior(gappy(z), np.tile(d, (2, 2)), np.zeros((24, 24)), 0, kind, same)
    np.testing.assert_allclose(found, true, atol=0.06)
    unknown = prior(gappy(z), np.full((24, 24), np.inf), np.zeros((24, 24)), 0, kind, same)
    # The mean over pairs of other stations, without those at the same station.
    np.testing.assert_allclose(unknown[:12, 12:][~same[:12, 12:]], cross[~same[:12, 12:]].mean(), atol=0.03)
    np.testing.assert_allclose(unknown[:12, 12:][same[:12, 12:]], 0.4 * sign, atol=0.03)


def test_without_distances_the_prior_between_variables_is_the_mean_correlation():
    """Of pairs of other stations, and apart from these of pairs at the same station."""
    generator = np.random.default_rng(0)
    local = generator.standard_normal((200, 3)) + 0.5 * generator.standard_normal((200, 1))
    z = np.concatenate([local, local + generator.standard_normal((200, 3))], axis=1)
    same = np.tile(np.eye(3, dtype=bool), (2, 2))
    found = prior(z, np.full((6, 6), np.inf), np.zeros((6, 6)), 0, np.repeat([0, 1], 3), same)[:3, 3:]
    r, here = correlations(z)[0][:3, 3:], np.eye(3, dtype=bool)
    for where in (here, ~here):
        np.testing.assert_allclose(found[where], r[where].mean(), rtol=1e-6)


@pytest.mark.parametrize("coordinate", [("elev", {}), ("h", {"axis": "Z"}), ("level", {"positive": "up"})])
def test_heights_are_known_by_attribute_or_name(coordinate):
    """A coordinate of the stations with the axis Z, or with a common name."""
    name, attrs = coordinate
    array = network(3, 2).pm10.assign_coords({name: ("station", [100.0, 350.0], attrs)})
    np.testing.assert_array_equal(heights(array, "station"), [[0, 250], [250, 0]])
    np.testing.assert_array_equal(heights(network(3, 2).pm10, "station"), np.zeros((2, 2)))


def test_a_station_of_warm_years_is_not_taken_for_a_warm_one():
    """The mean is estimated by EM: a station that reported in the warm half has the mean of both halves."""
    generator = np.random.default_rng(0)
    shared = np.repeat([0.5, -0.5], 500)[:, None] + generator.standard_normal((1000, 1))
    truth = shared + 0.3 * generator.standard_normal((1000, 6))
    y = truth.copy()
    y[500:, 0] = NAN
    out = GaussianEM(memory=0).interpolate(xr.Dataset({"t": (("time", "station"), y)}))
    bias = float((out.t[500:, 0] - truth[500:, 0]).mean())
    assert abs(bias) < 0.1


def test_it_beats_the_regression_on_nearest_stations_with_honest_error_bars():
    """With 60 % of the values missing, the error is smaller, and standard errors match it."""
    truth = network()
    gaps = with_gaps(truth, 0.6)
    where = gaps.pm10.isnull()
    out = GaussianEM().interpolate(gaps)
    other = NearestStations().interpolate(gaps)
    assert rmse(out.pm10.where(where), truth.pm10) < 0.98 * rmse(other.pm10.where(where), truth.pm10)
    z = ((out.pm10 - truth.pm10) / out.pm10_std).where(where)
    assert 0.95 < float(z.std()) < 1.05


def test_a_residual_that_lasts_is_carried_over():
    """With noise that lasts, errors in short gaps are smaller, and so are standard errors at their edges."""
    truth = network(1500, memory=0.97)
    gaps = truth.copy(deep=True)
    for k in range(14):
        gaps.pm10[100 * k + 50 : 100 * k + 60, k % 12] = NAN
    where = gaps.pm10.isnull()
    alone, carried = (GaussianEM(memory=m).interpolate(gaps) for m in (0, 50))
    errors = [float(rmse(out.pm10.where(where), truth.pm10)) for out in (alone, carried)]
    assert errors[1] < 0.85 * errors[0]
    std = carried.pm10_std[50:60, 0].values
    assert std[0] < std[5] > std[9]


@pytest.mark.parametrize("places", [True, False])
def test_many_stations_are_filled_in_groups(places):
    """Groups of neighbours, each with stations around it, are nearly as good as all stations at once."""
    truth = network(600, 40)
    truth = truth if places else truth.drop_vars(["lon", "lat"])
    gaps = with_gaps(truth)
    where = gaps.pm10.isnull()
    errors = [
        float(rmse(GaussianEM(most=most, lags=0).interpolate(gaps).pm10.where(where), truth.pm10))
        for most in (40, 16)
    ]
    assert errors[1] < 1.06 * errors[0]


@pytest.mark.parametrize("most", [2, 5, 10, 100])
def test_every_station_is_in_one_group(most):
    """Groups do not overlap, and come first among their members."""
    place = np.random.default_rng(0).uniform(0, 100, 37)
    found = list(neighbourhoods(np.zeros((5, 37)), abs(place[:, None] - place), most))
    assert sorted(np.concatenate([group for group, _ in found])) == list(range(37))
    for group, members in found:
        np.testing.assert_array_equal(members[: len(group)], group)
        assert len(members) == len(set(members)) == min(most, 37)


@settings(max_examples=25, deadline=None)
@given(
    times=st.integers(1, 30),
    stations=st.integers(1, 6),
    part=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    lags=st.sampled_from([None, 0, 2]),
    same=st.booleans(),
)
def test_nan_never_spreads(times, stations, part, seed, lags, same):
    """All gaps of observed stations are filled with finite σ, and observed values are kept."""
    ds = with_gaps(network(times, stations, seed=seed), part, seed)
    if same:
        ds = ds.assign(pm10=(0 * ds.pm10 + ds.pm10.mean("station")).transpose(*ds.pm10.dims))
    out = GaussianEM(lags=lags, most=4, steps=3).interpolate(ds)
    seen = ds.pm10.notnull()
    for name in ("pm10", "pm10_std"):
        np.testing.assert_array_equal(np.isfinite(out[name]), xr.broadcast(seen.any("time"), seen)[0].T)
    xr.testing.assert_equal(out.pm10.where(seen), ds.pm10)
    assert (out.pm10_std.where(seen, 0) == 0).all()
    assert float(abs(out.pm10 - 10).max().fillna(0)) < 40


def test_too_many_stations_are_refused(monkeypatch):
    """The message says what to do, also if the data are lazy."""
    monkeypatch.setattr(gaussian_em, "MOST_STATIONS", 3)
    with pytest.raises(DataError, match=r"'pm10' has 4 stations, expected at most 3; use optimal interp"):
        GaussianEM().interpolate(network(10, 4).chunk())


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("method", [GaussianEM, NearestStations])
def test_a_station_that_never_varies_keeps_its_value(method, unit):
    """Whatever the other stations do, and in any unit."""
    values = 20 + np.cumsum(np.random.default_rng(3).standard_normal((300, 4)), axis=0)
    values[:, 2] = 7.0
    ds = xr.Dataset({"x": (("time", "station"), unit * gappy(values))})
    filled = method().interpolate(ds).x.isel(station=2)
    np.testing.assert_allclose(filled, 7 * unit, rtol=1e-4)


def pair(correlation: float, times: int = 800, stations: int = 10) -> tuple[xr.Dataset, np.ndarray]:
    """Two variables at stations on a line, with the joint covariance from which they were drawn."""
    generator = np.random.default_rng(4)
    lon = np.sort(generator.uniform(5, 15, stations))
    shared = np.exp(-abs(lon[:, None] - lon) / 8) + 0.2 * np.eye(stations)
    joint = np.kron([[1, correlation], [correlation, 1]], shared)
    values = generator.standard_normal((times, 2 * stations)) @ np.linalg.cholesky(joint).T
    dims, coords = ("time", "station"), {"lon": ("station", lon), "lat": ("station", np.full(stations, 50.0))}
    t, q = values[:, :stations], values[:, stations:]
    return xr.Dataset({"t": (dims, t), "q": (dims, 5 - 3 * q)}, coords), joint


def errors_of(out: xr.Dataset, truth: xr.Dataset, gaps: xr.Dataset) -> list[float]:
    """Errors of both variables in their gaps, in standard deviations."""
    return [float(rmse(out[n].where(gaps[n].isnull()), truth[n]) / truth[n].std()) for n in ("t", "q")]


def gappy_pair(truth: xr.Dataset) -> xr.Dataset:
    """Both variables, missing at random and independently."""
    return truth.assign({n: truth[n].copy(data=gappy(truth[n].values, 0.5, k)) for k, n in enumerate(truth)})


def test_several_variables_together_reach_the_conditional_mean():
    """The error is that of the true joint covariance, far below that of each alone, with honest σ."""
    truth, joint = pair(0.9)
    gaps = gappy_pair(truth)
    alone, together = (GaussianEM(together=t).interpolate(gaps) for t in (False, True))
    y = np.concatenate([gaps.t.values, (5 - gaps.q.values) / 3], axis=1)
    best = np.empty_like(y)
    for row, x in zip(y, best, strict=True):
        o = np.isfinite(row)
        x[:] = joint[:, o] @ np.linalg.solve(joint[np.ix_(o, o)], row[o])
    oracle = gaps.assign(
        {n: gaps[n].copy(data=v) for n, v in (("t", best[:, :10]), ("q", 5 - 3 * best[:, 10:]))}
    )
    least, found, other = (errors_of(x, truth, gaps) for x in (oracle, together, alone))
    for k in range(2):
        assert found[k] < 1.05 * least[k]
        assert found[k] < 0.8 * other[k]
    for n in truth.data_vars:
        z = ((together[n] - truth[n]) / together[f"{n}_std"]).where(gaps[n].isnull())
        assert 0.9 < float(z.std()) < 1.1


def test_variables_without_correlation_do_no_harm():
    """Together, the error is within 3 % of that of each alone."""
    truth, _ = pair(0.0)
    gaps = gappy_pair(truth)
    alone, together = (
        errors_of(GaussianEM(together=t).interpolate(gaps), truth, gaps) for t in (False, True)
    )
    assert all(b < 1.03 * a for a, b in zip(alone, together, strict=True))


def test_residuals_last_as_long_as_those_of_their_own_variable():
    """Residuals of one variable that last do not make those of another last, in the estimate or in σ."""
    generator = np.random.default_rng(3)
    white, slow = generator.standard_normal((2, 800, 12))
    for t in range(1, 800):
        slow[t] = 0.97 * slow[t - 1] + np.sqrt(1 - 0.97**2) * slow[t]
    truth = xr.Dataset({"t": (("time", "station"), white), "q": (("time", "station"), slow)})
    gaps = truth.copy(deep=True)
    for k in range(60):
        for name, shift in (("t", 0), ("q", 6)):
            gaps[name][13 * k + shift : 13 * k + shift + 5, k % 12] = NAN
    alone, together = (GaussianEM(together=t, lags=0).interpolate(gaps) for t in (False, True))
    one, both = errors_of(alone, truth, gaps), errors_of(together, truth, gaps)
    assert both[0] < 1.03 * one[0]
    assert both[1] < 1.03 * one[1]
    z = ((together.t - truth.t) / together.t_std).where(gaps.t.isnull())
    assert 0.9 < float(z.std()) < 1.1


def test_a_variable_that_is_alone_is_filled_as_before():
    """To the bit, also next to variables with other dimensions."""
    gaps = with_gaps(network(200, 5))
    other = gaps.pm10.rename(station="buoy").drop_vars(["lon", "lat"]).isel(buoy=slice(3))
    single = GaussianEM(station=None).interpolate(gaps)
    both = GaussianEM(together=True).interpolate(gaps.assign(waves=other))
    for name in ("pm10", "pm10_std"):
        np.testing.assert_array_equal(both[name], single[name])


def test_variables_together_keep_their_labels():
    """Order of dimensions, data type and units; a series along another dimension is filled on its own."""
    truth, _ = pair(0.8, 120, 4)
    gaps = gappy_pair(truth)
    gaps["q"] = gaps.q.transpose("station", "time").astype("float32").assign_attrs(units="g/kg")
    out = GaussianEM(together=True).interpolate(gaps)
    assert (out.q.dims, out.q.dtype, out.q.attrs) == (("station", "time"), np.float32, {"units": "g/kg"})
    assert (out.q_std.dims, out.q_std.dtype, out.q_std.attrs["units"]) == (out.q.dims, np.float32, "g/kg")
    assert out.t.dims == ("time", "station")
    xr.testing.assert_equal(out.q.where(gaps.q.notnull()), gaps.q)
    xr.testing.assert_allclose(GaussianEM(together=True).interpolate(gaps.chunk(station=2)).compute(), out)
    runs = xr.concat([gaps, gaps.isel(time=slice(None, None, -1)).assign_coords(gaps.coords)], "run")
    first = GaussianEM(together=True).interpolate(runs).isel(run=0)
    xr.testing.assert_allclose(first.transpose(*out.dims).t, out.t)


def test_the_number_of_rows_is_bounded_for_several_variables(monkeypatch):
    """Groups hold no more rows of the covariance than `most`, of both variables, and all gaps are filled."""
    sizes = []

    def watched(z, *arguments, **options):
        sizes.append((z.shape[1], options["lags"]))
        return maximise(z, *arguments, **options)

    monkeypatch.setattr(gaussian_em, "maximise", watched)
    gaps = gappy_pair(pair(0.8, 60, 12)[0])
    out = GaussianEM(together=True, most=10, steps=2).interpolate(gaps)
    assert set(sizes) == {(10, 0)}
    assert not any(out[n].isnull().any() for n in out.data_vars)
    sizes.clear()
    GaussianEM(together=True, steps=2).interpolate(gaps)
    assert sizes == [(24, 1)]


def test_too_many_series_together_are_refused(monkeypatch):
    """Each variable alone may be small enough."""
    monkeypatch.setattr(gaussian_em, "MOST_STATIONS", 5)
    with pytest.raises(DataError, match="'t' has 4 stations with 2 variables each, expected at most 5"):
        GaussianEM(together=True).interpolate(pair(0.5, 10, 4)[0])


def test_only_named_variables_are_filled_together():
    """The others are filled alone, and a name that is not there is refused."""
    gaps = gappy_pair(pair(0.8, 120, 4)[0]).assign(ppt=gappy_pair(pair(0.8, 120, 4)[0]).q + 1)
    out = GaussianEM(together=["t", "q"]).interpolate(gaps)
    both, alone = GaussianEM(together=True).interpolate(gaps[["t", "q"]]), GaussianEM().interpolate(gaps)
    xr.testing.assert_identical(out[["t", "q", "t_std", "q_std"]], both)
    xr.testing.assert_identical(out[["ppt", "ppt_std"]], alone[["ppt", "ppt_std"]])
    with pytest.raises(DataError, match="together: there is no variable 'tt'"):
        GaussianEM(together=["tt"]).interpolate(gaps)
