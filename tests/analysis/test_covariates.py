"""A model with covariates: from a recipe to a filled file."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import torch
import xarray as xr
from door import refused
from examples import RECIPE, WINDOW, make_sst

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.errors import Da4dvarWarning, DataError, RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.training.plan import Training
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM
from da4dvar.workflows.recipe import Recipe

PLAN = {"batch": 4, "validate_every": 3, "validation_samples": 4, "device": "cpu"}
COUNT = 2 + WINDOW + 2 * WINDOW + 1  # topography and land, an index, day of the year, latitude
BOUNDARY = ("zero", "zero")


def sea(days: int = 30, seed: int = 0) -> xr.Dataset:
    """The small sea with a topography, a land mask and an index of every day."""
    ds = make_sst(days, seed=seed)
    depth = 1000 + 300 * np.cos(np.arange(9))[:, None] + 10 * np.arange(8)
    ds["topography"] = (("lat", "lon"), depth, {"units": "m"})
    ds["land"] = ds.sst.isnull().any("time").transpose("lon", "lat")
    ds["index"] = ("time", np.sin(np.arange(days)))
    return ds


def untrained(**change: object) -> da4dvar.Interpolator:
    arguments: dict = {"covariates": ["topography", "land", "index"], "derived": ["day_of_year", "latitude"]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks: dict = {
            "prior": UNet(WINDOW, BOUNDARY, width=4, covariates=COUNT),
            "solver": ConvLSTM(WINDOW, BOUNDARY, width=6, iterations=3, covariates=COUNT),
        }
    layout = da4dvar.Layout(
        ["sst"], axes=["lat", "lon"], channels=["time"], window={"time": WINDOW, "lat": 5, "lon": 6}
    )
    return da4dvar.Interpolator(
        **(networks | arguments | change), layout=layout, scaling=Anomaly(harmonics=1)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    truth = sea(70, seed=1)
    model = untrained().fit(truth, truth=truth, gaps=Random(0.4), training=Training(steps=3, **PLAN))
    path = tmp_path_factory.mktemp("models") / "c.safetensors"
    model.save(path)
    return model, path


@pytest.fixture
def gappy():
    ds = sea()
    return ds.assign(sst=ds.sst.where(np.random.default_rng(3).random(ds.sst.shape) < 0.4))


def test_a_file_comes_back_the_same(saved, gappy):
    """Names, means and weights travel in the model file; the covariates are no part of what is filled."""
    model, path = saved
    filled = da4dvar.load(path).interpolate(gappy)
    xr.testing.assert_equal(filled, model.interpolate(gappy))
    assert "topography" not in filled
    assert filled.sst.notnull().equals(~sea().land.transpose("lat", "lon").broadcast_like(filled.sst))


@pytest.mark.parametrize("days", [30, 4])
def test_lazy_gives_the_same(saved, gappy, days):
    """In chunks, and where a file is shorter than a window."""
    model, gappy = saved[0], gappy.isel(time=slice(days))
    lazy = model.interpolate(gappy.chunk(time=7, lat=4))
    assert lazy.sst.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), model.interpolate(gappy), atol=1e-4, rtol=1e-4)


def test_names_units_and_directions_of_the_users_file_are_kept(saved, gappy):
    """Covariates are renamed, converted and turned with the variable that they belong to."""
    model, expected = saved[0], saved[0].interpolate(gappy).sst
    theirs = gappy.assign(topography=(gappy.topography / 1000).assign_attrs(units="km"))
    theirs = theirs.rename(lat="nav_lat", topography="h").isel(nav_lat=slice(None, None, -1))
    with pytest.warns(Da4dvarWarning, match="h: converted from km to m"):
        filled = model.interpolate(theirs.transpose("lon", ...), variable={"topography": "h"})
    found = filled.sst.isel(nav_lat=slice(None, None, -1)).transpose("time", "nav_lat", "lon")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_covariate_is_used(saved, gappy):
    """Another value of any of them gives another answer, and the observations are as they were."""
    model, before = saved[0], saved[0].interpolate(gappy).sst
    for name, change in (("topography", 300.0), ("index", 1.0), ("land", True)):
        other = model.interpolate(gappy.assign({name: gappy[name] + change})).sst
        assert float(abs(other - before).max()) > 1e-4, name
    later = gappy.assign_coords(time=gappy.time + np.timedelta64(90, "D"))
    assert float(abs(model.interpolate(later).sst.values - before.values)[:, 5, 5].max()) > 1e-4


def test_a_window_without_observations_is_not_filled_from_covariates(saved, gappy):
    """Rule 8: what is known everywhere is no observation."""
    gappy["sst"][10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation"):
        filled = saved[0].interpolate(gappy)
    assert (filled.sst_flag[20:] == 2).all()


@pytest.mark.parametrize("lazy", [False, True])
def test_a_gap_in_a_covariate_is_refused(saved, gappy, lazy):
    """At once, or for a lazy file as soon as it is met; it is said which, and what to do."""
    gappy["topography"][2, 3:5] = np.nan
    with pytest.raises(DataError, match=r"'topography' has \d+ missing values?; .* fill it first"):
        saved[0].interpolate(gappy.chunk(time=10) if lazy else gappy).compute()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda ds: ds.drop_vars("topography"),
            "needs the covariate 'topography', .* --variable topography=",
        ),
        (lambda ds: ds.assign(topography=ds.topography.assign_attrs(units="K")), "cannot be converted"),
        (
            lambda ds: ds.assign(topography=ds.topography.rename(lat="row")),
            "dimension 'row', which 'sst' has",
        ),
        (lambda ds: ds.drop_vars("time"), "needs dates"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(saved, gappy, change, message):
    """Missing, of another unit, on another grid, without dates."""
    with pytest.raises(DataError, match=message):
        saved[0].interpolate(change(gappy))


def test_covariates_that_nothing_reads_are_refused():
    """Neither a prior nor a solver without a place for them is trained in silence."""
    prior, solver = UNet(WINDOW, BOUNDARY, width=4), GradientDescent(iterations=1, step=0.1)
    with pytest.raises(RecipeError, match="neither the prior nor the solver uses any"):
        untrained(prior=prior, solver=solver).prepare(sea())
    with pytest.raises(RecipeError, match=f"UNet: covariates is 3, but the data have {COUNT} channels"):
        untrained(prior=UNet(WINDOW, BOUNDARY, covariates=3)).prepare(sea())


def test_a_prior_that_reads_them_is_enough(gappy):
    """A solver without weights sees covariates through the gradient of the prior term."""
    model = untrained(solver=GradientDescent(iterations=2, step=0.1)).prepare(sea())
    before = model.interpolate(gappy).sst
    after = model.interpolate(gappy.assign(topography=gappy.topography + 300)).sst
    assert float(abs(after - before).max()) > 1e-5


def test_a_first_guess_does_not_see_them(gappy):
    """A classical method fills the variable alone, in training and in use."""
    model = untrained(first_guess=Linear())
    model.fit(sea(70), gaps=Random(0.5), training=Training(steps=1, draws=1, **PLAN))
    assert model.interpolate(gappy).sst.notnull().any()


def recipe(folder, change=None):
    sea(70).to_netcdf(folder / "truth.nc")
    tables = tomllib.loads(RECIPE.format(steps=2))
    tables["data"] |= {"covariates": ["topography", "index"], "derived": ["day_of_year"]}
    if change is not None:
        change(tables)
    return Recipe(tables, folder)


def test_a_recipe_makes_networks_of_the_right_size(tmp_path):
    """The number of channels is counted from the data, none of it is said in the recipe."""
    model = recipe(tmp_path).interpolator({"time": 51, "lat": 9, "lon": 8}).model
    assert model.cost.prior.covariates == model.solver.covariates == 1 + 3 * WINDOW


def test_a_recipe_with_hidden_points_keeps_them_whole(tmp_path):
    """Points are hidden of the variable, never of a covariate."""

    def change(tables):
        for key in ("truth", "train", "validation"):
            del tables["data"][key]
        tables["data"]["hidden"] = {"lengths": [2]}

    for part in ("train", "validation", "test"):
        seen = recipe(tmp_path, change).data(part).seen
        assert seen.topography.notnull().all()
        assert int(seen.sst.isnull().sum()) > int(sea(70).sst.isnull().sum())


def test_from_a_recipe_to_a_filled_file(tmp_path):
    """What a recipe trains fills a file; on the command line, a file without is one line and the code 2."""
    recipe(tmp_path).train(tmp_path / "folder").save(tmp_path / "m.safetensors")
    ds = sea()
    filled = da4dvar.load(tmp_path / "m.safetensors").interpolate(ds.assign(sst=ds.sst.where(ds.lon > 150.6)))
    assert filled.sst[:, 5, 5].notnull().all()
    make_sst().to_netcdf(tmp_path / "without.nc")
    line = refused("interpolate", "without.nc", "out.nc", "--model", "m.safetensors", cwd=tmp_path)
    assert "--variable topography=NAME" in line
