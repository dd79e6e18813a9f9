"""Tests of the weighted mean of several methods."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.combination import Combination
from da4dvar.baselines.linear import Linear
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


def test_without_weights_all_count_alike():
    """Without weights, the result is the unweighted mean."""
    assert Combination([Constant(0.0), Constant(1.0)]).interpolate(SERIES).x.values[1] == 0.5


def test_a_method_without_an_estimate_is_left_out():
    """Missing estimates are omitted from the mean; it is NaN only where all are missing."""
    out = Combination([Constant(np.nan), Constant(2.0)], [9.0, 1.0]).interpolate(SERIES)
    assert out.x.values[1] == 2.0
    assert np.isnan(Combination([Constant(np.nan)]).interpolate(SERIES).x.values[1])


def test_standard_errors_are_those_of_the_methods_that_state_one():
    """The standard error is the mean of those provided; without any, there is none."""
    out = Combination([Constant(0.0, 1.0), Constant(0.0), Constant(0.0, 4.0)], [2.0, 5.0, 1.0])
    np.testing.assert_allclose(out.interpolate(SERIES).x_std, 2.0)
    assert "x_std" not in Combination([Constant(0.0)]).interpolate(SERIES)


@pytest.mark.parametrize(("number", "weights"), [(0, []), (2, [1.0]), (2, [1.0, 0.0])])
def test_weights_that_do_not_fit_are_refused(number, weights):
    """Weights must be positive, and one per method."""
    with pytest.raises(DataError, match="and either no weights or one above 0 for each"):
        Combination([Linear()] * number, weights)


def test_a_table_names_it_and_its_methods():
    """A table from which the combination is rebuilt holds its methods and weights."""
    table = {"kind": "combination", "methods": [{"kind": "linear"}, {"kind": "climatology"}]}
    made = build("baseline", table)
    assert [type(m) for m in made.methods] == [Linear, Climatology]
    again = describe("baseline", made)
    assert [m["kind"] for m in again["methods"]] == ["linear", "climatology"]
    assert [type(m) for m in build("baseline", again).methods] == [Linear, Climatology]
