"""The shipped models reach their recorded scores on fresh masks and series (`make slow`)."""

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
    """On 32 series of a new seed, the score is within three standard errors of the recorded one."""
    model = da4dvar.load(name)
    ds = lorenz96(series=32, steps=200, seed=424242)
    filled = model.interpolate(ds, variable={"x": "x_observed"}, analysis=True)
    score = float(r_score(filled.x, ds.x, ["time", "component"]).mean())
    error = model.scores["test_r_score_std_over_series"] / np.sqrt(32)
    assert abs(score - model.scores["test_r_score"]) < 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["tracks", "clouds"])
def test_oisst_tasman_keeps_its_score_under_fresh_masks(sampling):
    """Another draw of the masks changes the error on the test year by less than a tenth."""
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
    """On 512 test digits with other gaps and noise, the score is within three standard errors."""
    model = da4dvar.load("mnist-inpainting")
    with xr.open_dataset(HERE.parent / "datasets/mnist/mnist_512.nc") as ds:
        truth = ds[["digit"]].load()
    seen = hide(truth, "squares", 0.0, block={"y": "9", "x": "9"}, seed=424242)
    noise = np.random.default_rng(424242).normal(scale=0.030811, size=seen.digit.shape)
    filled = model.interpolate(seen + noise, analysis=True)
    mean = 0.13066  # mean of the training digits, from which departures are scored
    score = float(r_score(filled.digit - mean, truth.digit - mean))
    error = model.scores["test_r_score_std_over_series"] / np.sqrt(512)
    assert abs(score - model.scores["test_r_score"]) < 3 * error
