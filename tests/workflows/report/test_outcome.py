"""What a report shows of a variable: shares, gaps and examples."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from da4dvar.evaluation.gap_classes import gap_classes
from da4dvar.evaluation.report.shape import Shape
from da4dvar.fields.labels.flags import SCHEMES, from_scheme, in_scheme
from da4dvar.workflows.autofit.comparison import Comparison
from da4dvar.workflows.report.examples import Gap, typical_and_worst
from da4dvar.workflows.report.gaps import lengths
from da4dvar.workflows.report.outcome import Outcome, binned, share
from da4dvar.workflows.report.trust import classes_table, trust_part

SCORES = Comparison(
    "t", "linear", {"linear": (0.5, 0.1)}, {"linear": {"2-3": 0.4}}, {"all": 9}, 9, (0, 0), 3, 1
)


def outcome(width: float | None = None) -> Outcome:
    """Two stations: gaps of 2, 3 and 2 steps at the first, and an open end of 4 at the second."""
    seen = xr.DataArray(np.arange(40.0).reshape(20, 2), dims=("time", "station"), name="t")
    seen[3:5, 0] = seen[8:11, 0] = seen[15:17, 0] = seen[16:, 1] = np.nan
    filled = seen.fillna(1.0)
    flag = xr.where(seen.notnull(), 0, 1).astype("int8")
    flag[16:, 1] = 3
    ends = None
    if width is not None:
        half = xr.full_like(seen, 1.0)
        half[9, 0] = width
        ends = (filled - half, filled + half)
    return Outcome(seen, filled, flag, ends, SCORES, Shape.of(seen, "time"))


def test_a_typical_gap_and_the_worst():
    """The typical gap is closed and of median length; the worst has the widest interval or is longest."""
    assert typical_and_worst(outcome()) == {
        "A typical gap": Gap({"station": 0}, 8, 11),
        "The longest gap": Gap({"station": 1}, 16, 20),
    }
    hard = {"The gap with the widest interval": Gap({"station": 0}, 8, 11)}
    assert typical_and_worst(outcome(5.0)) == hard
    none = outcome()
    none.flag[:] = 2
    assert typical_and_worst(none) == {}
    seen = xr.DataArray(np.arange(20.0), dims="time", name="t")
    seen[:3] = seen[9:12] = np.nan
    flag = xr.where(seen.notnull(), 0, 1)
    alike = Outcome(seen, seen.fillna(0.0), flag, None, SCORES, Shape.of(seen, "time"))
    assert typical_and_worst(alike)["A typical gap"] == Gap({}, 9, 12)


def test_gaps_in_words():
    """Their number, the median over the missing values, and the longest with its times."""
    one = outcome()
    said = lengths(one, xr.ones_like(one.observed))
    assert said.startswith(
        "There are 4 gaps in time; half of the missing values are in gaps of up to 3 steps."
    )
    assert said.endswith("The longest has 4 steps (time 16 to 19).")
    assert (one.missing, one.filled_in, one.counts["beyond_scored"]) == (11, 11, 4)


def test_errors_and_intervals_by_length_of_the_gap():
    """Each filled value is in one class, as the hidden points are; an unscored class has no error."""
    rows = classes_table(outcome(5.0), deviation=0.8).rows
    assert rows == [
        ["2-3", "0.4", "50.0 %", "7", "0.0 %", "1"],
        ["open end", "–", "–", "4", "100.0 %", "1"],
    ]
    one = outcome()
    one.flag[3, 0] = 2
    assert classes_table(one, deviation=0.8).rows[0] == ["2-3", "0.4", "50.0 %", "6", "0.0 %"]
    length, ends = np.arange(1, 41), np.arange(1, 41) % 5 == 0
    assert sum(at.astype(int) for at in gap_classes(length, ends).values()).tolist() == [1] * 40


def test_flag_3_is_drawn_and_warned_of():
    """Its number and share, and a figure of where it is; without any, the part says that there is none."""
    one = outcome(5.0)
    part = trust_part(one)
    assert "the 4 values with flag 3 (36.4 % of the filled values)" in part.text[-1]
    assert part.figure is not None
    plain = trust_part(replace(one, flag=one.flag.where(one.flag != 3, 1)))
    assert plain.figure is None
    assert plain.text[-1].startswith("No value has flag 3")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_flags_come_back_from_every_scheme(scheme):
    """The codes of a community are those of the package again, lazy ones too."""
    flag = xr.DataArray(np.array([0, 1, 2, 3], dtype="int8"), dims="time", name="t_flag")
    np.testing.assert_array_equal(from_scheme(in_scheme(flag, scheme)), flag)
    np.testing.assert_array_equal(from_scheme(in_scheme(flag.chunk(), scheme)), flag)


def test_shares_and_periods():
    """Periods keep their sum and the date of their first step; an empty whole has no share."""
    times = xr.date_range("2001-01-01", periods=7)
    seen = xr.DataArray(np.ones((7, 2)), {"time": times}, ("time", "place"))
    found = binned(seen, "time", 3)
    assert found.sum() == seen.sum()
    np.testing.assert_array_equal(found.time, times[::3])
    assert np.isnan(share(0 * seen, 0 * seen, ["time", "place"]))
