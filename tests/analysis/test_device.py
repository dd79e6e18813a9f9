"""Where windows are solved: the same result on a GPU, and a line where there is none."""

import numpy as np
import pytest
import torch
import xarray as xr
from elsewhere import Elsewhere
from examples import make_sst, tiny_interpolator

import da4dvar
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.errors import DataError
from da4dvar.evaluation.report.descent import descent
from da4dvar.fields.gaps.patterns import Random
from da4dvar.simulate import lorenz96
from da4dvar.training.plan import Training

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def through_the_doors(device, steps=6, lag=3):
    """What each verb of a model with dynamics returns, and of one without."""
    twin = lorenz96(series=1, steps=steps + 10, seed=3)
    seen, few = (twin[["x_observed"]].rename(x_observed="x").isel(time=slice(n)) for n in (None, steps))
    exact, learned = da4dvar.load("lorenz96-ode"), da4dvar.load("lorenz96")
    first = exact.assimilate(few.isel(time=slice(4)), lag=lag, device=device)
    second = exact.assimilate(few.isel(time=slice(4, None)), first.background, device=device)
    return {
        "ladder": exact.interpolate(seen, samples=2, device=device),
        "assimilation": second.analysis,
        "forecast": exact.forecast(second.analysis, 2, second.background, members=50, device=device),
        "ensemble": learned.calibrate(
            seen, twin[["x"]], ensemble=Ensemble(members=2), device=device
        ).interpolate(seen, interval=0.9, device=device),
        "half": learned.interpolate(seen, precision="bfloat16", device=device),
    }


def test_no_verb_mixes_devices():
    """Interpolation, ensemble, calibration, samples, assimilation and forecast."""
    with Elsewhere():
        found = through_the_doors("cpu")
    assert all(bool(ds.x.notnull().all()) for ds in found.values())


def descent_on(device):
    """The energy descent of a model with dynamics."""
    twin = lorenz96(series=1, steps=40, seed=3)
    seen = twin[["x_observed"]].rename(x_observed="x")
    return descent(da4dvar.load("lorenz96-ode"), seen, twin[["x"]], windows=2, device=device)


def test_an_energy_descent_mixes_no_devices():
    """Its windows are solved where it is asked for, with the result of the processor."""
    with Elsewhere():
        there = descent_on("cpu")
    np.testing.assert_allclose(there.error, descent_on("cpu").error)


@on_a_gpu
def test_an_energy_descent_is_the_same_on_a_gpu():
    """Up to rounding, as far as both go."""
    here, there = (descent_on(device).error for device in ("cpu", "cuda"))
    np.testing.assert_allclose(here[0], there[0], rtol=1e-3)
    np.testing.assert_allclose(here[-1], there[-1], rtol=1e-2, atol=1e-2)


@on_a_gpu
def test_every_verb_gives_the_same_on_a_gpu():
    """Up to rounding; samples and forecasts are drawn from the same numbers."""
    here, there = (through_the_doors(device) for device in ("cpu", "cuda"))
    for name, ds in here.items():
        tolerance = 0.1 if name == "half" else 1e-2
        xr.testing.assert_allclose(ds[["x"]], there[name][["x"]], rtol=tolerance, atol=tolerance)


@on_a_gpu
def test_a_training_on_a_gpu_gives_a_model_on_the_processor():
    """It fills there as it does on the GPU."""
    truth = make_sst(70, seed=1)
    plan = Training(steps=4, batch=4, validate_every=2, validation_samples=4, device="cuda")
    model = tiny_interpolator().fit(truth, truth, gaps=Random(0.4), training=plan)
    assert model.model.device == torch.device("cpu")
    here, there = (model.interpolate(truth, analysis=True, device=d) for d in ("cpu", "cuda"))
    xr.testing.assert_allclose(here.sst, there.sst, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("call", [
    lambda model, ds: model.interpolate(ds, device="cuda"),
    lambda model, ds: model.assimilate(ds, device="cuda"),
    lambda model, ds: model.forecast(ds, 1, device="cuda"),
    lambda model, ds: model.calibrate(ds, ds, device="cuda"),
    lambda model, ds: descent(model, ds, ds, device="cuda"),
    lambda model, ds: da4dvar.fill(ds, device="cuda"),
    lambda model, ds: da4dvar.fit(ds, device="cuda"),
    lambda model, ds: ds.da4dvar.interpolate(model, device="cuda"),
], ids=[
    "interpolate", "assimilate", "forecast", "calibrate", "descent", "fill", "fit", "accessor",
])  # fmt: skip
def test_a_gpu_that_is_missing_is_one_line(call):
    """In every function that takes a device."""
    ds = lorenz96(series=1, steps=40, seed=3)[["x_observed"]].rename(x_observed="x")
    with pytest.raises(DataError, match="device is 'cuda', but torch finds no GPU"):
        call(da4dvar.load("lorenz96-ode"), ds)


@pytest.mark.filterwarnings("ignore::da4dvar.errors.Da4dvarWarning")
def test_memory_that_is_too_small_for_all_windows_at_once(monkeypatch, model, gappy):
    """The windows are solved in halves, with the same result, however many were asked for."""
    usual, sizes, solve = model.interpolate(gappy), [], WindowSolver._solved

    def small(self, windows):
        sizes.append(len(windows))
        if len(windows) > 2:
            raise torch.OutOfMemoryError
        return solve(self, windows)

    monkeypatch.setattr(WindowSolver, "_solved", small)
    xr.testing.assert_allclose(usual, model.interpolate(gappy))
    assert max(sizes) > 2
    assert sizes[-1] <= 2
