"""Tests of what is refused, left out or reported about points."""

from dataclasses import replace

import numpy as np
import pytest

from da4dvar.errors import DataError
from da4dvar.fields.points import Points
from da4dvar.fields.points.checks import checked

START = np.datetime64("2020-01-01T00:00", "ns")


def track(**changes) -> Points:
    """A platform that sails north, a tenth of a degree an hour."""
    number = 20
    time = START + np.arange(number).astype("m8[h]").astype("m8[ns]")
    points = Points(
        "sst",
        np.arange(float(number)),
        time=time,
        lat=40 + 0.1 * np.arange(number),
        lon=np.full(number, 5.0),
        platform=np.full(number, "ship"),
    )
    return replace(points, **changes)


def report(points: Points) -> tuple[Points, list[str]]:
    """The checked points, and what was said."""
    said: list[str] = []
    return checked(points, said.append), said


def test_good_points_pass_in_silence():
    """Nothing is changed and nothing is said."""
    points, said = report(track())
    assert said == []
    np.testing.assert_array_equal(points.value, np.arange(20.0))


@pytest.mark.parametrize("wrong", [0.0, -0.1])
def test_errors_must_be_above_0(wrong):
    """One error of 0 or less is refused, with its value; an unknown one is not."""
    error = np.full(20, 0.1)
    error[3] = np.nan
    assert report(track(error=error))[1] == []
    error[4] = wrong
    with pytest.raises(DataError, match=f"1 of 20 errors are not above 0 .the smallest is {wrong:g}"):
        report(track(error=error))


def test_duplicates_are_averaged_and_counted():
    """Points at the same time and place of a platform; another platform there is no duplicate."""
    whole = track()
    twice = whole.isel(np.array([*range(20), 0, 0, 7]))
    points, said = report(twice)
    assert said == ["sst: 3 of 23 points repeat the time, place and platform of another; they are left out"]
    assert len(points) == 20
    value = twice.value.copy()
    value[20:22] = 3.0
    points, said = report(replace(twice, value=value))
    assert points.value[0] == 2.0
    assert "their values are averaged" in said[0]
    other = np.where(np.arange(23) < 20, "ship", "boat")
    assert len(report(replace(twice, platform=other))[0]) == 22  # the boat repeats itself once


def test_impossible_positions_are_left_out():
    """Latitudes beyond the poles, in one line; all of them is an error."""
    lat = 40 + 0.1 * np.arange(20)
    lat[[2, 5]] = 95.0, -99.0
    points, said = report(track(lat=lat))
    assert len(points) == 18
    assert "2 of 20 points are left out" in said[0]
    with pytest.raises(DataError, match="no point is left"):
        report(track(lat=np.full(20, 99.0)))


def test_a_trajectory_that_jumps_is_reported():
    """Its name, the number of jumps, and the first; the points stay."""
    lat = 40 + 0.1 * np.arange(20)
    lat[10] += 20.0
    points, said = report(track(lat=lat))
    assert len(points) == 20
    (line,) = said
    assert "the trajectory of 'ship' jumps 2 times, first by 2235 km at 2020-01-01T10:00:00" in line
    (line,) = report(track(lat=lat, platform=None))[1]
    assert "the trajectory jumps 2 times" in line


def test_of_many_jumps_few_lines_are_said():
    """Three trajectories are named, the others counted."""
    lat = 40 + 0.1 * np.arange(20)
    lat[10] += 20.0
    ships = [track(lat=lat, platform=np.full(20, f"ship{k}")) for k in range(5)]
    columns = {n: np.concatenate([s.columns()[n] for s in ships]) for n in ships[0].columns()}
    said = report(Points("sst", **columns))[1]
    assert len(said) == 4
    assert said[-1] == "sst: and 2 more trajectories jump"


def test_columns_have_the_same_length():
    """As many latitudes as values."""
    with pytest.raises(DataError, match=r"lat has the shape .2,., expected one entry for each of 3 values"):
        Points("x", np.ones(3), lat=np.ones(2))
