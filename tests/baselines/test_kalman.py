"""Tests of the Kalman smoother, against the dense conditional Gaussian of its model."""

import time as clock

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.kalman import FIRST, Kalman
from da4dvar.baselines.linear import Linear
from da4dvar.config.kinds import class_of
from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import rmse
from da4dvar.workflows.autofit import candidates
from da4dvar.workflows.autofit.character import character_of

NAN = np.nan


def autoregressive(times: int, coefficients: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """Autoregressive series of unit noise."""
    noise = np.random.default_rng(seed).standard_normal(times + 100)
    out = np.zeros_like(noise)
    for t in range(len(coefficients), len(noise)):
        out[t] = noise[t] + sum(c * out[t - k - 1] for k, c in enumerate(coefficients))
    return out[100:]


def gauge(values: np.ndarray, dates: object = None) -> xr.Dataset:
    """One series."""
    coords = {} if dates is None else {"time": dates}
    return xr.Dataset({"level": ("time", values, {"units": "m"})}, coords)


def with_gaps(ds: xr.Dataset, length: int, every: int) -> xr.Dataset:
    """The series with a gap at the end of every stretch of some length."""
    return ds.where(xr.DataArray(np.arange(ds.sizes["time"]) % every < every - length, dims="time"))


def test_it_is_the_conditional_gaussian():
    """With parameters as given, the estimate and its error are those of the dense covariance of the model."""
    pytest.importorskip("statsmodels")
    y = np.cumsum(np.random.default_rng(0).standard_normal(60))
    seen = np.random.default_rng(1).random(60) < 0.6
    y = np.where(seen, y, NAN)
    out = Kalman(order=1, iterations=0).interpolate(gauge(y))
    z = (y - y[seen].mean()) / y[seen].std()
    t, phi = np.arange(60), FIRST["ar.L1"]
    level = FIRST["sigma2.level"] * np.minimum(t[:, None], t) + 1e6
    own = FIRST["sigma2.ar"] * phi ** abs(t[:, None] - t) / (1 - phi**2)
    s = level + own + FIRST["sigma2.irregular"] * np.eye(60)
    weight = np.linalg.solve(s[np.ix_(seen, seen)], s[np.ix_(seen, ~seen)])
    variance = np.diag(s)[~seen] - (weight * s[np.ix_(seen, ~seen)]).sum(0)
    expected = y[seen].mean() + y[seen].std() * weight.T @ z[seen]
    np.testing.assert_allclose(out.level[~seen], expected, rtol=1e-3)
    np.testing.assert_allclose(out.level_std[~seen], y[seen].std() * np.sqrt(variance), rtol=1e-3)


def test_it_finds_the_autoregression():
    """In short gaps of a series with momentum, it is nearly as good as with the true parameters."""
    pytest.importorskip("statsmodels")
    truth = gauge(autoregressive(4000, (1.6, -0.65)))
    gaps = with_gaps(truth, 4, 20)
    where = gaps.level.isnull()
    out = Kalman().interpolate(gaps)
    straight = Linear().interpolate(gaps)
    error, linear = (float(rmse(x.level.where(where), truth.level)) for x in (out, straight))
    assert error < 0.8 * linear
    z = ((out.level - truth.level) / out.level_std).where(where)
    assert 0.9 < float(z.std()) < 1.1


@pytest.mark.parametrize(("freq", "periods"), [("D", 1500), ("h", 1500), ("6h", 3000)])
def test_a_season_is_part_of_the_model(freq, periods):
    """A cycle of the year or of the day goes on in a gap, with small errors."""
    pytest.importorskip("statsmodels")
    dates = xr.date_range("2001-01-01", periods=periods, freq=freq)
    day = (dates - dates[0]) / np.timedelta64(1, "D")
    cycle = 10 * np.cos(2 * np.pi * day / (365.2425 if freq == "D" else 1))
    truth = gauge(cycle + 0.1 * autoregressive(periods, (0.8,)), dates)
    gaps = truth.where(abs(xr.DataArray(np.arange(periods), dims="time") - 730) > 30)
    out = Kalman().interpolate(gaps)
    assert float(abs(out.level - truth.level).max()) < 1.2


def test_a_long_record_takes_seconds():
    """The parameters of 25,000 days are estimated from 5000 of them."""
    pytest.importorskip("statsmodels")
    truth = gauge(autoregressive(25_000, (0.95,)), xr.date_range("1950-01-01", periods=25_000))
    begin = clock.process_time()
    Kalman().interpolate(with_gaps(truth, 10, 100))
    assert clock.process_time() - begin < 30


@pytest.mark.parametrize(("values", "filled"), [
    ([1.0, NAN, 3.0], [1.0, 2.0, 3.0]),
    ([NAN, NAN], [NAN, NAN]),
    ([5.0] * 20 + [NAN], [5.0] * 21),
    ([4.0], [4.0]),
])  # fmt: skip
def test_a_series_without_information_has_its_mean(values, filled):
    """Few values, equal values, one or none."""
    pytest.importorskip("statsmodels")
    out = Kalman().interpolate(gauge(np.array(values)))
    np.testing.assert_allclose(out.level, filled)
    np.testing.assert_array_equal(np.isfinite(out.level_std), np.isfinite(filled))


def test_without_the_extra_the_message_names_it(monkeypatch):
    """It is not compared when a file is filled either."""
    single = character_of(gauge(autoregressive(99, (0.9,))).level, "time")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(candidates, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"Kalman smoother needs statsmodels.* pip install 'da4dvar\[statsm"):
        Kalman().interpolate(gauge(np.ones(3)))
    assert "kalman" not in [c.name for c in candidates.classical(single)]
    monkeypatch.setattr(candidates, "find_spec", lambda name: name)
    assert "kalman" in [c.name for c in candidates.classical(single)]
    assert class_of("baseline", "kalman") is Kalman
