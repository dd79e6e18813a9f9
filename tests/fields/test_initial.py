"""The state that a solver starts from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from da4dvar.fields.initial import linear_in_time, start

NAN = np.nan
gappy_values = st.just(NAN) | st.floats(-100, 100, width=32)


@settings(deadline=None, max_examples=100)
@given(arrays("float64", array_shapes(min_dims=1, max_dims=3, max_side=6), elements=gappy_values), st.data())
def test_linear_is_what_pandas_does(y: np.ndarray, data: st.DataObject) -> None:
    """On a line between observations, the nearest one outside of them, along any axis."""
    axis = data.draw(st.integers(-y.ndim, y.ndim - 1))

    def filled(line: np.ndarray) -> np.ndarray:
        return pd.Series(line).interpolate(limit_direction="both").to_numpy()

    expected = np.apply_along_axis(filled, axis, y)
    np.testing.assert_allclose(linear_in_time(y, axis), expected, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(arrays("float64", (7, 3), elements=gappy_values))
def test_linear_is_what_xarray_does_between_observations(y: np.ndarray) -> None:
    """Inside the observed span, the line of xarray's interpolate_na."""
    expected = xr.DataArray(y, dims=("t", "x")).interpolate_na("t", use_coordinate=False).values
    inside = np.isfinite(expected)
    np.testing.assert_allclose(linear_in_time(y, 0)[inside], expected[inside], rtol=1e-9, atol=1e-9)


@given(arrays("float32", (5, 4), elements=st.just(NAN) | st.floats(-100, 100, width=32)))
def test_observed_values_stay_to_the_bit(y: np.ndarray) -> None:
    """Nothing but a gap changes, and neither does the type."""
    filled = linear_in_time(y, 0)
    seen = np.isfinite(y)
    assert filled.dtype == y.dtype
    np.testing.assert_array_equal(filled[seen], y[seen])
    np.testing.assert_array_equal(np.isnan(filled), np.broadcast_to(~seen.any(0), y.shape))


def test_a_line_that_is_never_observed_stays_nan() -> None:
    """There is nothing to draw a line through, and its neighbours are of no help."""
    y = np.array([[NAN, NAN], [1.0, NAN]])
    np.testing.assert_array_equal(linear_in_time(y, 1), [[NAN, NAN], [1.0, 1.0]])


def test_the_input_is_not_changed() -> None:
    """A start is a new array."""
    y = np.array([1.0, NAN, 3.0])
    for kind in ("zero", "observed", "linear"):
        start(y, kind, 0)[:] = 7
    np.testing.assert_array_equal(y, [1.0, NAN, 3.0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("zero", [0, 0, 0, 0]), ("observed", [0, 2, 0, 4]), ("linear", [2, 2, 3, 4])],
)
def test_each_start_is_free_of_nan(kind: str, expected: list[float]) -> None:
    """Zero is the mean; a gap without a line through it is at the mean too."""
    y = np.array([[NAN, 2, NAN, 4], [NAN] * 4], dtype="float32")
    x = start(y, kind, 1)
    assert x.dtype == y.dtype
    np.testing.assert_array_equal(x, [expected, [0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["zero", "observed", "linear"])
def test_an_infinite_value_is_a_gap(kind: str) -> None:
    """It is not observed for the cost, and does not get into the start either."""
    y = np.array([1.0, np.inf, 1.0, -np.inf])
    expected = {"zero": [0, 0, 0, 0], "observed": [1, 0, 1, 0], "linear": [1, 1, 1, 1]}
    np.testing.assert_array_equal(start(y, kind, 0), expected[kind])


def test_linear_needs_a_time() -> None:
    """Without an axis of time there is no line to draw."""
    with pytest.raises(ValueError, match="needs a time dimension"):
        start(np.zeros(3), "linear", None)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_a_line_of_infinite_values_alone_was_never_observed(infinite):
    """Wherever they are: the first position of such a line once filled all of it."""
    lines = np.array([[infinite, np.nan, np.nan], [np.nan, infinite, infinite]], dtype="float32")
    assert np.isnan(linear_in_time(lines, 1)).all()
