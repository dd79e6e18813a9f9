"""The score of methods on points hidden from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from da4dvar.workflows.autofit.scores import scored, steps_in
from workflows.test_recipe import recipe

from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.fit import candidates
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


def test_a_step_is_timed_as_it_will_be_made(tmp_path, monkeypatch):
    """With the fit to observations and the iterations run again, as the plan says."""
    asked = []

    def loss(model: torch.nn.Module, sample: dict, *plan: object) -> tuple:
        asked.append(plan)
        return next(model.parameters()).sum(), None

    monkeypatch.setattr("da4dvar.training.loss.reconstruction_loss", loss)
    said = {"checkpoint_iterations": True, "observation_fit": 0.5}
    steps_in(recipe(tmp_path, train=said), 60)
    assert set(asked) == {((1.0, 0.05, 0.05), 0.5, True)}
