"""Gaps of single series: their lengths, and the part that they leave."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from da4dvar.errors import RecipeError
from da4dvar.fields.gaps.runs import Runs, gap_lengths


@given(fraction=st.floats(0.3, 1.0), length=st.integers(1, 20), seed=st.integers(0, 99))
def test_the_fraction_is_reached_within_a_run(fraction: float, length: int, seed: int) -> None:
    """What is seen is not more than asked for, and not less than one run below."""
    seen = Runs([length], fraction).draw(np.random.default_rng(seed), {"station": 6, "time": 50})
    assert seen.shape == (6, 50)
    assert fraction * 300 - length <= seen.sum() <= fraction * 300


def test_runs_lie_along_time_one_series_at_a_time() -> None:
    """With a single run, the hidden cells are neighbours in time of one series."""
    seen = Runs([7], 1 - 1 / 1000).draw(np.random.default_rng(3), {"time": 90, "station": 5})
    steps, stations = np.nonzero(~seen)
    assert len(set(stations)) == 1
    assert (np.diff(steps) == 1).all()
    assert 1 <= steps.size <= 7


def test_cells_at_the_ends_are_hidden_as_often_as_others() -> None:
    """A run may hang over an end."""
    generator = np.random.default_rng(0)
    draws = np.stack([Runs([10], 0.5).draw(generator, {"time": 40, "x": 2}) for _ in range(400)])
    hidden = (~draws).mean((0, 2))
    assert hidden[[0, -1]].min() > 0.8 * hidden.mean()


@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(1, 30))
def test_gap_lengths_are_those_between_observations(seen: list[bool], most: int) -> None:
    """Counted by hand, run by run, those at the ends left out."""
    runs = [(key, len(list(group))) for key, group in itertools.groupby(seen)]
    expected = sorted(n for key, n in runs[1:-1] if not key and n <= most)
    found = gap_lengths(xr.DataArray([seen, seen], dims=("x", "time")), "time", most)
    assert sorted(found) == sorted(expected * 2)


@pytest.mark.parametrize(("lengths", "fraction"), [([], 0.5), ([0], 0.5), ([3], 0.0), ([3], 1.5)])
def test_nonsense_is_refused(lengths: list[int], fraction: float) -> None:
    """Lengths and the fraction are named with what was got."""
    with pytest.raises(RecipeError, match=r"lengths of runs|fraction of observed cells"):
        Runs(lengths, fraction)
