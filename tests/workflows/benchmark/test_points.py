"""Scores of methods at given points."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.benchmark.points import Scores, candidates, scored, table_of
from da4dvar.workflows.data import Part


class Silent:
    """A method that has no estimate at some of the times."""

    def __init__(self, times: slice) -> None:
        self.times = times

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        filled = ds.sst.fillna(2.0)
        filled[self.times] = np.nan
        return ds.assign(sst=filled)


def test_a_point_left_empty_counts_with_the_mean_of_what_is_seen():
    """No estimate is no way to a better score, and one point does not spoil that of all."""
    truth = xr.Dataset({"sst": ("time", np.full(40, 2.0))})
    seen = truth.where(xr.DataArray(np.arange(40) % 2 == 0, dims="time"), np.nan)
    seen["sst"][0] = 22.0
    missing = truth.where(seen.isnull())
    scores, _ = scored({"all": Silent(slice(0)), "some": Silent(slice(1, 2))}, Part(seen, missing), "time")
    mean = float(seen.sst.mean())
    assert scores.of("all", "sst") == 0.0
    assert scores.of("some", "sst") == pytest.approx(np.sqrt((mean - 2.0) ** 2 / 20))


def test_a_logarithm_is_taken_of_the_variables_that_have_an_offset():
    """One after the other, each with its own offset; of one that has none the method is as it is."""
    plain = Character("time", ("station",), {"time": 99, "station": 3}, 0.5, 1, 1, False, False)
    offsets = {"pm": 0.4, "temperature": None, "rain": 0.1}
    found = candidates({name: replace(plain, offset=offset) for name, offset in offsets.items()})
    rain, pm = found["logarithmic"], found["logarithmic"]["method"]
    assert (rain["variables"], rain["offset"]) == (["rain"], 0.1)
    assert (pm["variables"], pm["offset"]) == (["pm"], 0.4)
    assert pm["method"] == found["gaussian_em"]
    assert "logarithmic" not in candidates({"temperature": plain})


def test_a_table_names_the_best_first():
    """Sorted by the error over all gaps."""
    scores = Scores({"linear": [2.0, 1.0], "learned": [1.0, 3.0]}, ["x, all", "x, 1 step"], [50, 20])
    verdict, table = table_of(scores).split("\n\n")
    assert "best method at the hidden points: learned" in verdict
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["learned", "linear"]
