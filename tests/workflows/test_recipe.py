"""A recipe's tables as data, gap patterns, a model and a training."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from examples import RECIPE, make_sst

from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.gaps.patterns import Mixture, Random, Transplanted
from da4dvar.workflows.recipe import Recipe

# Benchmarks and their baselines have tables of their own.
RECIPES = [
    path
    for path in sorted((Path(__file__).parents[2] / "recipes").glob("*/*.toml"))
    if "solver" in tomllib.loads(path.read_text())
]


def recipe(folder, change=lambda tables: None, **more):
    """Return the recipe of the small sea with changed tables and further entries; `folder` has its data."""
    make_sst(70).to_netcdf(folder / "truth.nc")
    tables = tomllib.loads(RECIPE.format(steps=2))
    tables |= {name: tables[name] | entries for name, entries in more.items()}
    change(tables)
    return Recipe(tables, folder)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_recipe_of_the_project_can_be_read(path):
    """Its tables are known, and its model and its gap patterns can be built."""
    read = Recipe(tomllib.loads(path.read_text()), path.parent)
    whole = {"time": 200, "component": 3 if "63" in path.parent.name else 40, "lat": 32, "lon": 32}
    whole |= {"station": 70, "y": 100, "x": 100}
    assert read.interpolator(whole).model.solver.iterations > 0
    assert (read.gaps() is not None) == ("gaps" in read.tables)


def test_data_are_the_part_that_was_asked_for(tmp_path):
    """Both ends of a range belong to it; a test without hidden points and a misspelt part are refused."""
    part = recipe(tmp_path).data("train")
    assert str(part.seen.time.values[0])[:10] == "2001-03-01"
    assert str(part.seen.time.values[-1])[:10] == "2001-04-20"
    assert part.truth.equals(part.seen)
    for name in ("test", "validaton"):
        with pytest.raises(DataError, match=f"unknown part '{name}'; .*there are: train, validation"):
            recipe(tmp_path).data(name)


def test_observed_truth_and_mask_may_have_names_of_their_own(tmp_path):
    """What is seen is read from one variable, cut by a mask; what is true from another."""
    ds = make_sst(70)
    ds = ds.assign(seen=ds.sst + 1, good=(ds.lat > -39) & (ds.sst > 0))
    ds["good"] = ds.good.astype("int8")
    made = recipe(tmp_path, data={"observed": {"sst": "seen"}, "mask": "good"})
    ds.drop_encoding().to_netcdf(tmp_path / "truth.nc")
    part = made.data("train")
    assert part.seen.sst.isel(lat=0).isnull().all()
    difference = (part.seen.sst - part.truth.sst).values
    np.testing.assert_allclose(difference[np.isfinite(difference)], 1, atol=1e-4)


def test_a_simulation_is_a_source_of_data(tmp_path):
    """Series of a known system, the same for training and validation, each its part."""

    def change(tables):
        del tables["data"]["path"]
        tables["data"] |= {
            "simulate": {"system": "lorenz96", "series": 4, "steps": 8},
            "truth": {"x": "x"},
            "train": {"series": [0, 2]},
            "validation": {"series": [3, 3]},
        }
        tables["layout"] = {"variables": ["x"], "axes": ["component", "time"]}

    made = recipe(tmp_path, change)
    assert (made.data("train").seen.sizes["series"], made.data("validation").seen.sizes["series"]) == (3, 1)


def test_gaps_are_one_pattern_or_a_mixture(tmp_path):
    """A table is a pattern; several are a mixture with their weights; masks come from a file."""
    assert isinstance(recipe(tmp_path).gaps(), Random)

    def change(tables):
        transplanted = {"kind": "transplanted", "path": "truth.nc", "variable": "sst", "weight": 3}
        tables["gaps"] = [tables["gaps"], transplanted]

    mixture = recipe(tmp_path, change).gaps()
    assert isinstance(mixture, Mixture)
    np.testing.assert_allclose(mixture.weights, [0.25, 0.75])
    assert isinstance(mixture.patterns[1], Transplanted)


def test_a_training_may_start_from_a_model(tmp_path):
    """At a vanishing rate the weights stay those of the model; one of another shape is refused."""
    first = recipe(tmp_path).train(tmp_path / "first")
    slow = {"rate": 1e-12, "seed": 7}
    second = recipe(tmp_path, train=slow).train(tmp_path / "second", start=first)
    for mine, theirs in zip(second.model.parameters(), first.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)
    assert second.provenance["started_from"]["seed"] == first.provenance["seed"]
    with pytest.raises(RecipeError, match="prior or the solver of the model to start from differs"):
        recipe(tmp_path, solver={"width": 5}).train(tmp_path / "second", start=first)


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.pop("layout"), r"no table \[layout\]"), (lambda t: t["data"].pop("train"), "no 'train'"),
    (lambda t: t["data"].update(simulate={}), "either `path` or `simulate`"),
    (lambda t: t["data"].update(train={"time": "2001"}), "expected .first, last."),
    (lambda t: t.update(cost={"initial": "guess"}), "initial is 'guess'"),
    (lambda t: t.update(cost={"rho": "cube"}), "rho is 'cube'"),
    (lambda t: t.update(first_guess={"kind": "climatology", "history": {}}), "'history' is allowed in rows"),
    (lambda t: t.update(first_guess={"kind": "letks", "dynamics": {}}), "'dynamics' is allowed in rows"),
    (lambda t: t.update(gaps=[{"kind": "random", "fraction": 0.5, "weight": -1}] * 2), "weights"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path, change, message):
    """Missing tables, ranges that are none, values out of range."""
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, change).train(tmp_path / "folder")
