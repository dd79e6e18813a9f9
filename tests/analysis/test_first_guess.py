"""Models with a classical method as first guess: training, use and model file."""

import cloudpickle
import numpy as np
import pytest
import xarray as xr
from examples import descent_model as model
from examples import gappy_sst, make_sst

import da4dvar
from da4dvar.analysis.problem import whole_samples
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.linear import Linear
from da4dvar.evaluation.report.descent import descent
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.training.dataset import samples
from da4dvar.training.plan import Training
from da4dvar.workflows.benchmark.figures import pathway


@pytest.mark.parametrize("case", ["half observed", "a month missing", "a cell unknown to the scaling"])
def test_a_solver_that_does_nothing_gives_the_first_guess_back(case):
    """The first guess is returned everywhere, also without observations or training data."""
    ds = gappy_sst(40, part=0.5)
    made, learned_from = model(1e-12, first_guess=Linear()), ds
    if case == "a month missing":
        ds["sst"][8:30] = np.nan
    if case == "a cell unknown to the scaling":
        made = made.replaced(scaling=Anomaly(harmonics=0))
        learned_from = ds.where((ds.lat != ds.lat[2]) | (ds.lon != ds.lon[2]))
    found, expected = made.prepare(learned_from).interpolate(ds).sst, Linear().interpolate(ds).sst
    known = expected.notnull().values
    np.testing.assert_allclose(found.values[known], expected.values[known], atol=1e-3)


def test_training_pairs_start_from_the_guess_of_what_is_left():
    """In training, x(0) is made from the kept points, hidden ones are sought, and noise has data units."""
    ds = gappy_sst(part=0.5)
    made = model(first_guess=Linear()).prepare(ds)
    drawn = samples(made, ds, None, Random(0.7), noise=0.0, draws=2, seed=0)
    assert drawn.observed.sizes["draw"] == 2
    for k in range(2):
        kept = made.scaling.restore(drawn.observed.isel(draw=k, variable=0).to_dataset(name="sst"))
        expected = made.states(Linear().interpolate(kept.assign_coords(time=ds.time)))
        np.testing.assert_allclose(drawn.first_guess.isel(draw=k), expected, atol=1e-4)
    sample = drawn.draw(np.random.default_rng(1))
    assert not (sample["mask"] & sample["sought"]).any()
    assert np.isfinite(sample["x0"]).all()
    ds = make_sst(60).transpose("lon", "time", "lat")
    made = model(first_guess=Linear()).prepare(ds)
    drawn = samples(made, ds, ds, None, noise=0.5, draws=1, seed=0)
    difference = (drawn.observed.isel(draw=0) - made.states(ds)) * made.scaling.std["sst"]
    assert float(difference.std()) == pytest.approx(0.5, rel=0.1)


def test_it_learns_and_comes_back_from_its_file(tmp_path):
    """The model file names the method, and the loaded model gives the same result."""
    ds = gappy_sst(part=0.5)
    made = model(first_guess=Climatology(harmonics=1))
    made.fit(ds, training=Training(steps=2, batch=2, draws=2, validate_every=1, validation_samples=2))
    made.save(tmp_path / "m.safetensors")
    loaded = da4dvar.load(tmp_path / "m.safetensors")
    assert isinstance(loaded.first_guess, Climatology)
    assert loaded.first_guess.harmonics == 1
    assert loaded.correction == made.correction
    assert len(made.correction) == 1
    xr.testing.assert_allclose(loaded.interpolate(ds), made.interpolate(ds))


@pytest.mark.parametrize("change", ["correction", "stated error", "first guess alone"])
def test_the_minimisation_that_is_drawn_is_the_one_that_fills(change):
    """The descents in figures end with the error of the analysis, with any correction."""
    truth = make_sst(6).isel(lat=slice(2, 7), lon=slice(2, None))
    ds = truth.where(np.random.default_rng(0).random(truth.sst.shape) < 0.5)
    made = model(first_guess=Linear(), observation_error=0.1, initial="zero").prepare(ds)
    if change == "correction":
        made = made.replaced(correction=(0.3,))
    if change == "stated error":
        ds.sst.attrs["observation_error_std"] = 0.2
    filled = made.interpolate(ds)
    miss = ((filled.sst - truth.sst) / made.scaling.std["sst"]).where(ds.sst.isnull())
    found = descent(made, ds, truth)
    assert found.windows == 1
    assert found.error[-1] == pytest.approx(float((miss**2).mean() ** 0.5), rel=1e-4)
    windows, solve = whole_samples(made, ds)
    _, error = pathway(made, None, ds, truth)
    x, _ = solve(windows)
    true = made.states(truth).values
    expected = float(((x[0] - true) ** 2).mean() / (true**2).mean())
    assert error[-1] == pytest.approx(expected, rel=1e-4)


def test_a_lazy_answer_holds_one_network():
    """A lazy result contains the network once, however many tasks there are."""
    made = model(first_guess=Linear()).prepare(make_sst(40))
    network = len(cloudpickle.dumps(made.frozen()))
    sizes = []
    for days in (40, 80):
        lazy = made.interpolate(make_sst(days).chunk(time=4))
        sizes.append(len(cloudpickle.dumps(dict(lazy.sst.__dask_graph__()))))
    assert sizes[1] - sizes[0] < network + sizes[0]
