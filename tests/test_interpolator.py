"""From a labelled data set with gaps to one without, and the rules on the way."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
import xarray as xr
from examples import make_sst, tiny_interpolator

import da4dvar
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.errors import Da4dvarWarning, DataError, ModelError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.training.plan import Training
from da4dvar.variational.solvers.gradient_descent import GradientDescent


def test_every_sea_cell_comes_back_and_land_is_flagged(model, gappy, truth):
    """What was asked for is finite; land, where nothing is known, is NaN and has flag 2."""
    filled = model.interpolate(gappy)
    sea = truth.sst.notnull()
    assert bool(filled.sst.notnull().equals(sea))
    assert (filled.sst_flag.values == np.where(~sea, 2, np.where(gappy.sst.notnull(), 0, 1))).all()


def test_lazy_in_lazy_out(model, gappy):
    """A chunked data set gives a chunked one, and nothing is computed until it is asked for."""
    lazy = model.interpolate(gappy.chunk({"time": 7}))
    assert all(lazy[n].chunks is not None for n in ("sst", "sst_flag", "prior_term"))


def test_lazy_coordinates_may_be_in_other_chunks(model, gappy):
    """What stands beside the values, such as the month of every day, has chunks of its own."""
    months = xr.DataArray(np.arange(30), dims="time").chunk(time=30)
    lazy = gappy.chunk(time=7).assign_coords(month=months)
    xr.testing.assert_allclose(model.interpolate(lazy).sst.drop_vars("month"), model.interpolate(gappy).sst)


def test_bfloat16_is_nearly_the_same(model, gappy):
    """Rounding to eight bits moves the estimate by less than a hundredth of its spread."""
    exact, rounded = (model.interpolate(gappy, precision=p) for p in ("float32", "bfloat16"))
    moved = float(np.sqrt(((exact.sst - rounded.sst) ** 2).mean()))
    assert 0 < moved < 0.01 * float(exact.sst.std())
    assert rounded.sst.dtype == exact.sst.dtype
    assert rounded.prior_term.dtype == exact.prior_term.dtype
    with pytest.raises(DataError, match="expected float32 or bfloat16"):
        model.interpolate(gappy, precision="half")


def test_the_three_faces_take_the_same_options():
    """A function and an accessor that lack an option of the method would drift apart in silence."""
    method = inspect.signature(da4dvar.Interpolator.interpolate).parameters
    function = inspect.signature(da4dvar.interpolate).parameters
    accessor = inspect.signature(type(make_sst().da4dvar).interpolate).parameters
    assert set(function) == {*method, "model"} - {"self"}
    assert set(accessor) == {*method, "model"} - {"ds", "progress"}


def test_a_window_without_observations_is_flagged_and_counted(model, gappy):
    """Rule 8: days out of reach are NaN, have flag 2, and a warning says how many windows."""
    empty = gappy.copy(deep=True)
    empty.sst[10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation; [0-9]+ values of 'sst', up to") as told:
        filled = model.interpolate(empty)
    sea = filled.sst_flag.where(~(filled.sst_flag == 2).all("time"))
    longest = int((sea == 2).any(["lat", "lon"]).sum())
    said = f"; {int((sea == 2).sum())} values of 'sst', up to {longest} steps together, are NaN"
    assert said in str(told[0].message)
    assert filled.sst.isel(time=slice(20, None)).isnull().all()
    assert (filled.sst_flag.isel(time=slice(20, None)) == 2).all()
    assert filled.prior_term.isnull().any()
    assert filled.prior_term.notnull().any()


@pytest.mark.parametrize(
    "call",
    [
        lambda model, ds: model.interpolate(ds),
        lambda model, ds: da4dvar.interpolate(ds, model),
        lambda model, ds: ds.da4dvar.interpolate(model),
    ],
    ids=["method", "function", "accessor"],
)
def test_a_warning_names_the_line_of_the_caller(model, gappy, call):
    """The script that called, whichever face it called, and not a file of the package."""
    gappy["sst"][10:] = np.nan
    with pytest.warns(Da4dvarWarning, match="hold no observation") as told:
        call(model, gappy)
    assert [(note.filename, note.lineno) for note in told] == [(__file__, call.__code__.co_firstlineno)]


def test_names_and_directions_of_the_users_file_are_kept(model, gappy):
    """Other names are matched by their CF roles, and a descending latitude comes back descending."""
    theirs = gappy.rename(time="t", lat="nav_lat", lon="x", sst="analysed").isel(
        nav_lat=slice(None, None, -1)
    )
    filled = model.interpolate(theirs, variable={"sst": "analysed"})
    assert filled.sst.dims == ("t", "nav_lat", "x")
    np.testing.assert_allclose(
        filled.sst.isel(nav_lat=slice(None, None, -1)), model.interpolate(gappy).sst, atol=1e-5
    )


def test_units_are_converted_with_a_note(model, gappy):
    """Kelvin become the model's degrees, and a note says so."""
    kelvin = gappy.assign(sst=gappy.sst + 273.15)
    kelvin.sst.attrs = gappy.sst.attrs | {"units": "K"}
    with pytest.warns(Da4dvarWarning, match="converted from K to degC"):
        filled = model.interpolate(kelvin)
    assert filled.sst.attrs["units"] == "degC"
    np.testing.assert_allclose(filled.sst, model.interpolate(gappy).sst, atol=1e-3)


def test_one_day_is_enough(model, gappy):
    """A single field without a time step to compare is no mistake."""
    assert model.interpolate(gappy.isel(time=[5])).sst.notnull().any()


def test_inference_holds_no_graph_and_leaves_no_trace(model, gappy):
    """Rules 4 and 6: the same call twice gives the same bits, and parameters are as before."""
    before = {k: v.clone() for k, v in model.model.state_dict().items()}
    first, second = (model.interpolate(gappy).drop_attrs(deep=False) for _ in range(2))
    xr.testing.assert_identical(first, second)
    assert all(torch.equal(v, before[k]) for k, v in model.model.state_dict().items())
    assert not any(p.grad is not None for p in model.model.parameters())


def test_global_random_state_is_left_alone(model, gappy):
    """Rule 10: neither numpy's nor torch's global generator is touched by an interpolation."""
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    model.interpolate(gappy)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


def test_the_accessor_the_function_and_pipe_agree(model, gappy):
    """ds.da4dvar.interpolate, da4dvar.interpolate and ds.pipe are the same."""
    results = (
        da4dvar.interpolate(gappy, model),
        gappy.da4dvar.interpolate(model),
        gappy.pipe(da4dvar.interpolate, model),
    )
    # The history has the second in it.
    expected, accessor, piped = (r.drop_attrs(deep=False) for r in results)
    xr.testing.assert_identical(accessor, expected)
    xr.testing.assert_identical(piped, expected)


def test_an_unfitted_model_says_so(gappy):
    """Interpolating before fitting is a mistake with a mend."""
    with pytest.raises(ModelError, match="call fit"):
        tiny_interpolator().interpolate(gappy)


def test_a_truth_of_other_cells_is_refused(truth, gappy):
    """A latitude the other way would train on the wrong cells, in silence; for the validation as well."""
    turned, plan = truth.isel(lat=slice(None, None, -1)), Training(steps=1, batch=1, devices="cpu")
    with pytest.raises(DataError, match="not on the same cells"):
        tiny_interpolator().fit(gappy, turned, training=plan)
    with pytest.raises(DataError, match="not on the same cells"):
        tiny_interpolator().fit(gappy, truth, validation=gappy, validation_truth=turned, training=plan)


def test_what_was_known_of_a_model_goes_when_it_learns_anew(model, truth, gappy):
    """Scores, error bars and corrections are those of what it was before."""
    model.calibrate(gappy, truth, ensemble=Ensemble(members=2))
    model = model.replaced(correction=(0.5,), provenance={"title": "before"})
    assert model.scores
    model.prepare(gappy)
    assert (model.calibration, model.correction, model.scores, model.provenance) == (None, (), {}, {})


@pytest.mark.parametrize("own", [None, 0.3])
def test_the_noise_of_one_fit_is_not_the_observation_error_of_the_next(truth, own):
    """Without noise, the error is again the one that the model was made with."""
    model, plan = tiny_interpolator(), Training(steps=0, batch=1, validation_samples=1, devices="cpu")
    model = da4dvar.Interpolator(
        model.model.cost.prior, model.model.solver, model.layout, model.scaling, observation_error=own
    )
    given = {"gaps": Random(0.5), "training": plan}
    assert model.fit(truth, truth, noise=0.1, **given).observation_error == 0.1
    assert model.fit(truth, truth, **given).observation_error == own


def test_a_start_linear_in_a_time_that_there_is_none_of_is_refused():
    """Before any data are read: a window of it has no time to go along."""
    with pytest.raises(ValueError, match="linear in 'time', which is not a dimension of the layout"):
        da4dvar.Interpolator(
            torch.nn.Identity(),
            GradientDescent(0.1),
            da4dvar.Layout(["x"], axes=["lat"]),
            Unscaled(),
            initial="linear",
        )
