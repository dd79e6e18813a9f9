"""Joint samples of a model: margins, labels, dynamics, files and refusals."""

from types import SimpleNamespace

import dask
import numpy as np
import pytest
import torch
import xarray as xr
from door import ran, refused
from examples import descent_model, gappy_sst, make_sst
from torch import nn

import da4dvar
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.errors import DataError
from da4dvar.fields import sampling
from da4dvar.fields.labels.intervals import ends
from da4dvar.fields.scaling.standard import Unscaled
from da4dvar.outofcore.interpolate_file import interpolate_file
from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.kernels import Separable, SumOfSeparable
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

LONG = OptimalInterpolation(covariance=SumOfSeparable((Separable(1.0, 60.0, 3.0),), nugget=0.01))


@pytest.fixture(scope="module")
def gappy():
    """The small sea, a third of which is observed."""
    return gappy_sst(part=0.35)


@pytest.fixture(scope="module")
def model(gappy):
    """A calibrated model that starts from optimal interpolation."""
    made = descent_model(iterations=2, first_guess=LONG, observation_error=0.1).prepare(gappy)
    return made.calibrate(gappy_sst(part=0.35, seed=1), make_sst(20), ensemble=Ensemble(members=3))


@pytest.fixture(scope="module")
def filled(model, gappy):
    """The sea filled, with samples."""
    return model.interpolate(gappy, samples=99, interval=[0.5, 0.9])


def standing(dynamics: nn.Module) -> da4dvar.Interpolator:
    """A model of eight components that needs no training, with an error of 1 and of 0.1 in each step."""
    made = da4dvar.Interpolator(
        Flow(dynamics, step=0.05),
        LevenbergMarquardt(),
        da4dvar.Layout(["x"], axes=["component", "time"]),
        Unscaled(),
        prior_weight=100.0,
        learn_weights=False,
        observation_error=1.0,
    )
    return made.prepare(twin())


def twin(steps: int = 30) -> xr.Dataset:
    """Observations of two series of Lorenz-96, and the truth as ``truth``."""
    ds = lorenz96(2, steps, seed=4, components=8, every=2, number=5, noise_variance=1.0)
    return ds.rename(x="truth", x_observed="x")


def test_labels_are_those_of_cf_and_observed_values_are_in_all_samples(filled, gappy):
    """The samples have the dimensions of the data, the units, no packing, and gaps where the estimate has."""
    assert filled.sst_samples.dims == ("realization", *gappy.sst.dims)
    assert filled.realization.attrs["standard_name"] == "realization"
    assert filled.sst_samples.attrs["units"] == "degC"
    assert filled.sst_samples.dtype == gappy.sst.dtype
    assert not filled.sst_samples.encoding
    np.testing.assert_array_equal(filled.sst_samples.isnull().any("realization"), filled.sst.isnull())
    assert ((filled.sst_samples == gappy.sst) | gappy.sst.isnull()).all()


def test_an_analysis_varies_where_there_are_observations(model, gappy):
    """Less than in gaps."""
    spread = model.interpolate(gappy, samples=20, analysis=True).sst_samples.std("realization")
    seen = gappy.sst.notnull()
    assert 0 < float(spread.where(seen).mean()) < float(spread.where(~seen).mean())


def test_samples_agree_with_the_intervals(filled):
    """As many values of samples are in the calibrated intervals as these say."""
    for level in (0.5, 0.9):
        low, high = (filled[end] for end in ends("sst", level))
        inside = ((filled.sst_samples >= low) & (filled.sst_samples <= high)).where(filled.sst_flag == 1)
        assert float(inside.mean()) == pytest.approx(level, abs=0.05)


def test_errors_are_correlated(filled):
    """The mean over the gaps of a day is less certain than it would be with independent errors."""
    gaps = filled.sst_flag == 1
    spread, number = filled.sst_samples.where(gaps), gaps.sum(["lat", "lon"])
    together = spread.mean(["lat", "lon"]).std("realization")
    alone = np.sqrt((spread.std("realization") ** 2).sum(["lat", "lon"])) / number
    assert float((together / alone).mean()) > 1.3


def test_other_units_and_directions_give_the_same_samples(model, gappy, filled):
    """In K and from south to north, to the precision of the data."""
    turned = gappy.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    turned["sst"] = (turned.sst.astype("float64") + 273.15).assign_attrs(gappy.sst.attrs, units="K")
    with pytest.warns(da4dvar.errors.Da4dvarWarning, match="from K to degC"):
        found = model.interpolate(turned, samples=3).sst_samples
    assert found.dims == ("realization", "lon", "time", "lat")
    expected = filled.sst_samples[:3].transpose(*found.dims).sel(lat=turned.lat)
    np.testing.assert_allclose(found - 273.15, expected, atol=2e-3)


@pytest.mark.parametrize("kind", ["residual", "laplace"])
def test_a_seed_reproduces_and_chunks_and_workers_do_not_matter(kind, request, gappy):
    """The first samples of a larger number are the same, lazily, and on four threads."""
    if kind == "residual":
        made, ds = request.getfixturevalue("model"), gappy
    else:
        made, ds = standing(Lorenz96()), twin()[["x"]]
    (name,) = made.layout.variables
    whole = made.interpolate(ds, samples=5, seed=3)
    with dask.config.set(scheduler="threads", num_workers=4):
        lazy = made.interpolate(ds.chunk(time=7), samples=3, seed=3)
        assert lazy[f"{name}_samples"].chunks is not None
        again = lazy.compute()
    expected = whole[f"{name}_samples"][:3]
    np.testing.assert_allclose(again[f"{name}_samples"], expected, atol=1e-3)
    other = made.interpolate(ds, samples=2, seed=4)[f"{name}_samples"]
    assert float(np.abs(other - expected[:2]).max()) > 0.01


def test_the_error_of_a_first_guess_is_drawn_from_its_own_covariance(gappy):
    """Samples are as wide as its standard error, and need no calibration."""
    guess = OptimalInterpolation(covariance=LONG.covariance, background="zero")
    made = descent_model(iterations=2, first_guess=guess).prepare(gappy)
    assert made.calibration is None
    out = made.interpolate(gappy, samples=200, analysis=True)
    expected = made.guess(made.conform(gappy).data).sst_std
    ratio = (out.sst_samples.std("realization") / expected).where(out.sst.notnull())
    assert float(ratio.mean()) == pytest.approx(1, abs=0.1)
    assert "sst_std" not in out


def test_a_model_without_a_covariance_is_given_one(gappy):
    """It is fitted to the data, and there are samples where nothing was ever observed."""
    made = descent_model(iterations=2, observation_error=0.1).prepare(make_sst(20))
    made.calibrate(gappy_sst(part=0.35, seed=1), make_sst(20), ensemble=Ensemble(members=2))
    gappy = gappy.where((gappy.lat > -38.5) | (gappy.lon < 151))
    out = made.interpolate(gappy, samples=4)
    never = gappy.sst.isnull().all("time") & out.sst.notnull().any("time")
    assert never.any()
    assert float(out.sst_samples.std("realization").where(never).min()) > 0
    np.testing.assert_array_equal(out.sst_samples.isnull().any("realization"), out.sst.isnull())


def test_samples_of_linear_dynamics_have_the_covariance_of_a_kalman_smoother():
    """Without dynamics but a random walk, whose smoothed variance is known for each component."""
    ds = twin(12)
    seen = ds.x[0, :, 0].notnull().values
    made = standing(Still())
    samples = made.interpolate(ds[["x"]], samples=600, analysis=True).x_samples[:, 0, :, 0]
    steps = np.eye(12)[1:] - np.eye(12)[:-1]
    exact = np.linalg.inv(np.diag(seen.astype(float)) + 100.0 * steps.T @ steps)
    np.testing.assert_allclose(np.cov(samples.values.T), exact, atol=0.25 * exact.max())
    assert samples.mean("realization").values == pytest.approx(
        made.interpolate(ds[["x"]], analysis=True).x[0, :, 0].values, abs=4 * exact.max() ** 0.5 / 600**0.5
    )


class Still(nn.Module):
    """dx/dt = 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def test_samples_of_chaotic_dynamics_contain_the_truth():
    """90 % intervals contain about 90 % of the true values, observed or not."""
    ds = twin()
    out = standing(Lorenz96()).interpolate(ds[["x"]], samples=99, analysis=True)
    low, high = out.x_samples.quantile([0.05, 0.95], "realization")
    assert 0.8 < float(((ds.truth >= low) & (ds.truth <= high)).mean()) < 0.97
    kept = standing(Lorenz96()).interpolate(ds[["x"]], samples=2)
    assert ((kept.x_samples == ds.x) | ds.x.isnull()).all()


def test_a_file_has_the_samples_of_the_data_in_memory(model, gappy, tmp_path, monkeypatch):
    """They lie within the bounds; what cannot be written or drawn is one line."""
    gappy.to_netcdf(tmp_path / "in.nc")
    middle = float(gappy.sst.mean())
    interpolate_file(tmp_path / "in.nc", tmp_path / "out.nc", model, samples=3, bounds=[f"sst={middle}:"])
    expected = model.interpolate(gappy, samples=3).sst_samples
    with xr.open_dataset(tmp_path / "out.nc") as out:
        possible = expected.where(gappy.sst.notnull(), expected.clip(middle))
        np.testing.assert_allclose(out.sst_samples, possible, atol=1e-4)
    monkeypatch.setattr(sampling.shutil, "disk_usage", lambda folder: SimpleNamespace(free=20 * gappy.nbytes))
    for options, text in (
        ({"samples": 50}, "of disk, expected"),
        ({"samples": 1}, "samples is 1, expected 2 or more"),
        ({"samples": 3, "circular": ["sst"]}, "'sst' is a direction, which has no samples"),
    ):
        with pytest.raises(DataError, match=text):
            interpolate_file(tmp_path / "in.nc", tmp_path / "no.nc", model, **options)
    assert not (tmp_path / "no.nc").exists()


def test_dynamics_need_the_whole_record(tmp_path):
    """A scheduler, which distributes regions, and too little memory are refused in one line."""
    twin()[["x"]].to_netcdf(tmp_path / "in.nc")
    for options in ({"scheduler": "threads"}, {"memory": "10KB"}):
        with pytest.raises(DataError, match="a draw of samples needs all of the data at once"):
            interpolate_file(
                tmp_path / "in.nc", tmp_path / "out.nc", standing(Lorenz96()), samples=2, **options
            )


def test_what_has_no_samples_is_refused(model, gappy, filled, tmp_path, monkeypatch):
    """A model without a calibration, a file with samples, and more samples than memory holds."""
    twin()[["x"]].to_netcdf(tmp_path / "in.nc")
    line = refused("interpolate", "in.nc", "x.nc", "--samples", "5", "--model", "lorenz96", cwd=tmp_path)
    assert "samples need a model that is calibrated (da4dvar calibrate), has dynamics, or" in line
    assert "optimal_interpolation" in line
    with pytest.raises(DataError, match="'sst_samples' holds joint samples of 'sst'"):
        model.interpolate(filled)
    monkeypatch.setattr(sampling, "free_memory", lambda: 10 * gappy.sst.nbytes)
    with pytest.raises(DataError, match="ask for 5 or fewer, or write them to a file"):
        model.interpolate(gappy, samples=6)


def test_the_command_draws_from_the_shipped_models(tmp_path):
    """`--samples` with `--model`, and what `aggregate` makes of it."""
    lorenz96(1, 20, seed=3).to_netcdf(tmp_path / "in.nc")
    options = ("--model", "lorenz96-ode", "--variable", "x=x_observed", "--samples", "19")
    ran("interpolate", "in.nc", "out.nc", *options, cwd=tmp_path)
    ran("aggregate", "out.nc", "mean.nc", "--over", "component", "--stat", "mean", cwd=tmp_path)
    with xr.open_dataset(tmp_path / "mean.nc") as mean:
        assert (mean.x_lower_90 < mean.x_upper_90).all()
