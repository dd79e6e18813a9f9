"""Tests of linear interpolation in time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.baselines.linear import Linear

NAN = np.nan


def test_gaps_are_on_the_line_between_observations() -> None:
    """Gaps are on the line between observations, and constant beyond the first and last."""
    ds = xr.Dataset({"t2m": (("time", "x"), [[NAN, 1], [2, NAN], [NAN, NAN], [4, NAN], [NAN, NAN]])})
    out = Linear().interpolate(ds)
    np.testing.assert_array_equal(out.t2m, [[2, 1], [2, 1], [3, 1], [4, 1], [4, 1]])


def test_it_is_what_xarray_does_between_observations() -> None:
    """Between observations at evenly spaced dates, the result is that of xarray's interpolate_na."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((50, 6))
    values[generator.random(values.shape) < 0.6] = NAN
    time = xr.date_range("2001-01-01", periods=50, freq="6h")
    ds = xr.Dataset({"t2m": (("time", "x"), values)}, coords={"time": time})
    expected = ds.interpolate_na("time")
    xr.testing.assert_allclose(Linear().interpolate(ds).where(expected.notnull()), expected)
