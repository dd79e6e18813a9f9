"""Assimilation of observations as they arrive, and forecasts: pieces and the whole, labels, refusals."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray as xr
from door import ran, refused
from torch import nn

import da4dvar
from da4dvar.errors import DataError
from da4dvar.fields.scaling.standard import Standard, Unscaled
from da4dvar.interpolator import Interpolator
from da4dvar.layout import Layout
from da4dvar.simulate import lorenz96
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.workflows.cycling import assimilate_file

STEPS, LAG = 14, 6


def model_of(dynamics: nn.Module | None = None, scaling=None, step: float = 0.05) -> Interpolator:
    """A model of eight components of Lorenz-96, which needs no training."""
    found = Interpolator(
        Flow(dynamics or Lorenz96(), step),
        LevenbergMarquardt(),
        Layout(["x"], axes=["component", "time"], periodic=["component"]),
        scaling or Unscaled(),
        observation_weight=1.0,
        prior_weight=1e4,
        learn_weights=False,
        observation_error=1.0,
    )
    return found.prepare(twin().rename(x_observed="x"))


def twin(steps: int = STEPS, every: int = 2) -> xr.Dataset:
    """Observations of two series, with dates and gaps."""
    ds = lorenz96(2, steps, seed=4, components=8, every=every, number=5, noise_variance=1.0)
    return ds[["x_observed"]]


def pieces(ds: xr.Dataset, *ends: int) -> list[xr.Dataset]:
    """A data set cut before the given times."""
    return [ds.isel(time=slice(a, b)) for a, b in pairwise([0, *ends, ds.sizes["time"]])]


@pytest.fixture(scope="module")
def model():
    """The model, and its file."""
    return model_of()


@pytest.fixture(scope="module")
def whole(model):
    """All observations at once."""
    return model.assimilate(twin().rename(x_observed="x"), lag=LAG)


@pytest.mark.parametrize("ends", [(1, 2, 5), (9,), tuple(range(1, STEPS))])
def test_pieces_give_what_the_whole_gives(model, whole, ends):
    """To the last bit, however the observations are cut, the analyses and the background are the same."""
    known, background = None, None
    for piece in pieces(twin().rename(x_observed="x"), *ends):
        found = model.assimilate(piece, background, lag=LAG)
        background = found.background
        first = found.analysis.time.values[0]
        kept = [] if known is None else [known.sel(time=known.time < first)]
        known = xr.concat([*kept, found.analysis], "time")
    xr.testing.assert_equal(known, whole.analysis)
    xr.testing.assert_identical(background, whole.background)


def test_absent_times_between_pieces_are_gaps(model):
    """A step without a file is a step without observations."""
    ds = twin().rename(x_observed="x")
    gap = ds.where(ds.time != ds.time[8])
    expected = model.assimilate(gap, lag=LAG)
    first = model.assimilate(ds.isel(time=slice(0, 8)), lag=LAG)
    found = model.assimilate(ds.isel(time=slice(9, None)), first.background)
    xr.testing.assert_allclose(found.analysis, expected.analysis.sel(time=found.analysis.time), rtol=1e-6)
    assert found.analysis.sizes["time"] == LAG + 1 + STEPS - 8


def test_the_analysis_is_labelled_and_better_than_the_filter(model):
    """Dimensions, units and flags are those of the data; later observations lower the error."""
    truth = lorenz96(2, 60, seed=4, components=8, every=2, number=5, noise_variance=1.0)
    seen = (
        truth[["x_observed"]].transpose("time", "component", "series").rename(x_observed="y", component="j")
    )
    out = model.assimilate(seen, lag=20, variable="y", dim={"component": "j"}).analysis
    assert out.x.dims == ("time", "j", "series")
    assert out.x.attrs["units"] == out.x_std.attrs["units"] == "1"
    assert ((out.x_flag == 0) == seen.y.notnull()).all()
    early = slice(20, 40)

    def error(name: str) -> float:
        return float(((out[name].rename(j="component") - truth.x).isel(time=early) ** 2).mean() ** 0.5)

    assert error("x") < 0.8 * error("x_filter")
    assert (out.x_std <= out.x_filter_std * 1.001).isel(time=early).mean() > 0.95
    assert 0.5 < float((out.x_std.isel(time=early) ** 2).mean() ** 0.5) / error("x") < 2


def test_units_of_the_data_scale_the_analysis():
    """Ten times the values, in a unit ten times smaller, give ten times the analysis and its error."""
    scaling = Standard()
    base = twin().rename(x_observed="x").assign_attrs()
    base.x.attrs |= {"units": "m", "observation_error_std": 1.0}
    model = Interpolator(
        Flow(nn.Identity(), 1e-6),
        LevenbergMarquardt(),
        Layout(["x"], axes=["component", "time"]),
        scaling,
        learn_weights=False,
        observation_error=1.0,
    ).prepare(base)
    small = (base * 100).assign(x=(base.x * 100).assign_attrs(units="cm", observation_error_std=100.0))
    one, hundred = (model.assimilate(ds, lag=3).analysis for ds in (base, small))
    for name in ("x", "x_std", "x_filter", "x_filter_std"):
        np.testing.assert_allclose(hundred[name], 100 * one[name], rtol=1e-3, atol=1e-2)


def state(ds: xr.Dataset, **variables: float) -> xr.Dataset:
    """A state of one time, with more variables on its grid."""
    first = xr.zeros_like(ds.x.isel(time=0, drop=True)) + 2.0
    return first.to_dataset(name="x").assign({n: first * 0 + value for n, value in variables.items()})


def test_a_given_background_is_used(model):
    """A precise background holds the first state, as a standard error, one number or an ensemble."""
    ds = twin().rename(x_observed="x")
    loose = model.assimilate(ds, state(ds, x_std=5.0), lag=LAG).analysis
    tight = model.assimilate(ds, state(ds, x_std=1e-3), lag=LAG).analysis
    number = model.assimilate(ds, state(ds), lag=LAG, background_error=1e-3).analysis
    drawn = np.random.default_rng(0).standard_normal((30, 2, 8))
    members = state(ds).assign(x_samples=(("realization", "series", "component"), 2 + 1e-3 * drawn))
    ensemble = model.assimilate(ds, members, lag=LAG).analysis
    for found in (tight, number, ensemble):
        np.testing.assert_allclose(found.x_filter.isel(time=0), 2.0, atol=0.02)
    assert abs(loose.x_filter.isel(time=0) - 2.0).max() > 0.5


def test_a_forecast_carries_the_analysis_and_its_error(model, whole):
    """The mean of many members agrees with the dynamics, and their spread grows from that of the analysis."""
    out = model.forecast(whole.analysis, 20, whole.background, members=200)
    assert out.x_samples.sizes["realization"] == 200
    np.testing.assert_allclose(out.time, float(whole.analysis.time[-1]) + 0.05 * np.arange(1, 21))
    start = torch.tensor(whole.analysis.x.isel(time=-1).values)[:, None, :, None]
    alone = Flow(Lorenz96(), 0.05).forecast(start)[:, 0, :, 0]
    spread = out.x_std.isel(time=0)
    assert (abs(out.x.isel(time=0) - alone.numpy()) < 0.4 * spread).all()
    last = whole.analysis.x_filter_std.isel(time=-1)
    np.testing.assert_allclose((spread**2).mean() ** 0.5, (last**2).mean() ** 0.5, rtol=0.25)
    assert (out.x_std.isel(time=-1) > 1.5 * spread).mean() > 0.8
    assert (out.x_flag == 1).all()
    same = model.forecast(whole.analysis, 20, whole.background, members=200)
    xr.testing.assert_identical(out, same)
    alone = model.forecast(whole.analysis[["x"]], 3)
    assert list(alone.data_vars) == ["x", "x_flag"]


def test_a_model_without_dynamics_forecasts_the_end_of_its_window(model_path, gappy):
    """The forecast is the interpolation of data whose last steps are gaps."""
    model = da4dvar.load(model_path)
    steps = 2
    out = model.forecast(gappy, steps)
    longer = gappy.pad(time=(0, steps)).assign_coords(time=np.r_[gappy.time, out.time])
    expected = model.interpolate(longer, analysis=True).isel(time=slice(-steps, None))
    for name in model.layout.variables:
        np.testing.assert_allclose(out[name], expected[name], rtol=1e-5)
    window = model.layout.window["time"]
    with pytest.raises(
        DataError, match=f"its window is {window} steps, expected more than the {window} steps"
    ):
        model.forecast(gappy, window)


class Explosive(nn.Module):
    """dx/dt = x³, which is infinite after a short time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x**3


def late(ds: xr.Dataset) -> xr.Dataset:
    """The observations, begun eight steps after the end of the first four."""
    return ds.isel(time=slice(12, None))


REFUSED = {
    "another number of cells": (lambda m, ds: m.assimilate(ds, state(ds, x_std=1.0).isel(component=slice(6))),
                                "'component' has 8 entries in the data, but the background has 6"),
    "other labels": (lambda m, ds: m.assimilate(
        ds, state(ds, x_std=1.0).assign_coords(component=np.arange(8) + 1)),
                     "labels of 'component' are not those of the data"),
    "a background of other series": (
        lambda m, ds: m.assimilate(ds.isel(time=slice(4, None), series=[0]),
                                   m.assimilate(ds.isel(time=slice(4))).background),
        "'series' has 1 entries in the data, but the background has 2"),
    "no error": (lambda m, ds: m.assimilate(ds, state(ds)), "neither x_std nor x_samples"),
    "few members": (
        lambda m, ds: m.assimilate(ds, state(ds).assign(x_samples=state(ds).x.expand_dims(realization=3))),
        "3 samples, expected more than the 8 components"),
    "a gap between files": (
        lambda m, ds: m.assimilate(late(ds), m.assimilate(ds.isel(time=slice(4)), lag=3).background),
        r"no observation for 8 steps between 0\.15 and 0\.6, longer than the window of 3 steps"),
    "a gap within a file": (lambda m, ds: m.assimilate(ds.where((ds.time < 0.15) | (ds.time > 0.55)), lag=3),
                            r"no observation for 9 steps between 0\.1 and 0\.6"),
    "a gap over the window": (
        lambda m, ds: m.assimilate(late(ds), m.assimilate(ds.where(ds.time < 0.15).isel(time=slice(12)),
                                                          lag=3).background),
        r"no observation for .* longer than the window of 3 steps"),
    "nothing new": (lambda m, ds: m.assimilate(ds, m.assimilate(ds.isel(time=slice(4))).background)
                    and m.assimilate(ds.isel(time=slice(2)), m.assimilate(ds.isel(time=slice(4))).background),
                    "no time is later than the last analysis, at 0.15"),
    "another lag": (lambda m, ds: m.assimilate(ds, m.assimilate(ds.isel(time=slice(4))).background, lag=3),
                    "lag is 3, but that of the background is 40"),
    "another error": (
        lambda m, ds: m.assimilate(
            ds, m.assimilate(ds.isel(time=slice(4))).background, observation_error=3.0),
        "observation_error is 3, but that of the background is the default"),
    "a negative lag": (lambda m, ds: m.assimilate(ds, lag=-1), "lag is -1, expected a number of steps"),
    "no inflation": (lambda m, ds: m.assimilate(ds, inflation=0.0),
                     "inflation is 0.0, expected a number above 0"),
    "dynamics that diverge": (lambda m, ds: model_of(Explosive(), step=0.5).assimilate(
        ds.where(ds.time < 0.05)),
                              r"the dynamics diverge at step \d+, 0\.\d+"),
    "a forecast that diverges": (lambda m, ds: model_of(Explosive(), step=0.5).forecast(state(ds).expand_dims(
        time=[0.0]), 9), r"diverge at step \d of the forecast"),
    "a forecast from gaps": (lambda m, ds: m.forecast(ds, 3), "gaps at its last time"),
    "members without an error": (lambda m, ds: m.forecast(state(ds).expand_dims(time=[0.0]), 3, members=9),
                                 "an ensemble needs the error of the analysis"),
    "no steps": (lambda m, ds: m.forecast(ds, 0), "steps is 0, expected a whole number of 1 or more"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused(model, what):
    """Each mistake has a message of one line."""
    call, message = REFUSED[what]
    with pytest.raises(DataError, match=message) as caught:
        call(model, twin().rename(x_observed="x"))
    assert "\n" not in str(caught.value)


def test_a_model_without_dynamics_is_refused(model_path, gappy):
    """An assimilation needs dynamics."""
    with pytest.raises(DataError, match="needs a model with dynamics"):
        da4dvar.load(model_path).assimilate(gappy)


@pytest.fixture
def folder(tmp_path, monkeypatch, model):
    """A folder with the model, all observations, and two pieces of them."""
    ds = twin().rename(x_observed="x")
    model.save(tmp_path / "m.safetensors")
    for name, part in zip(("whole", "one", "two"), [ds, *pieces(ds, 9)], strict=True):
        part.to_netcdf(tmp_path / f"{name}.nc")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_files_are_appended(folder, suffix):
    """A file that grows, or one a day, gives the output of all at once; the forecast begins at its end."""
    once, daily = f"once.{suffix}", f"daily.{suffix}"
    ran("assimilate", "whole.nc", once, "--model", "m.safetensors", "--lag", LAG)
    ran("assimilate", "one.nc", daily, "--model", "m.safetensors", "--resume", "--lag", LAG)
    ran("assimilate", "two.nc", daily, "--model", "m.safetensors", "--resume")
    found, expected = (da4dvar.open_dataset(path).load() for path in (daily, once))
    xr.testing.assert_equal(found, expected)
    assert found.attrs["history"].count("assimilated by") == 2
    # A file that grows holds the earlier times too.
    ran("assimilate", "one.nc", f"grown.{suffix}", "--model", "m.safetensors", "--lag", LAG)
    ran("assimilate", "whole.nc", f"grown.{suffix}", "--model", "m.safetensors", "--resume")
    xr.testing.assert_equal(da4dvar.open_dataset(f"grown.{suffix}").load(), expected)
    ran("forecast", daily, "ahead.nc", "--steps", 3, "--model", "m.safetensors", "--members", 5)
    with xr.open_dataset("ahead.nc") as ahead:
        assert ahead.x_samples.sizes["time"] == 3


def test_mistakes_leave_the_output_as_it_was(folder):
    """One line and exit code 2; neither a half-written output nor a changed one."""
    assimilate_file("one.nc", "out.nc", "m.safetensors", lag=2)
    model_of(step=2.0).save(folder / "other.safetensors")
    late(xr.open_dataset("whole.nc")).to_netcdf("late.nc")
    for command, message in {
        "assimilate late.nc out.nc --model m.safetensors --resume": "longer than the window of 2 steps",
        "assimilate two.nc out.nc --model other.safetensors --resume": "was written with another model",
        "assimilate two.nc out.nc --model m.safetensors": "already exists",
        "assimilate two.nc one.nc --model m.safetensors --resume": "there is no group 'background'",
        "assimilate whole.nc new.nc --model other.safetensors": "the dynamics diverge at step",
        "assimilate whole.nc new.nc --model m.safetensors --lag -2": "lag is -2",
        "assimilate whole.nc new.nc --model lorenz96": "needs a model with dynamics",
        "forecast whole.nc new.nc --steps 4 --model m.safetensors": "gaps at its last time",
        "forecast out.nc new.nc --steps 400 --model other.safetensors": "diverge at step",
        "forecast out.nc new.nc --model m.safetensors": "--steps",
    }.items():
        assert message in refused(*command.split(), cwd=folder)
