"""Tests of linear interpolation in time."""

import numpy as np
import xarray as xr

from da4dvar.baselines.linear import Linear


def test_gaps_are_on_the_line_between_observations():
    """The result is that of numpy's interp: linear between observations, constant beyond."""
    generator = np.random.default_rng(0)
    hours = 6 * np.arange(50)
    values = generator.standard_normal((50, 6))
    seen = generator.random(values.shape) < 0.4
    time = np.datetime64("2001-01-01", "ns") + hours.astype("timedelta64[h]")
    ds = xr.Dataset({"t2m": (("time", "x"), np.where(seen, values, np.nan))}, coords={"time": time})
    expected = [np.interp(hours, hours[s], v[s]) for v, s in zip(values.T, seen.T, strict=True)]
    np.testing.assert_allclose(Linear().interpolate(ds).t2m, np.transpose(expected), rtol=1e-5, atol=1e-8)
