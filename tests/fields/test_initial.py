"""Initial state of a solver."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from da4dvar.fields.initial import linear_in_time, start

NAN = np.nan
gappy_values = st.just(NAN) | st.floats(-100, 100, width=32)


@settings(deadline=None, max_examples=100)
@given(arrays("float64", array_shapes(min_dims=1, max_dims=3, max_side=6), elements=gappy_values), st.data())
def test_linear_is_what_pandas_does(y, data):
    """Interpolation agrees with pandas along any axis, constant outside the observed span."""
    axis = data.draw(st.integers(-y.ndim, y.ndim - 1))

    def filled(line: np.ndarray) -> np.ndarray:
        return pd.Series(line).interpolate(limit_direction="both").to_numpy()

    expected = np.apply_along_axis(filled, axis, y)
    np.testing.assert_allclose(linear_in_time(y, axis), expected, rtol=1e-9, atol=1e-9)


@given(arrays("float32", (5, 4), elements=st.just(NAN) | st.floats(-100, 100, width=32)))
def test_observed_values_stay_to_the_bit(y):
    """Only gaps change, dtype is kept, and lines without observations stay NaN."""
    filled = linear_in_time(y, 0)
    seen = np.isfinite(y)
    assert filled.dtype == y.dtype
    np.testing.assert_array_equal(filled[seen], y[seen])
    np.testing.assert_array_equal(np.isnan(filled), np.broadcast_to(~seen.any(0), y.shape))


def test_the_input_is_not_changed():
    """The initial state is a new array, and a linear one needs a time axis."""
    y = np.array([1.0, NAN, 3.0])
    for kind in ("zero", "observed", "linear"):
        start(y, kind, 0)[:] = 7
    np.testing.assert_array_equal(y, [1.0, NAN, 3.0])
    with pytest.raises(ValueError, match="needs a time dimension"):
        start(np.zeros(3), "linear", None)


@pytest.mark.parametrize(
    ("kind", "expected"), [("zero", [0, 0, 0, 0]), ("observed", [0, 2, 0, 4]), ("linear", [2, 2, 3, 4])]
)
def test_each_start_is_free_of_nan(kind, expected):
    """Each kind of initial state is finite, and 0 in lines without observations."""
    y = np.array([[NAN, 2, NAN, 4], [NAN] * 4], dtype="float32")
    x = start(y, kind, 1)
    assert x.dtype == y.dtype
    np.testing.assert_array_equal(x, [expected, [0, 0, 0, 0]])


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_values_are_gaps(infinite):
    """Infinite values are gaps, and a line of them stays NaN (once filled from its first position)."""
    lines = np.array([[infinite, NAN, NAN], [NAN, infinite, infinite], [1.0, infinite, 1.0]])
    expected = [[NAN] * 3, [NAN] * 3, [1.0] * 3]
    np.testing.assert_array_equal(linear_in_time(lines, 1), expected)
    np.testing.assert_array_equal(start(lines, "linear", 1), np.nan_to_num(expected))
    np.testing.assert_array_equal(start(lines, "observed", 1), [[0] * 3, [0] * 3, [1, 0, 1]])
