"""Tests of the methods that wrap others: the weighted mean of several, and one on the logarithm."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import lognorm

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.combination import Combination
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.logarithmic import Logarithmic
from da4dvar.baselines.nearest_stations import NearestStations
from da4dvar.config.registry import build, describe
from da4dvar.errors import DataError


class Constant:
    """A method with a constant estimate and, optionally, a constant standard error."""

    def __init__(self, value: float, std: float | None = None) -> None:
        self.value, self.std = value, std

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        x = ds["x"].fillna(self.value)
        return ds.assign(x=x) if self.std is None else ds.assign(x=x, x_std=xr.full_like(x, self.std))


SERIES = xr.Dataset({"x": ("time", [1.0, np.nan, 3.0])})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 9)), min_size=1, max_size=4))
def test_it_is_the_weighted_mean(pairs):
    """The result is numpy's weighted mean for any number of methods."""
    values, weights = zip(*pairs, strict=True)
    out = Combination([Constant(v) for v in values], weights).interpolate(SERIES)
    np.testing.assert_allclose(out.x, [1.0, np.average(values, weights=weights), 3.0], atol=1e-12)


def test_what_is_missing_is_left_out():
    """Missing estimates and standard errors are left out of the mean; without weights, all count alike."""
    out = Combination([Constant(np.nan), Constant(2.0)], [9.0, 1.0]).interpolate(SERIES)
    assert out.x.values[1] == 2.0
    assert np.isnan(Combination([Constant(np.nan)]).interpolate(SERIES).x.values[1])
    out = Combination([Constant(0.0, 1.0), Constant(0.0), Constant(0.0, 4.0)], [2.0, 5.0, 1.0])
    np.testing.assert_allclose(out.interpolate(SERIES).x_std, 2.0)
    assert "x_std" not in Combination([Constant(0.0)]).interpolate(SERIES)
    assert Combination([Constant(0.0), Constant(1.0)]).interpolate(SERIES).x.values[1] == 0.5


@pytest.mark.parametrize(("number", "weights"), [(0, []), (2, [1.0]), (2, [1.0, 0.0])])
def test_weights_that_do_not_fit_are_refused(number, weights):
    """Weights must be positive, and one per method."""
    with pytest.raises(DataError, match="and either no weights or one above 0 for each"):
        Combination([Linear()] * number, weights)


def test_a_table_names_it_and_its_methods():
    """The table of a wrapper names the methods within, and the wrapper is rebuilt from it."""
    table = {"kind": "combination", "methods": [{"kind": "linear"}, {"kind": "climatology"}]}
    made = build("baseline", table)
    assert [type(m) for m in made.methods] == [Linear, Climatology]
    again = describe("baseline", made)
    assert [m["kind"] for m in again["methods"]] == ["linear", "climatology"]
    assert [type(m) for m in build("baseline", again).methods] == [Linear, Climatology]
    table = {"kind": "logarithmic", "offset": 2.0, "method": {"kind": "nearest_stations", "neighbours": 7}}
    made = build("baseline", table)
    assert isinstance(made.method, NearestStations)
    again = describe("baseline", made)
    assert (again["method"]["kind"], again["method"]["neighbours"]) == ("nearest_stations", 7)


class Normal:
    """A method with a given mean and spread, independent of the data."""

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std = mean, std

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        x = ds["x"].copy(data=np.full(ds["x"].shape, self.mean))
        return ds.assign(x=x, x_std=xr.full_like(x, self.std))


def test_mean_and_spread_are_those_of_a_log_normal_variable():
    """Mean and spread are those of scipy's log-normal distribution less the offset, with units."""
    ds = xr.Dataset({"x": ("time", [1.0, np.nan], {"units": "ug/m3"})})
    out = Logarithmic(Normal(0.7, 0.5), offset=2.0).interpolate(ds)
    oracle = lognorm(0.5, scale=np.exp(0.7))
    np.testing.assert_allclose(out.x, oracle.mean() - 2.0)
    np.testing.assert_allclose(out.x_std, oracle.std())
    assert out.x_std.attrs["units"] == out.x.attrs["units"] == "ug/m3"


def test_observed_values_survive_a_method_that_keeps_them():
    """Observed values, labels and encoding are kept; only the named variables are transformed."""
    ds = xr.Dataset(
        {"x": (("time", "s"), np.array([[1.0, 0.0], [np.nan, 5.0]], dtype="float32"))},
        coords={"s": ["a", "b"], "n": ("s", [1, 2])},
    )
    ds.x.encoding = {"dtype": "int16"}
    out = Logarithmic(Linear(), 1.0).interpolate(ds)
    np.testing.assert_allclose(out.x.values[0], [1.0, 0.0], atol=1e-6)
    assert (out.x.dtype, out.x.encoding) == ("float32", ds.x.encoding)
    xr.testing.assert_identical(out.drop_vars("x"), ds.drop_vars("x"))
    rain, cold = [1.0, np.nan, 4.0], [-1.0, np.nan, -4.0]
    ds = xr.Dataset({"rain": ("time", rain), "cold": ("time", cold)})
    made = Logarithmic(Linear(), offset=0.0, variables=["rain"])
    np.testing.assert_allclose(made.interpolate(ds).rain, [1.0, 2.0, 4.0])
    np.testing.assert_allclose(made.interpolate(ds).cold, [-1.0, -2.5, -4.0])
    assert build("baseline", describe("baseline", made)).variables == ("rain",)


def test_it_wins_where_errors_grow_with_the_value():
    """The logarithm reduces the error if errors grow with the value, for stations with a common signal."""
    generator = np.random.default_rng(0)
    log = generator.standard_normal((900, 1)) + 0.2 * generator.standard_normal((900, 8))
    log = log * generator.uniform(0.5, 1.5, 8)
    truth = xr.Dataset({"x": (("time", "station"), np.exp(log))})
    hidden = generator.random(log.shape) < 0.2
    seen = truth.where(~hidden)
    errors = [
        float(np.sqrt(np.mean((m.interpolate(seen).x.values - truth.x.values)[hidden] ** 2)))
        for m in (Logarithmic(NearestStations(), 0.0), NearestStations())
    ]
    assert errors[0] < 0.9 * errors[1]


def test_a_value_without_a_logarithm_is_refused():
    """The message states the value and the offset."""
    with pytest.raises(DataError, match=r"'x' has the value -3, which has no logarithm with the offset 2"):
        Logarithmic(Linear(), 2.0).interpolate(xr.Dataset({"x": ("time", [1.0, -3.0])}))
    with pytest.raises(ValueError, match="offset is -1"):
        Logarithmic(Linear(), -1.0)
