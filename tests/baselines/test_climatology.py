"""Tests of the climatology of each cell."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.baselines.climatology import Climatology
from da4dvar.errors import DataError


def sea(days: int = 1461, start: str = "2001-01-01", noise: float = 0.0, seen: float = 1.0) -> xr.Dataset:
    """A season of 5 degrees about a different mean in each cell."""
    generator = np.random.default_rng(0)
    time = xr.DataArray(xr.date_range(start, periods=days), dims="time")
    angle = 2 * np.pi * (time.dt.dayofyear.values - 1) / 365.2425
    values = 5 * np.cos(angle)[:, None] + np.array([10.0, 15.0, 20.0])
    values = values + noise * generator.standard_normal(values.shape)
    values[generator.random(values.shape) >= seen] = np.nan
    return xr.Dataset({"sst": (("time", "x"), values)}, coords={"time": time.values})


def test_a_season_is_given_back():
    """A season with or without gaps, a constant, and a month without data but with a history."""
    np.testing.assert_allclose(Climatology().interpolate(sea()).sst, sea().sst, atol=1e-3)
    np.testing.assert_allclose(Climatology().interpolate(sea(seen=0.3)).sst, sea().sst, atol=0.02)
    for value in (0.0, 0.1):  # such as ice in summer
        constant = Climatology().interpolate(xr.full_like(sea(), value))
        np.testing.assert_allclose(constant.sst, value, atol=1e-6)
    ds = sea(days=30, start="2007-07-01")
    out = Climatology(history=sea()).interpolate(ds * np.nan)
    np.testing.assert_allclose(out.sst, ds.sst, atol=1e-2)


def test_it_is_smoother_than_the_mean_of_each_day():
    """Four noisy years recover the season to a fraction of the noise."""
    noisy = sea(noise=1.0)
    error = float((Climatology().interpolate(noisy).sst - sea().sst).std())
    daily = noisy.groupby("time.dayofyear").mean()
    rough = float((daily.sst.sel(dayofyear=noisy.time.dt.dayofyear) - sea().sst).std())
    assert error < 0.1 < rough


@pytest.mark.parametrize(
    ("ds", "harmonics"),
    [(sea(noise=1.0, seen=0.5).drop_vars("time"), 2), (sea(days=90), 2), (sea(noise=1.0), 0)],
    ids=["no dates", "dates of three months", "no harmonics"],
)
def test_without_a_season_it_is_the_mean(ds, harmonics):
    """Without dates, a whole year or harmonics, the climatology is the mean of each cell."""
    expected = np.broadcast_to(np.nanmean(ds.sst, axis=0), ds.sst.shape)
    np.testing.assert_allclose(Climatology(harmonics=harmonics).interpolate(ds).sst, expected, atol=1e-4)


@pytest.mark.parametrize(("history", "message"), [
    (sea().rename(sst="sts"), "the history has no variable 'sst': did you mean 'sts'"),
    (sea().assign_coords(x=[0.0, 1.0, 2.0]), r"'x' holds 5\.0, which is not in the climatology"),
])  # fmt: skip
def test_a_history_that_does_not_fit_is_refused(history, message):
    """The message suggests the most similar name, or states the cell that the history lacks."""
    with pytest.raises(DataError, match=message):
        Climatology(history=history).interpolate(sea().assign_coords(x=[0.0, 1.0, 5.0]))


@pytest.mark.parametrize("dates", [True, False])
def test_whole_numbers_have_a_real_climatology(dates):
    """The climatology of integers is not rounded to integers."""
    ds = sea(noise=1.0).round().astype("int16")
    ds = ds if dates else ds.drop_vars("time")
    out = Climatology().interpolate(ds).sst
    assert out.dtype.kind == "f"
    assert (out != out.round()).any()
