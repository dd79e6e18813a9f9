"""Joint samples of a filled variable."""

from types import SimpleNamespace
from unittest import mock

import dask
import numpy as np
import pytest
import xarray as xr
from door import ran, refused

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.errors import DataError
from da4dvar.fields import sampling
from da4dvar.fields.labels.intervals import ends
from da4dvar.workflows.autofit.fill import fit

COVARIANCE = {"nugget": 0.01, "terms": [{"variance": 10.0, "length": 70.0, "duration": 5.0}]}


def sea(days: int = 40, side: int = 10) -> xr.Dataset:
    """A field of correlated waves under moving clouds, and the whole of it as ``truth``."""
    generator = np.random.default_rng(4)
    t, y, x = np.ogrid[:days, :side, :side]
    truth = sum(
        np.cos(a * t / 4 + b * x / 3 + c * y / 3 + 7 * d) for a, b, c, d in generator.normal(size=(30, 4))
    )
    # Without noise, a solve takes hundreds of iterations.
    truth = truth + generator.normal(0, 0.5, truth.shape)
    clear = np.cos(x / 4 + t / 3 + generator.normal(size=(days, 1, 1))) > -0.2
    ds = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), np.where(clear, truth, np.nan), {"units": "degC"}),
            "truth": (("time", "lat", "lon"), truth),
        },
        {
            "time": xr.date_range("2001-01-01", periods=days),
            "lat": ("lat", 40 + np.arange(side) / 4, {"units": "degrees_north"}),
            "lon": ("lon", 5 + np.arange(side) / 4, {"units": "degrees_east"}),
        },
    )
    ds.sst[:, 0, 0] = np.nan
    return ds


@pytest.fixture(scope="module")
def gappy():
    """The field with its gaps."""
    return sea()[["sst"]]


@pytest.fixture(scope="module")
def fitted(gappy):
    """A fit of optimal interpolation, without further trials, whose number depends on the time."""
    with mock.patch("da4dvar.workflows.autofit.compete.FURTHER", 0.0):
        return fit(gappy, method="optimal_interpolation", minutes=0.1, say=print)


@pytest.fixture(scope="module")
def filled(gappy, fitted):
    """The field filled, with samples."""
    return fitted.interpolate(gappy, samples=99, interval=[0.6827, 0.9545])


def test_labels_are_those_of_cf(filled, gappy):
    """The dimension has the standard name, the samples the units; cells that stay empty are empty in all."""
    assert filled.sst_samples.dims == ("realization", *gappy.sst.dims)
    assert filled.realization.attrs["standard_name"] == "realization"
    assert filled.sst_samples.attrs["units"] == "degC"
    np.testing.assert_array_equal(filled.sst_samples.isnull().any("realization"), filled.sst.isnull())


def test_observed_values_are_the_same_in_all_samples_unless_analysed(filled, fitted, gappy):
    """To the last bit; the analysis varies there by its standard error, and less than in gaps."""
    seen = gappy.sst.notnull()
    assert ((filled.sst_samples == gappy.sst) | ~seen).all()
    analysed = fitted.interpolate(gappy, samples=60, analysis=True, std=True)
    spread = analysed.sst_samples.std("realization")
    assert float((spread / analysed.sst_std).where(seen).mean()) == pytest.approx(1, abs=0.1)
    assert 0 < float(spread.where(seen).mean()) < 0.5 * float(spread.where(~seen).mean())


def test_samples_agree_with_the_intervals(filled):
    """As many values of samples are in the intervals of one and of two standard deviations as these say."""
    gaps = filled.sst_flag.isin([1, 3])
    for level in (0.6827, 0.9545):
        low, high = (filled[end] for end in ends("sst", level))
        inside = ((filled.sst_samples >= low) & (filled.sst_samples <= high)).where(gaps)
        assert float(inside.mean()) == pytest.approx(level, abs=0.05)
    mean = filled.sst_samples.mean("realization")
    assert float(np.abs((mean - filled.sst).where(gaps)).mean()) < 0.2 * float(
        filled.sst_samples.std("realization").where(gaps).mean()
    )


def test_errors_are_correlated(filled):
    """The mean over the gaps of a day is far less certain than it would be with independent errors."""
    gaps = filled.sst_flag.isin([1, 3])
    spread = filled.sst_samples.where(gaps)
    number = gaps.sum(["lat", "lon"])
    together = spread.mean(["lat", "lon"]).std("realization")
    alone = np.sqrt((spread.std("realization") ** 2).sum(["lat", "lon"])) / number
    assert float((together / alone).where(number > 10).mean()) > 1.5


def test_a_seed_reproduces_and_workers_do_not_matter(fitted, gappy, filled):
    """The same seed gives the same bits from lazy data and on four threads, another seed other samples."""
    with dask.config.set(scheduler="threads", num_workers=4):
        lazy = fitted.interpolate(gappy.chunk(time=7), samples=3)
        assert lazy.sst_samples.chunks is not None
        again = lazy.sst_samples.compute()
    # The first samples of a larger number are the same.
    np.testing.assert_array_equal(again, filled.sst_samples[:3])
    other = fitted.interpolate(gappy, samples=3, seed=1).sst_samples
    assert float(np.abs(other - again).max()) > 0.01


def test_a_method_without_a_covariance_borrows_one(gappy):
    """Linear interpolation has samples around its own estimate, as wide as its own intervals."""
    linear = fit(gappy, method="linear", minutes=0.1, say=print)
    assert linear.results["sst"].covariance is None
    out = linear.interpolate(gappy, samples=40, interval=0.9)
    assert linear.results["sst"].covariance
    expected = Linear().interpolate(gappy).sst
    xr.testing.assert_allclose(out.sst, expected.where(out.sst.notnull()))
    inside = (out.sst_samples >= out.sst_lower_90) & (out.sst_samples <= out.sst_upper_90)
    assert float(inside.where(out.sst_flag.isin([1, 3])).mean()) == pytest.approx(0.9, abs=0.03)


def test_bounds_hold_in_every_sample(gappy):
    """No sample of a quantity that is never negative is negative."""
    rain = np.maximum(gappy.sst, 0).rename("pr").assign_attrs(standard_name="precipitation_flux")
    linear = fit(rain, method="linear", minutes=0.1, say=print)
    linear.results["pr"].covariance = COVARIANCE
    assert float(linear.interpolate(rain, samples=5).pr_samples.min()) == 0.0


def test_what_cannot_be_sampled_is_refused(gappy, fitted, filled, monkeypatch):
    """Directions, one sample, more than memory holds, and data that were filled with samples before."""
    wind = (
        (gappy.sst * 30 % 360).rename("wd").assign_attrs(units="degree", standard_name="wind_from_direction")
    )
    with pytest.raises(DataError, match="'wd' is a direction, which has no samples"):
        fit(wind, method="linear", minutes=0.1, say=print).interpolate(wind, samples=2)
    with pytest.raises(DataError, match="samples is 1, expected 2 or more"):
        fitted.interpolate(gappy, samples=1)
    with pytest.raises(ValueError, match="seed is -1"):
        fitted.interpolate(gappy, samples=2, seed=-1)
    with pytest.raises(DataError, match="'sst_samples' holds joint samples of 'sst'"):
        da4dvar.fill(filled, minutes=0.1)
    monkeypatch.setattr(sampling, "free_memory", lambda: 10 * gappy.sst.nbytes)
    with pytest.raises(DataError, match="ask for 5 or fewer, or write them to a file"):
        fitted.interpolate(gappy, samples=6)


def test_free_memory_that_is_not_known(monkeypatch):
    """Windows has no `os.sysconf`; there, no number of samples is too large."""
    assert 0 < sampling.free_memory() < 2**50
    monkeypatch.delattr("os.sysconf")
    assert sampling.free_memory() > 2**60


def test_a_file_has_the_same_samples_in_memory_and_in_regions(tmp_path, monkeypatch):
    """Observed values exactly; elsewhere as close as the estimates are, which see less in a region.

    More samples than the disk holds are refused.
    """
    method = OptimalInterpolation(covariance=COVARIANCE)
    monkeypatch.setattr(OptimalInterpolation, "fitted", lambda self, ds: method)
    sea(12, 64)[["sst"]].astype("float32").to_netcdf(tmp_path / "gappy.nc")
    options = ("--method", "linear", "--samples", "3", "--minutes", "0.1", "--seed", "2")
    ran("interpolate", "gappy.nc", "memory.nc", *options, cwd=tmp_path)
    ran("interpolate", "gappy.nc", "regions.nc", *options, "--memory", "11MB", cwd=tmp_path)
    with xr.open_dataset(tmp_path / "memory.nc") as one, xr.open_dataset(tmp_path / "regions.nc") as other:
        assert other.sst_samples.dims == one.sst_samples.dims
        assert other.realization.attrs["standard_name"] == "realization"
        np.testing.assert_array_equal(other.sst_samples.isnull(), one.sst_samples.isnull())
        gaps = one.sst_flag.isin([1, 3])
        errors = [(ds.sst_samples - ds.sst).where(gaps) for ds in (one, other)]
        assert float(xr.corr(*errors)) > 0.9
    monkeypatch.setattr(
        sampling.shutil, "disk_usage", lambda folder: SimpleNamespace(free=20 * one.sst.nbytes)
    )
    line = refused("interpolate", "gappy.nc", "large.nc", "--samples", "21", cwd=tmp_path)
    assert "of disk, expected" in line
    assert "ask for 20 or fewer" in line
    line = refused("interpolate", "memory.nc", "again.nc", "--minutes", "0.1", cwd=tmp_path)
    assert "'sst_samples' holds joint samples of 'sst'" in line
