"""`make slow`: the shipped models on fresh masks and series give the scores that they carry."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.fields.scores.metrics import r_score, rmse
from da4dvar.simulate import lorenz96
from da4dvar.workflows.twin import hide

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lorenz96", "lorenz96-ode"])
def test_lorenz96_keeps_its_score_on_fresh_series(name):
    """32 series of a seed not used before: within three standard errors of the recorded score."""
    model = da4dvar.load(name)
    ds = lorenz96(series=32, steps=200, seed=424242)
    filled = model.interpolate(ds, variable={"x": "x_observed"}, analysis=True)
    score = float(r_score(filled.x, ds.x, ["time", "component"]).mean())
    error = model.scores["test_r_score_std_over_series"] / np.sqrt(32)
    assert abs(score - model.scores["test_r_score"]) < 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["tracks", "clouds"])
def test_oisst_tasman_keeps_its_score_under_fresh_masks(sampling):
    """Another draw of the masks moves the error on the test year by less than a tenth."""
    sys.path.insert(0, str(HERE / "oisst-tasman"))
    from measure import gappy

    model = da4dvar.load("oisst-tasman")
    with xr.open_dataset(HERE.parent / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc") as ds:
        truth = ds.sel(time="2011").load()
    sampled = gappy(truth, sampling, seed=424242)
    error = float(rmse(model.interpolate(sampled).sst, truth.sst.where(sampled.sst.isnull())))
    assert error == pytest.approx(model.scores[f"test_rmse_{sampling}"], rel=0.1)


@pytest.mark.slow
def test_mnist_inpainting_keeps_its_score_under_fresh_gaps():
    """The 512 digits that are kept, other gaps and noise: within three standard errors."""
    model = da4dvar.load("mnist-inpainting")
    with xr.open_dataset(HERE.parent / "datasets/mnist/mnist_512.nc") as ds:
        truth = ds[["digit"]].load()
    seen = hide(truth, "squares", 0.0, block={"y": "9", "x": "9"}, seed=424242)
    noise = np.random.default_rng(424242).normal(scale=0.030811, size=seen.digit.shape)
    filled = model.interpolate(seen + noise, analysis=True)
    mean = 0.13066  # of the training digits, from which scores are departures
    score = float(r_score(filled.digit - mean, truth.digit - mean))
    error = model.scores["test_r_score_std_over_series"] / np.sqrt(512)
    assert abs(score - model.scores["test_r_score"]) < 3 * error
