"""Models whose prior is a covariance, on labelled data: optimal interpolation, two sensors, and a file."""

import tomllib

import numpy as np
import pytest
import xarray as xr
from examples import RECIPE, gappy_sst, make_sst

import da4dvar
from da4dvar.baselines.draws import unconditional
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.errors import RecipeError
from da4dvar.fields.scaling.standard import Standard
from da4dvar.fields.sensors import Sensor
from da4dvar.modelfile.describe import describe
from da4dvar.modelfile.describe_text import text_of
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.observation import Identity, LearnedOperator, Sensors
from da4dvar.variational.priors.covariance import Covariance
from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient
from da4dvar.variational.solvers.control_variable import ControlVariable
from da4dvar.workflows.coordinates import coordinates_of
from da4dvar.workflows.recipe import Recipe

DAYS = 8
COVARIANCE = SumOfSeparable((Separable(0.5, 60.0, 3.0), Separable(1.0, 200.0, 20.0)), nugget=0.02)
TABLE = {"nugget": 0.02, "terms": COVARIANCE.table()["terms"]}
LAYOUT = da4dvar.Layout(["sst"], axes=["lat", "lon"], channels=["time"])


def model(
    ds: xr.Dataset, layout: da4dvar.Layout = LAYOUT, most: int = 400, **options: object
) -> da4dvar.Interpolator:
    """Return a model with the covariance, of windows as large as the data, prepared for them."""
    sizes = [ds.sizes[d] for d in layout.axes]
    channels = layout.channel_count({str(d): n for d, n in ds.sizes.items()})
    prior = Covariance(channels, sizes, COVARIANCE, **coordinates_of(ds, layout))
    given = {"observation_weight": 1 / COVARIANCE.nugget} | options
    solver = ControlVariable(ConjugateGradient(most))
    return da4dvar.Interpolator(prior, solver, layout, Standard(), **given).prepare(ds)


@pytest.mark.parametrize("channels", [("time",), ("lat", "lon")])
def test_a_model_is_optimal_interpolation_of_the_same_data(channels):
    """Both remove the mean as the background, and agree in degrees Celsius and kilometres."""
    ds = gappy_sst(DAYS)
    # A mean of each cell that is entirely that of the field.
    table = COVARIANCE.table() | {"background": {"mean": 1e12, "season": 1.0}}
    wanted = OptimalInterpolation(covariance=table).interpolate(ds)
    layout = da4dvar.Layout(["sst"], [d for d in ds.sst.dims if d not in channels], channels)
    found = model(ds, layout).interpolate(ds, analysis=True)
    np.testing.assert_allclose(found.sst.where(wanted.sst.notnull()), wanted.sst, atol=2e-3)


def test_a_second_sensor_adds_to_a_fitted_covariance(tmp_path):
    """Two sensors are better than each alone; a file and lazy data give the same field."""
    ds, generator = make_sst(DAYS), np.random.default_rng(0)
    at = coordinates_of(ds, LAYOUT)
    drawn = 15 + unconditional(COVARIANCE, at["place"], at["clock"], [0])
    truth = ds.sst.copy(data=drawn.reshape(ds.sst.shape).astype("float32"))
    for name, share, error in (("tracks", 0.1, 0.05), ("coarse", 0.5, 0.6)):
        seen = xr.DataArray(generator.random(truth.shape) < share, dims=truth.dims)
        noise = error * generator.standard_normal(truth.shape).astype("float32")
        ds[name] = (truth + noise).where(seen).assign_attrs(units="degC")
    ds = ds.drop_vars("sst")
    both = {
        "observation": Sensors([Identity(), LearnedOperator(DAYS, ("zero", "zero"), shared=True)]),
        "sensors": [Sensor("tracks", "sst", 0.05), Sensor("coarse", "sst", 0.6)],
        "observation_weight": 1 / 0.05**2,
    }
    made = model(ds, most=100, **both)
    filled = made.interpolate(ds)
    wrong = {}
    for name, error in (("tracks", 0.05), ("coarse", 0.6)):
        alone = ds[[name]].rename({name: "sst"})
        one = model(alone, most=100, observation_weight=1 / error**2).interpolate(alone, analysis=True)
        wrong[name] = float(abs(one.sst - truth).mean())
    assert float(abs(filled.sst - truth).mean()) < 0.9 * min(wrong.values())
    made.save(tmp_path / "both.safetensors")
    loaded = da4dvar.load(tmp_path / "both.safetensors")
    xr.testing.assert_equal(loaded.interpolate(ds), filled)
    xr.testing.assert_allclose(made.interpolate(ds.chunk(time=3)).compute(), filled, atol=1e-4)


def test_coordinates_are_those_of_a_window_in_the_middle():
    """Distances are those in the middle of the data, times begin at 0, and time may be an axis or absent."""
    ds = make_sst(DAYS)
    whole = coordinates_of(ds, LAYOUT)["place"].reshape(9, 8, 3)
    window = {"time": 12, "lat": 3}
    layout = da4dvar.Layout(["sst"], axes=["lat", "lon", "time"], window=window)
    found = coordinates_of(ds, layout)
    np.testing.assert_array_equal(found["place"], whole[3:6].reshape(-1, 3))
    assert (list(found["clock"]), found["time_axis"]) == (list(range(12)), 3)
    still = coordinates_of(ds, da4dvar.Layout(["sst"], axes=["lat", "lon"]))
    assert (list(still["clock"]), still["time_axis"]) == ([0], 0)


@pytest.mark.parametrize(("layout", "message"), [
    (da4dvar.Layout(["sst"], axes=["depth"]), "no variable has the dimensions depth"),
    (da4dvar.Layout(["sst"], axes=["lat"], channels=["time", "lon"]), "expected 'time' as the last"),
])  # fmt: skip
def test_a_layout_without_coordinates_is_refused(layout, message):
    """Dimensions that are not in the data, and time folded before another one, are refused."""
    with pytest.raises(RecipeError, match=message):
        coordinates_of(make_sst(DAYS), layout)


def recipe(folder, data: xr.Dataset | None = None, **tables: object) -> Recipe:
    """Return the recipe of the small sea with a covariance and nothing to train."""
    changed = {
        "prior": {"kind": "covariance", "covariance": TABLE},
        "solver": {"kind": "control_variable", "solver": {"kind": "conjugate_gradient", "iterations": 50}},
        "cost": {"observation_weight": 50.0},
    }
    return Recipe(tomllib.loads(RECIPE.format(steps=0)) | changed | tables, folder, data)


def test_a_recipe_names_it(tmp_path):
    """Places and times come from the data; the model is trained, saved, inspected and loaded."""
    made = recipe(tmp_path)
    make_sst(70).to_netcdf(tmp_path / "truth.nc")
    trained = made.train(tmp_path / "run")
    prior = trained.model.cost.prior
    assert (prior.place.shape, list(prior.clock)) == ((30, 3), [0, 1, 2, 3, 4, 5])
    # A quarter of a degree of latitude.
    assert np.linalg.norm(prior.place[6] - prior.place[0]) == pytest.approx(27.8, abs=0.1)
    trained.save(tmp_path / "m.safetensors")
    assert 'place = "list of 30"' in text_of(describe(str(tmp_path / "m.safetensors")))
    seen = gappy_sst()
    filled = da4dvar.load(tmp_path / "m.safetensors").interpolate(seen)
    xr.testing.assert_equal(filled, trained.interpolate(seen))
    assert float(abs(filled.sst - make_sst(20).sst).max()) < 2
