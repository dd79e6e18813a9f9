"""Tests of layouts: what is refused, and the arithmetic of strides and channels."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da4dvar.errors import RecipeError
from da4dvar.fields.channels import to_channels
from da4dvar.layout import Layout


@given(window=st.integers(1, 100), overlap=st.floats(0, 1, exclude_max=True))
def test_windows_follow_each_other_without_a_gap(window, overlap):
    """A stride is between one cell and one window for any overlap."""
    layout = Layout(["t"], ["time"], window={"time": window}, overlap={"time": overlap})
    assert 1 <= layout.stride("time") <= window
    assert abs(layout.stride("time") - max(1, window * (1 - overlap))) <= 0.5


def test_half_a_window_overlaps_and_channels_come_before_axes():
    """The overlap is 0.5 and channels come before axes; a periodic axis with a window has ends."""
    layout = Layout(["sst"], axes=["lon", "lat"], channels=["time", "depth"], window={"time": 40})
    assert (layout.stride("time"), layout.dims) == (20, ("time", "depth", "lon", "lat"))
    whole = Layout(["x"], ["component", "time"], periodic=["component"])
    cut = Layout(["x"], ["component", "time"], periodic=["component"], window={"component": 8})
    assert (whole.boundary, cut.boundary) == (("periodic", "zero"), ("zero", "zero"))


@given(
    variables=st.integers(1, 3),
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    window=st.none() | st.integers(1, 4),
)
def test_the_count_of_channels_is_that_of_a_folded_window(variables, sizes, window):
    """There is one channel for each variable at each position along the folded dimensions."""
    named = dict(zip(("time", "depth", "lat"), sizes, strict=True))
    windows = {} if window is None else {"time": window}
    layout = Layout([f"v{k}" for k in range(variables)], ["lat"], ["time", "depth"], window=windows)
    cut = np.zeros((variables, window or sizes[0], *sizes[1:]))
    assert layout.channel_count(named) == len(to_channels(cut, layout))
    assert layout.channel_count(named) == variables * math.prod(cut.shape[1:3])


@pytest.mark.parametrize(("change", "text"), [
    ({"variables": []}, "no variable"),
    ({"variables": "sst"}, r"variables is 'sst', expected a list: \['sst'\]"),
    ({"axes": "lat"}, "expected a list"), ({"axes": []}, "got 0 axes, expected 1, 2 or 3"),
    ({"axes": ["a", "b", "c", "d"]}, "got 4 axes"), ({"channels": ["lat"]}, "'lat' is named twice"),
    ({"axes": ["lat", "lat"]}, "'lat' is named twice"),
    ({"periodic": ["time"]}, "periodic names 'time', which is not one of lat, lon"),
    ({"window": {"day": 3}}, "window names 'day', which is not one of time, lat, lon"),
    ({"overlap": {"day": 0.5}}, "overlap names 'day'"),
    ({"window": {"time": 0}}, "window of 'time' is 0, expected 1 or more"),
    ({"overlap": {"time": 1.0}}, "overlap of 'time' is 1.0"),
    ({"overlap": {"time": -0.1}}, "overlap of 'time' is -0.1"),
])  # fmt: skip
def test_a_layout_that_makes_no_sense_is_refused(change, text):
    """The message names the wrong entry and what was expected."""
    good: dict[str, Any] = {"variables": ["sst"], "axes": ["lat", "lon"], "channels": ["time"]}
    with pytest.raises(RecipeError, match=text):
        Layout(**good | change)
