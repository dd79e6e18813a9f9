"""The shipped models work on data that they were not trained on."""

from pathlib import Path

import pytest
import xarray as xr

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.sparse_coding import SparseCoding
from da4dvar.fields.scores.metrics import r_score, rmse
from da4dvar.simulate import lorenz96
from da4dvar.workflows.twin import hide

DATASETS = Path(__file__).parents[2] / "datasets"
SST = DATASETS / "oisst-tasman/oisst_tasman_1990_2011.nc"
DIGITS = DATASETS / "mnist/mnist_512.nc"


def test_oisst_tasman_beats_linear_interpolation_in_autumn_2011():
    """The error is below two thirds of that of linear interpolation for six weeks under tracks."""
    with xr.open_dataset(SST) as ds:
        truth = ds.sel(time=slice("2011-03-01", "2011-04-15")).load()
    gappy = hide(truth, "tracks", 0.035, seed=100)
    unseen = truth.sst.where(gappy.sst.isnull())
    filled = da4dvar.interpolate(gappy, "oisst-tasman")
    assert rmse(filled.sst, unseen) < 0.67 * rmse(Linear().interpolate(gappy).sst, unseen)
    assert filled.sst.notnull().equals(truth.sst.notnull())


@pytest.mark.parametrize(("name", "highest"), [("lorenz96", 0.03), ("lorenz96-ode", 0.02)])
def test_lorenz96_finds_what_lines_cannot(name, highest):
    """The R-score of four series is far below 0.38, that of linear interpolation."""
    ds = lorenz96(series=4, steps=200, seed=9001)
    filled = da4dvar.interpolate(ds, name, variable={"x": "x_observed"})
    assert r_score(filled.x, ds.x) < highest


@pytest.mark.parametrize("name", ["lorenz96", "lorenz96-ode"])
@pytest.mark.parametrize(("steps", "components"), [(40, 40), (97, 11)])
def test_lorenz96_takes_any_length_and_number_of_components(name, steps, components):
    """Series and states may have another size than in training."""
    ds = lorenz96(series=2, steps=steps, seed=9002, components=components, number=5)
    filled = da4dvar.interpolate(ds, name, variable={"x": "x_observed"})
    assert filled.x.shape == ds.x.shape
    assert filled.x.notnull().all()


def test_mnist_inpainting_beats_a_dictionary_of_digits():
    """The square error is below half that of sparse coding for 64 test digits with three squares hidden."""
    with xr.open_dataset(DIGITS) as ds:
        truth = ds[["digit"]].isel(sample=slice(64)).load()
        history = ds[["digit"]].isel(sample=slice(64, None)).load()
    gappy = hide(truth, "squares", 0.0, block={"y": "9", "x": "9"}, seed=100)
    unseen = truth.digit.where(gappy.digit.isnull())
    filled = da4dvar.interpolate(gappy, "mnist-inpainting")
    coded = SparseCoding(history, dims=["y", "x"], atoms=100, coding="lasso", alpha=0.6).interpolate(gappy)
    assert rmse(filled.digit, unseen) ** 2 < 0.5 * rmse(coded.digit, unseen) ** 2
    assert filled.digit.dims == ("sample", "y", "x")
    assert filled.digit.notnull().all()
