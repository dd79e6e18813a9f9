"""Limits on which gaps are filled, against those of xarray."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.limits import within_limits

DAYS = xr.date_range("2001-01-01", periods=40)
UNEVEN = np.cumsum(np.random.default_rng(3).integers(1, 5, 40)).astype(float)


def gappy(coordinate: object = None) -> xr.DataArray:
    """Three lines of forty values, with gaps of all lengths, inside and at both ends."""
    values = np.random.default_rng(0).standard_normal((3, 40))
    for row, gaps in zip(values, ([(0, 2), (5, 6), (10, 14)], [(20, 31), (38, 40)], [(3, 5)]), strict=True):
        for first, last in gaps:
            row[first:last] = np.nan
    coords = {} if coordinate is None else {"time": coordinate}
    return xr.DataArray(values, dims=("station", "time"), coords=coords, name="x")


@pytest.mark.parametrize(("coordinate", "max_gap"), [
    (None, 2), (None, 3), (None, 5.0), (UNEVEN, 6.0), (UNEVEN, 13), (DAYS, "2D"), (DAYS, "5D"), (DAYS, "49h"),
    (DAYS, np.timedelta64(3, "D")), (DAYS, pd.Timedelta("12D")),
])  # fmt: skip
def test_a_gap_is_as_long_as_xarray_says(coordinate, max_gap):
    """What interpolate_na(max_gap=...) fills, extrapolation included, is what is allowed."""
    array = gappy(np.arange(40) if coordinate is None else coordinate)
    filled = array.interpolate_na("time", max_gap=max_gap, fill_value="extrapolate")
    expected = filled.notnull() & array.isnull()
    found = within_limits(gappy(coordinate).notnull(), ["time"], max_gap)
    assert found.dtype == bool
    np.testing.assert_array_equal(found.values, expected.values)


def test_no_limit_allows_every_gap():
    """Without limits, and with one that is longer than the record."""
    array = gappy(DAYS)
    assert (within_limits(array.notnull(), ["time"]) == array.isnull()).all()
    assert (within_limits(array.notnull(), ["time"], "100D") == array.isnull()).all()


def test_inside_and_outside_share_the_gaps():
    """Inside is what xarray interpolates without extrapolation, outside is the rest."""
    array = gappy()
    inside, outside = (within_limits(array.notnull(), ["time"], limit_area=a) for a in ("inside", "outside"))
    expected = array.interpolate_na("time").notnull() & array.isnull()
    np.testing.assert_array_equal(inside.values, expected.values)
    np.testing.assert_array_equal(outside.values, (array.isnull() & ~expected).values)


def test_one_dimension_within_the_limit_is_sufficient():
    """Of two dimensions, the one along which the gap is short decides."""
    seen = gappy().notnull()
    found = within_limits(seen, ["time", "station"], max_gap=2)
    either = within_limits(seen, ["time"], max_gap=2) | within_limits(seen, ["station"], max_gap=2)
    assert (found == either).all()
    assert found.sum() > within_limits(seen, ["time"], max_gap=2).sum()


def test_a_duration_is_measured_along_dates_alone():
    """Among several dimensions, those that hold no dates do not widen a limit on time, nor refuse it."""
    seen = xr.DataArray([[1, 1], [0, 1], [0, 1], [1, 1]], dims=("time", "x")).astype(bool)
    seen = seen.assign_coords(time=np.arange("2000-01-01", "2000-01-05", dtype="M8[D]"), x=[0, 1])
    assert not within_limits(seen, ["time", "x"], max_gap="2D").any()
    assert within_limits(seen, ["time", "x"], max_gap="3D").sum() == 2


def test_lazy_is_as_in_memory():
    """Chunks along time do not cut a gap, and nothing is computed."""
    seen = gappy(DAYS).notnull()
    lazy = within_limits(seen.chunk(time=7), ["time"], "5D", "inside")
    assert lazy.chunks is not None
    assert (lazy == within_limits(seen, ["time"], "5D", "inside")).all()


def test_dates_of_other_calendars():
    """A duration is counted in their days."""
    noleap = xr.date_range("2000-02-20", periods=40, calendar="noleap", use_cftime=True)
    found, usual = (within_limits(gappy(c).notnull(), ["time"], "5D") for c in (noleap, DAYS))
    np.testing.assert_array_equal(found.values, usual.values)


@pytest.mark.parametrize(("coordinate", "options", "message"), [
    (DAYS, {"max_gap": 3}, "max_gap is 3, but 'time' holds dates; give a duration such as '5D'"),
    (DAYS, {"max_gap": "3"}, "holds dates"), (None, {"max_gap": "5D"}, "holds no dates; give a number"),
    (None, {"max_gap": "soon"}, "'soon', expected a duration"), (None, {"max_gap": 0}, "more than 0"),
    (DAYS, {"max_gap": pd.Timedelta("-1D")}, "expected more than 0"),
    (None, {"limit_area": "within"}, "'within', expected 'inside' or 'outside'"),
])  # fmt: skip
def test_a_limit_that_is_none_is_refused(coordinate, options, message):
    """The message says what was expected."""
    with pytest.raises(DataError, match=message):
        within_limits(gappy(coordinate).notnull(), ["time"], **options)


def test_a_dimension_must_be_there():
    """Its name is checked even without a limit."""
    with pytest.raises(DataError, match="variable 'x' has no dimension 'lat'; it has station, time"):
        within_limits(gappy().notnull().rename("x"), ["lat"])
