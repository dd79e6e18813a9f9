"""Tests of the interpolator on labelled data sets."""

import numpy as np
import pytest
import torch
import xarray as xr
from examples import tiny_interpolator

import da4dvar
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.errors import Da4dvarWarning, DataError, ModelError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.training.plan import Training
from da4dvar.variational.solvers.gradient_descent import GradientDescent


def test_every_sea_cell_comes_back_and_land_is_flagged(model, gappy, truth):
    """Sea is filled, land is NaN with flag 2, and a chunked data set gives a chunked one."""
    filled = model.interpolate(gappy)
    sea = truth.sst.notnull()
    assert bool(filled.sst.notnull().equals(sea))
    assert (filled.sst_flag.values == np.where(~sea, 2, np.where(gappy.sst.notnull(), 0, 1))).all()
    months = xr.DataArray(np.arange(30), dims="time").chunk(time=30)
    lazy = model.interpolate(gappy.chunk(time=7).assign_coords(month=months))
    assert all(lazy[n].chunks is not None for n in ("sst", "sst_flag", "prior_term"))
    xr.testing.assert_allclose(lazy.sst.drop_vars("month"), model.interpolate(gappy).sst)


def test_bfloat16_is_nearly_the_same(model, gappy):
    """bfloat16 changes the estimate by less than a hundredth of its standard deviation."""
    exact, rounded = (model.interpolate(gappy, precision=p) for p in ("float32", "bfloat16"))
    moved = float(np.sqrt(((exact.sst - rounded.sst) ** 2).mean()))
    assert 0 < moved < 0.01 * float(exact.sst.std())
    assert (rounded.sst.dtype, rounded.prior_term.dtype) == (exact.sst.dtype, exact.prior_term.dtype)
    with pytest.raises(DataError, match="expected float32 or bfloat16"):
        model.interpolate(gappy, precision="half")


def test_a_window_without_observations_is_flagged_and_counted(model, gappy):
    """Rule 8: days out of reach of observations are NaN with flag 2, and a warning counts them."""
    empty = gappy.copy(deep=True)
    empty.sst[10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation") as told:
        filled = model.interpolate(empty)
    sea = filled.sst_flag.where(~(filled.sst_flag == 2).all("time"))
    longest = int((sea == 2).any(["lat", "lon"]).sum())
    assert f"{int((sea == 2).sum())} values of 'sst', up to {longest} steps" in str(told[-1].message)
    assert filled.sst.isel(time=slice(20, None)).isnull().all()
    assert (filled.sst_flag.isel(time=slice(20, None)) == 2).all()
    assert 0 < int(filled.prior_term.isnull().sum()) < filled.prior_term.size


CALLS = [
    lambda model, ds: model.interpolate(ds),
    lambda model, ds: da4dvar.interpolate(ds, model),
    lambda model, ds: ds.da4dvar.interpolate(model),
    lambda model, ds: ds.pipe(da4dvar.interpolate, model),
]


@pytest.mark.parametrize("call", CALLS[:3], ids=["method", "function", "accessor"])
def test_a_warning_names_the_line_of_the_caller(model, gappy, call):
    """A warning points to the caller's line, whichever function was called."""
    gappy["sst"][10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation") as told:
        call(model, gappy)
    assert {(note.filename, note.lineno) for note in told} == {(__file__, call.__code__.co_firstlineno)}


def test_inference_holds_no_graph_and_leaves_no_trace(model, gappy):
    """Rules 4, 6 and 10: the same bits twice; parameters and both global generators are as before."""
    before = {k: v.clone() for k, v in model.model.state_dict().items()}
    states = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first, second = (model.interpolate(gappy).drop_attrs(deep=False) for _ in range(2))
    xr.testing.assert_identical(first, second)
    assert all(torch.equal(v, before[k]) for k, v in model.model.state_dict().items())
    assert not any(p.grad is not None for p in model.model.parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert str(np.random.get_state()) == states[1]  # noqa: NPY002


def test_the_accessor_the_function_and_pipe_agree(model, gappy):
    """All are the method; the history has the second in it."""
    expected, *others = (call(model, gappy).drop_attrs(deep=False) for call in CALLS)
    for other in others:
        xr.testing.assert_identical(other, expected)


def test_an_unfitted_model_says_so(gappy):
    """An unfitted model, and a start that is linear in a time that the layout lacks, are refused."""
    with pytest.raises(ModelError, match="call fit"):
        tiny_interpolator().interpolate(gappy)
    parts = (torch.nn.Identity(), GradientDescent(0.1), da4dvar.Layout(["x"], axes=["lat"]), Unscaled())
    with pytest.raises(ValueError, match="linear in 'time', which is not a dimension of the layout"):
        da4dvar.Interpolator(*parts, initial="linear")


def test_a_truth_of_other_cells_is_refused(truth, gappy):
    """A truth with a reversed latitude is refused, for training and validation."""
    turned, plan = truth.isel(lat=slice(None, None, -1)), Training(steps=1, batch=1, device="cpu")
    for given in ((turned,), (truth, gappy, turned)):
        names = ("truth", "validation", "validation_truth")
        with pytest.raises(DataError, match="not on the same cells"):
            tiny_interpolator().fit(gappy, **dict(zip(names, given, strict=False)), training=plan)


def test_what_was_known_of_a_model_goes_when_it_learns_anew(model, truth, gappy):
    """Learning again discards scores, calibration, correction and provenance."""
    model.calibrate(gappy, truth, ensemble=Ensemble(members=2))
    model = model.replaced(correction=(0.5,), provenance={"title": "before"})
    assert model.scores
    model.prepare(gappy)
    assert (model.calibration, model.correction, model.scores, model.provenance) == (None, (), {}, {})


@pytest.mark.parametrize("own", [None, 0.3])
def test_the_noise_of_one_fit_is_not_the_observation_error_of_the_next(truth, own):
    """Without noise, the error is again the one that the model was made with."""
    model = tiny_interpolator()
    parts = (model.model.cost.prior, model.model.solver, model.layout, model.scaling)
    model = da4dvar.Interpolator(*parts, observation_error=own)
    plan = Training(steps=0, batch=1, validation_samples=1, device="cpu")
    given = {"gaps": Random(0.5), "training": plan}
    assert model.fit(truth, truth, noise=0.1, **given).observation_error == 0.1
    assert model.fit(truth, truth, **given).observation_error == own


def test_a_tab_offers_what_a_user_needs():
    """Methods and attributes of a model, and nothing of the machinery, which can be reached all the same."""
    offered = {name for name in dir(tiny_interpolator()) if not name.startswith("_")}
    assert {"fit", "interpolate", "save", "scores"} <= offered
    assert len(offered) < 20
    assert tiny_interpolator().known is not None


def test_a_model_shows_what_it_fills_and_how(model, gappy, truth):
    """A few lines have variables with units, windows, parts, scores and error bars, as far as known."""
    model.calibrate(gappy, truth, ensemble=Ensemble(2))
    shown = repr(model.replaced(scores={"test_rmse": 0.12345}, provenance={"title": "A small sea"}))
    for part in (
        "<da4dvar.Interpolator: A small sea>",
        "sst [degC]",
        "time (6), lat (5), lon (6)",
        "UNet",
        "ConvLSTM, 3 iterations",
        "test_rmse 0.1235",
        "2 members, calibrated",
    ):
        assert part in shown
    assert len(shown.splitlines()) < 12
    shown = repr(tiny_interpolator())
    assert "<da4dvar.Interpolator: not fitted>" in shown
    assert "scores" not in shown
    assert "Chain, 32 iterations" in repr(da4dvar.load("lorenz96-ode"))
