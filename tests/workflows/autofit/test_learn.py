"""The learned estimate: the time of its training, and its recipe."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from workflows.test_recipe import recipe

from da4dvar.errors import RecipeError
from da4dvar.workflows.autofit.character import characters_of
from da4dvar.workflows.autofit.learn import checked, tables_for
from da4dvar.workflows.autofit.steps import steps_in


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


def test_validations_take_their_share_of_the_time(tmp_path, monkeypatch):
    """Of few steps, one in ten is followed by a validation; of many, twenty altogether."""

    def slow(model: torch.nn.Module, sample: dict, *plan: object) -> tuple:
        time.sleep(0.02)
        return next(model.parameters()).sum(), None

    monkeypatch.setattr("da4dvar.training.loss.reconstruction_loss", slow)
    few, many = (
        steps_in(recipe(tmp_path, train={"validation_samples": n, "batch": 4}), 1) for n in (120, 12)
    )
    assert few < 0.7 * many
    assert steps_in(recipe(tmp_path, train={"batch": 4}), 1e-3) == 0


def stations() -> xr.Dataset:
    """Two series of a hundred days."""
    values = np.random.default_rng(0).standard_normal((100, 2))
    values[::7] = np.nan
    return xr.Dataset(
        {"pm": (("time", "station"), values)}, {"time": xr.date_range("2001-01-01", periods=100)}
    )


def test_a_recipe_replaces_the_choices_but_not_the_data():
    """Tables and settings are laid over; files are those of the fit."""
    ds = stations()
    own = {"data": {"path": "gone.nc", "hidden": {"validation": 0.2}}, "scaling": {"kind": "standard"}}
    said: list[str] = []
    tables = tables_for(
        characters_of(ds, "time"), {"pm": "pm_raw"}, 3, paths=["new.nc"], mask="good",
        recipe=own, settings=["prior.width=5"], say=said.append,
    )  # fmt: skip
    assert tables["data"]["path"] == [str(Path("new.nc").resolve())]
    assert (tables["data"]["observed"], tables["data"]["mask"]) == ({"pm": "pm_raw"}, "good")
    assert tables["data"]["hidden"] == {"validation": 0.2}
    assert (tables["scaling"], tables["prior"]["width"], tables["train"]["seed"]) == (own["scaling"], 5, 3)
    assert [line.split(":")[0] for line in said] == ["layout", "scaling", "gaps"]


def test_a_mistake_in_the_recipe_is_found_before_the_training():
    """The model is built once."""
    ds = stations()
    tables = tables_for(characters_of(ds, "time"), {"pm": "pm"}, 0, settings=["prior.widht=3"])
    with pytest.raises(RecipeError, match="did you mean 'width'"):
        checked(tables, ds)
