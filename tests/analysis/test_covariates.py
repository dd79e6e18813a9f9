"""Models with covariates, from a recipe to a filled file."""

import tomllib

import numpy as np
import pytest
import xarray as xr
from door import refused
from examples import RECIPE, WINDOW, gappy_sst, make_sst, tiny_interpolator

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.errors import Da4dvarWarning, DataError, RecipeError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.testing import seeded
from da4dvar.training.plan import Training
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM
from da4dvar.workflows.recipe import Recipe

PLAN = {"batch": 4, "validate_every": 3, "validation_samples": 4, "device": "cpu"}
COUNT = 2 + WINDOW + 2 * WINDOW + 1  # topography and land, an index, day of the year, latitude
BOUNDARY = ("zero", "zero")


def sea(days: int = 30, seed: int = 0) -> xr.Dataset:
    """Return the small sea with a topography, a land mask and a daily index."""
    ds = make_sst(days, seed=seed)
    depth = 1000 + 300 * np.cos(np.arange(9))[:, None] + 10 * np.arange(8)
    ds["topography"] = (("lat", "lon"), depth, {"units": "m"})
    ds["land"] = ds.sst.isnull().any("time").transpose("lon", "lat")
    ds["index"] = ("time", np.sin(np.arange(days)))
    return ds


def untrained(**change: object) -> da4dvar.Interpolator:
    """Return an untrained model with covariates."""
    arguments: dict = {"covariates": ["topography", "land", "index"], "derived": ["day_of_year", "latitude"]}
    networks = seeded(lambda: {
        "prior": UNet(WINDOW, BOUNDARY, width=4, covariates=COUNT),
        "solver": ConvLSTM(WINDOW, BOUNDARY, width=6, iterations=3, covariates=COUNT),
    })  # fmt: skip
    given = {"layout": tiny_interpolator().layout, "scaling": Anomaly(harmonics=1)}
    return da4dvar.Interpolator(**(networks | arguments | given | change))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a trained model and its file."""
    truth = sea(70, seed=1)
    model = untrained().fit(truth, truth=truth, gaps=Random(0.4), training=Training(steps=3, **PLAN))
    path = tmp_path_factory.mktemp("models") / "c.safetensors"
    model.save(path)
    return model, path


@pytest.fixture
def gappy():
    """Return the small sea with gaps."""
    return sea().assign(sst=gappy_sst(30, seed=3).sst)


@pytest.mark.parametrize("days", [30, 4])
def test_a_file_comes_back_the_same(saved, gappy, days):
    """A loaded model gives the same result, lazy data as well, also if shorter than a window."""
    model, gappy = saved[0], gappy.isel(time=slice(days))
    filled = model.interpolate(gappy)
    xr.testing.assert_equal(da4dvar.load(saved[1]).interpolate(gappy), filled)
    xr.testing.assert_identical(filled.topography.variable, gappy.topography.variable)
    assert filled.sst.notnull().equals(~sea().land.transpose("lat", "lon").broadcast_like(filled.sst))
    lazy = model.interpolate(gappy.chunk(time=7, lat=4))
    assert lazy.sst.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), filled, atol=1e-4, rtol=1e-4)


def test_names_units_and_directions_of_the_users_file_are_kept(saved, gappy):
    """Covariates are renamed, converted and reversed like the variables."""
    model, expected = saved[0], saved[0].interpolate(gappy).sst
    theirs = gappy.assign(topography=(gappy.topography / 1000).assign_attrs(units="km"))
    theirs = theirs.rename(lat="nav_lat", topography="h").isel(nav_lat=slice(None, None, -1))
    with pytest.warns(Da4dvarWarning, match="h: converted from km to m"):
        filled = model.interpolate(theirs.transpose("lon", ...), variable={"topography": "h"})
    found = filled.sst.isel(nav_lat=slice(None, None, -1)).transpose("time", "nav_lat", "lon")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_covariate_is_used(saved, gappy):
    """The result depends on each covariate, but covariates are not observations."""
    model, before = saved[0], saved[0].interpolate(gappy).sst
    for name, change in (("topography", 300.0), ("index", 1.0), ("land", True)):
        other = model.interpolate(gappy.assign({name: gappy[name] + change})).sst
        assert float(abs(other - before).max()) > 1e-4, name
    later = gappy.assign_coords(time=gappy.time + np.timedelta64(90, "D"))
    assert float(abs(model.interpolate(later).sst.values - before.values)[:, 5, 5].max()) > 1e-4
    gappy["sst"][10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation"):
        filled = saved[0].interpolate(gappy)
    assert (filled.sst_flag[20:] == 2).all()


def test_covariates_that_do_not_fit_are_refused(saved, gappy):
    """Gaps of lazy covariates, missing covariates, other units, and covariates that nothing reads."""
    gappy["topography"][2, 3:5] = np.nan
    with pytest.raises(DataError, match=r"'topography' has \d+ missing values?; .* fill it first"):
        saved[0].interpolate(gappy.chunk(time=10)).compute()
    with pytest.raises(DataError, match=r"needs the covariate 'topography', .* --variable topography="):
        saved[0].interpolate(gappy.drop_vars("topography"))
    gappy.topography.attrs["units"] = "K"
    with pytest.raises(DataError, match="cannot be converted"):
        saved[0].interpolate(gappy)
    prior, solver = UNet(WINDOW, BOUNDARY, width=4), GradientDescent(iterations=1, step=0.1)
    with pytest.raises(RecipeError, match="neither the prior nor the solver uses any"):
        untrained(prior=prior, solver=solver).prepare(sea())
    with pytest.raises(RecipeError, match=f"UNet: covariates is 3, but the data have {COUNT} channels"):
        untrained(prior=UNet(WINDOW, BOUNDARY, covariates=3)).prepare(sea())


def test_a_prior_that_reads_them_is_enough(gappy):
    """A solver without weights uses them through the prior term; a classical first guess does not."""
    model = untrained(solver=GradientDescent(iterations=2, step=0.1)).prepare(sea())
    before = model.interpolate(gappy).sst
    after = model.interpolate(gappy.assign(topography=gappy.topography + 300)).sst
    assert float(abs(after - before).max()) > 1e-5
    model = untrained(first_guess=Linear())
    model.fit(sea(70), gaps=Random(0.5), training=Training(steps=1, draws=1, **PLAN))
    assert model.interpolate(gappy).sst.notnull().any()


def test_from_a_recipe_to_a_filled_file(tmp_path):
    """A recipe counts its channels, trains and fills; a file without covariates is a one-line error."""
    sea(70).to_netcdf(tmp_path / "truth.nc")
    tables = tomllib.loads(RECIPE.format(steps=2))
    tables["data"] |= {"covariates": ["topography", "index"], "derived": ["day_of_year"]}
    trained = Recipe(tables, tmp_path).train(tmp_path / "folder")
    assert trained.model.cost.prior.covariates == trained.model.solver.covariates == 1 + 3 * WINDOW
    trained.save(tmp_path / "m.safetensors")
    ds = sea()
    filled = da4dvar.load(tmp_path / "m.safetensors").interpolate(ds.assign(sst=ds.sst.where(ds.lon > 150.6)))
    assert filled.sst[:, 5, 5].notnull().all()
    make_sst().to_netcdf(tmp_path / "without.nc")
    line = refused("interpolate", "without.nc", "out.nc", "--model", "m.safetensors", cwd=tmp_path)
    assert "--variable topography=NAME" in line
