"""Cycles of the year and of the day."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.cycles import cycles
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.variational.kernels import Separable, SumOfSeparable


def series(periods: int, freq: str) -> xr.DataArray:
    times = xr.date_range("2019-03-01", periods=periods, freq=freq)
    return xr.DataArray(np.zeros(periods), {"time": times}, name="t2m")


@pytest.mark.parametrize(
    ("periods", "freq", "terms"),
    [
        pytest.param(72, "1h", 7, id="hours: the mean and three harmonics of the day"),
        pytest.param(72, "6h", 3, id="four steps a day tell one harmonic apart"),
        pytest.param(30, "1h", 1, id="less than two days"),
        pytest.param(400, "1D", 7, id="days of more than a year"),
        pytest.param(2000, "6h", 7 + 3 * 2, id="the day has a season of its own"),
    ],
)
def test_cycles_are_those_that_the_times_can_tell(periods: int, freq: str, terms: int) -> None:
    assert cycles(series(periods, freq), "time", 3).shape == (periods, terms)


def test_times_that_are_all_the_same_have_no_cycle() -> None:
    assert cycles(series(1, "1h").isel(time=[0] * 100), "time", 3).shape == (100, 1)


def test_the_cycle_of_the_day_reaches_into_gaps_of_days() -> None:
    # Three days without a value, of two weeks of a pure cycle that differs between the cells.
    hours = xr.date_range("2019-03-01", periods=14 * 24, freq="1h")
    angle = 2 * np.pi * np.arange(len(hours)) / 24
    truth = 280 + np.array([1.0, 5.0]) * np.cos(angle)[:, None]
    truth += 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    whole = xr.Dataset({"t2m": (("time", "station"), truth)}, {"time": hours})
    gappy = whole.where(~whole.time.isin(whole.time[100:172]))
    # A covariance that knows of no cycle, so that it is the background that does.
    method = OptimalInterpolation(covariance=SumOfSeparable((Separable(1.0, 1.0, 0.1),), nugget=0.01))
    error = (method.interpolate(gappy)["t2m"] - whole["t2m"])[100:172]
    assert float(np.sqrt((error**2).mean())) < 0.3
