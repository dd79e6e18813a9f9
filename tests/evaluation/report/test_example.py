"""A report draws a typical case, or the requested time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.errors import DataError
from da4dvar.evaluation.comparison import Comparison
from da4dvar.evaluation.report.example import LONGEST, around, example_of, index_at, places_of
from da4dvar.evaluation.report.shape import Shape


def sea(seed: int = 0, times: int = 50) -> Comparison:
    """Return an estimate with an error that grows with time and a varying number of observations."""
    generator = np.random.default_rng(seed)
    coords = {
        "time": pd.date_range("2001-01-01", periods=times),
        "lat": np.arange(6.0),
        "lon": np.arange(7.0),
    }
    truth = xr.DataArray(generator.standard_normal((times, 6, 7)), coords, ("time", "lat", "lon"))
    noise = generator.standard_normal(truth.shape) * np.linspace(0.1, 2, times)[:, None, None]
    seen = truth.where(generator.random(truth.shape) < generator.random((times, 1, 1)))
    return Comparison("sst", truth + noise, truth, seen)


@given(seed=st.integers(0, 50))
@settings(deadline=None, max_examples=15)
def test_the_time_drawn_has_a_usual_error(seed):
    """The RMSE of the drawn time is between the 20th and 80th percentiles, and it has observations."""
    one = sea(seed)
    k = example_of(one, Shape.of(one.estimate), None).where["time"]
    each = ((one.estimate - one.truth).where(one.scored) ** 2).mean(("lat", "lon")) ** 0.5
    low, high = each.quantile([0.2, 0.8])
    assert low <= each[k] <= high
    assert one.observed[k].any()


def test_the_time_asked_for_is_drawn():
    """The requested date is drawn, and the reason names the option."""
    one = sea()
    example = example_of(one, Shape.of(one.estimate), "2001-01-20")
    assert example.where == {"time": 19}
    assert "--at" in example.reason


@pytest.mark.parametrize("at", ["2003-01-01", "soon"])
def test_an_invalid_time_is_refused(at):
    """A time outside the data, or text that is not a time, is refused with the range of the data."""
    with pytest.raises(DataError, match=f"--at {at}.*goes from 2001-01-01"):
        index_at(sea().estimate.time, at)


def test_dates_of_another_calendar_can_be_asked_for():
    """A date of a cftime calendar is found by its text."""
    times = xr.DataArray(
        xr.date_range("2001-01-01", periods=90, calendar="360_day", use_cftime=True), dims="time"
    )
    assert index_at(times, "2001-02-15") == 44


@given(k=st.integers(0, 999), size=st.integers(1, 1000))
def test_a_stretch_of_time_holds_its_middle_and_stays_inside(k, size):
    """The period contains the step, lies within the data and is as long as possible."""
    k = min(k, size - 1)
    window = around(k, size)
    assert 0 <= window.start <= k < window.stop <= size
    assert window.stop - window.start == min(size, LONGEST)


def test_the_places_drawn_go_from_a_low_to_a_high_error():
    """The chosen places are ordered by the RMSE of their scored cells."""
    one = sea()
    places = places_of(one, Shape.of(one.estimate), {"time": slice(0, 50)}, 3)
    each = ((one.estimate - one.truth).where(one.scored) ** 2).mean("time") ** 0.5
    errors = [float(each.isel(p)) for p in places]
    assert len(errors) == 3
    assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("dims", "time", "space", "batch"),
    [
        (("time", "lat", "lon"), "time", ("lat", "lon"), ()),
        (("lon", "time", "lat"), "time", ("lat", "lon"), ()),
        (("series", "time", "component"), "time", ("component",), ("series",)),
        (("member", "time"), "time", (), ("member",)),
        (("time", "depth", "y", "x"), "time", ("y", "x"), ("depth",)),
        (("station",), None, ("station",), ()),
    ],
)
def test_dimensions_are_known_by_their_names(dims, time, space, batch):
    """Dimensions without attributes get their roles from their names."""
    shape = Shape.of(xr.DataArray(np.zeros((2,) * len(dims)), dims=dims))
    assert (shape.time, shape.space, shape.batch) == (time, space, batch)
