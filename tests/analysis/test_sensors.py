"""Models with two sensors of one sea, from a recipe to a filled file."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from examples import RECIPE, WINDOW, make_sst, tiny_interpolator

import da4dvar
from da4dvar.errors import DataError, RecipeError
from da4dvar.evaluation.report.descent import descent
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.fields.sensors import Sensor
from da4dvar.testing import seeded
from da4dvar.training.dataset import samples
from da4dvar.training.plan import Training
from da4dvar.variational.observation import Identity, LearnedOperator, Sensors
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.lstm import ConvLSTM
from da4dvar.workflows.recipe import Recipe

# Tracks are in kelvin, and every use says so.
pytestmark = pytest.mark.filterwarnings("ignore:tracks. converted from K to degC")
PLAN = Training(steps=3, batch=4, validate_every=3, validation_samples=4, device="cpu")
BOUNDARY = ("zero", "zero")
TRACKS, COARSE = Sensor("tracks", "sst", 0.1), Sensor("coarse", "sst", 0.4)


def sea(days: int = 30, seed: int = 0) -> xr.Dataset:
    """Return the small sea, some accurate cells in kelvin, and half of it biased by half a degree."""
    generator = np.random.default_rng(seed)
    ds = make_sst(days, seed=seed)
    few, many = (generator.random(ds.sst.shape) < part for part in (0.1, 0.5))
    ds["tracks"] = (ds.sst + 273.15).where(xr.DataArray(few, dims=ds.sst.dims)).assign_attrs(units="K")
    ds["coarse"] = (ds.sst + 0.5).where(xr.DataArray(many, dims=ds.sst.dims)).assign_attrs(units="degC")
    return ds


def untrained(sensors=(TRACKS, COARSE), **change: object) -> da4dvar.Interpolator:
    """Return an untrained model of two sensors."""
    parts = seeded(lambda: {
        "prior": UNet(WINDOW, BOUNDARY, width=4),
        "solver": ConvLSTM(WINDOW, BOUNDARY, width=6, iterations=3),
        "observation": Sensors([Identity(), LearnedOperator(WINDOW, BOUNDARY, shared=True)]),
    })  # fmt: skip
    given = {"layout": tiny_interpolator().layout, "scaling": Anomaly(harmonics=1), "sensors": sensors}
    return da4dvar.Interpolator(**(parts | given | change))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a trained model and its file."""
    ds = sea(70, seed=1)
    seen = ds[["tracks", "coarse"]]
    model = untrained().fit(seen, ds[["sst"]], validation=seen, validation_truth=ds[["sst"]], training=PLAN)
    path = tmp_path_factory.mktemp("models") / "s.safetensors"
    model.save(path)
    return model, path


@pytest.fixture
def seen():
    """Return the observations of both sensors."""
    return sea()[["tracks", "coarse"]]


def test_the_state_comes_back_labelled_and_flagged(saved, seen):
    """The state has the units of the truth and flags; a loaded model and lazy data give the same."""
    filled = saved[0].interpolate(seen)
    sea_cells = make_sst().sst.notnull()
    assert filled.sst.attrs["units"] == "degC"
    assert "tracks" not in filled
    assert filled.sst.notnull().equals(sea_cells)
    assert 5 < float(filled.sst.mean()) < 25
    observed = (seen.tracks.notnull() | seen.coarse.notnull()).values
    np.testing.assert_array_equal(filled.sst_flag, np.where(~sea_cells, 2, np.where(observed, 0, 1)))
    loaded = da4dvar.load(saved[1])
    xr.testing.assert_equal(loaded.interpolate(seen), filled)
    assert loaded.sensors == (TRACKS, COARSE)
    lazy = saved[0].interpolate(seen.chunk(time=7, lat=4))
    assert lazy.sst.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), filled, atol=1e-4, rtol=1e-4)


def test_every_sensor_is_in_the_scaling_of_the_state():
    """Each sensor is normalised like the state and has its own gaps, whose points are sought."""
    ds = sea()
    model = untrained().prepare(ds[["tracks", "coarse"]], ds[["sst"]])
    drawn = samples(model, ds[["tracks", "coarse"]], ds[["sst"]], None, 0.0, 1, 0)
    difference = drawn.observed - drawn.truth.isel(variable=0)
    np.testing.assert_allclose(difference.isel(variable=0).values[ds.tracks.notnull()], 0, atol=1e-4)
    warm = 0.5 / model.scaling.std["sst"]
    np.testing.assert_allclose(difference.isel(variable=1).values[ds.coarse.notnull()], warm, atol=1e-4)
    sample = drawn.draw(np.random.default_rng(0))
    assert sample["y"].shape == (2 * WINDOW, 5, 6)
    assert sample["target"].shape == sample["x0"].shape == (WINDOW, 5, 6)
    ds = sea(60)[["tracks", "coarse"]]
    model = untrained().prepare(ds)
    drawn = samples(model, ds, None, [Random(0.5), None], 0.0, 1, 0)
    everything = samples(model, ds, None, [None, None], 0.0, 1, 0)
    with pytest.raises(DataError, match="both an observation and a target"):
        everything.draw(np.random.default_rng(0))
    sample = drawn.draw(np.random.default_rng(0))
    assert not (sample["mask"][:WINDOW] & sample["sought"]).any()
    assert sample["sought"].any()


@pytest.mark.parametrize("error", [0.4, "0.4 K", "400 mK"])
def test_errors_are_weights_in_the_units_that_they_name(error):
    """Four times the error is a sixteenth of the weight, in any unit."""
    ds = sea()
    model = untrained((TRACKS, Sensor("coarse", "sst", error))).prepare(ds[["tracks", "coarse"]], ds[["sst"]])
    weights = model.model.cost.observation.log_weights.exp()
    np.testing.assert_allclose(weights.detach(), [1, 1 / 16], rtol=1e-5)


def test_labels_of_one_sensor_alone_are_refused(saved, seen):
    """Features that need one observation per variable, and missing sensors, are refused."""
    with pytest.raises(DataError, match=r"no variable 'coarse'.*--variable coarse=NAME"):
        saved[0].interpolate(seen[["tracks"]])
    with pytest.raises(DataError, match="energy descent of a model with several sensors"):
        descent(saved[0], seen, make_sst())


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: Sensor("a", "sst", 0.0), RecipeError, "error of 'a' is 0.0, expected .* above 0"),
    (lambda: Sensor("a", "sst", -1), RecipeError, "above 0"),
    (lambda: Sensor("a", "sst", float("nan")), RecipeError, "above 0"),
    (lambda: Sensor("a", "sst", "much"), RecipeError, "expected a number"),
    (lambda: untrained([TRACKS]), RecipeError, "1 sensors.* has 2"),
    (lambda: untrained(()), RecipeError, "0 sensors.* has 2"),
    (lambda: untrained((TRACKS, TRACKS)), RecipeError, "named twice"),
    (lambda: untrained((TRACKS, Sensor("b", "sss", 1))), RecipeError, "did you mean 'sst'"),
    (lambda: untrained(solver=FixedPoint(2)), RecipeError, "requires observations of the state itself"),
    (
        lambda: untrained((TRACKS, Sensor("coarse", "sst", "0.1 m"))).prepare(sea()),
        DataError,
        "error of 'coarse' is '0.1 m', which cannot be converted to 'K'",
    ),
])  # fmt: skip
def test_what_does_not_fit_is_refused(make, error, message):
    """Invalid errors, operators and solvers are refused."""
    with pytest.raises(error, match=message):
        make()


def test_the_operator_has_a_rate_of_its_own():
    """The operator is only trained if its learning rate is above 0."""
    ds = sea(70, seed=1)
    parts = {"validation": ds, "validation_truth": ds}
    for rate, moved in ((0.0, False), (0.05, True)):
        plan = replace(PLAN, observation_rate=rate, warmup=1)
        model, before = untrained(), untrained().model
        model.fit(ds, ds, **parts, training=plan)
        operator, start = (m.cost.observation.operators[1].smear.convolution for m in (model.model, before))
        assert (not torch.equal(operator.bias, start.bias)) == moved
        solver, begun = (m.solver.cell.gates.convolution.weight for m in (model.model, before))
        assert not torch.equal(solver, begun)


def recipe(folder, change=None):
    """Return a recipe with two sensors."""
    sea(70).to_netcdf(folder / "truth.nc")
    tables = tomllib.loads(RECIPE.format(steps=2))
    del tables["gaps"]
    tables["observations"] = [
        {"variable": "tracks", "error": 0.1, "gaps": {"kind": "random", "fraction": 0.8}},
        {"variable": "coarse", "error": 0.4, "operator": {"kind": "learned", "kernel": 5}},
    ]
    if change is not None:
        change(tables)
    return Recipe(tables, folder)


def test_from_a_recipe_to_a_filled_file(tmp_path):
    """A trained recipe is saved, loaded and fills; its operator is learned."""
    made = recipe(tmp_path).train(tmp_path / "folder")
    made.save(tmp_path / "m.safetensors")
    loaded = da4dvar.load(tmp_path / "m.safetensors")
    assert loaded.interpolate(sea()).sst.notnull().equals(sea().sst.notnull())
    learned = loaded.model.cost.observation.operators[1]
    assert (learned.shared, learned.kernel) == (True, 5)
    assert learned.smear.convolution.bias.detach().abs().item() > 0


def change_table(key, value):
    """Return a change of the second table of observations."""
    return lambda tables: tables["observations"][1].update({key: value})


@pytest.mark.parametrize(("change", "message"), [
    (change_table("operator", {"kind": "smudge"}), "unknown kind 'smudge'"),
    (change_table("operator", {"kind": "learned", "kernle": 3}), "did you mean 'kernel'"),
    (change_table("error", 0), "expected a standard deviation above 0"),
    (change_table("eror", 1), "table 2: unknown key 'eror'; did you mean 'error'"),
    (change_table("of", "sss"), "not a variable of the layout"),
    (lambda t: t["observations"][0].pop("error"), "table 1: no 'error'"),
    (lambda t: t.update(observation={"kind": "identity"}), "expected one of them"),
    (lambda t: t["data"].update(noise=0.1), "'noise' cannot be used with"),
    (lambda t: t.update(observations={"variable": "a"}), r"expected tables \[\[observations\]\]"),
    (lambda t: t.update(first_guess={"kind": "linear"}), "first guess"),
    (lambda t: t.update(uncertainty={"members": 2}), "ensembles do not support several sensors"),
])  # fmt: skip
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path, change, message):
    """Unknown kinds and keys, invalid errors and conflicting tables are refused."""
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, change).interpolator({"time": 51, "lat": 9, "lon": 8})
