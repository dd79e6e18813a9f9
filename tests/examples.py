"""Small data sets and models for the tests."""

import numpy as np
import pandas as pd
import xarray as xr

import da4dvar
from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.anomaly import Anomaly
from da4dvar.fields.scaling.standard import Standard
from da4dvar.testing import seeded
from da4dvar.training.plan import Training
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

WINDOW = 6
# Of a model that is trained in a second, on truth.nc with ten weeks of the small sea.
RECIPE = """
title = "a small sea"
[data]
path = "truth.nc"
truth = {{ sst = "sst" }}
train = {{ time = ["2001-03-01", "2001-04-20"] }}
validation = {{ time = ["2001-04-21", "2001-05-09"] }}
[gaps]
kind = "random"
fraction = 0.4
[layout]
variables = ["sst"]
axes = ["lat", "lon"]
channels = ["time"]
window = {{ time = 6, lat = 5, lon = 6 }}
[scaling]
kind = "anomaly"
harmonics = 1
[prior]
kind = "unet"
width = 4
[solver]
kind = "lstm"
width = 4
iterations = 2
[train]
steps = {steps}
batch = 2
validate_every = 2
validation_samples = 2
device = "cpu"
"""


def make_sst(days: int = 30, seed: int = 0, start: str = "2001-03-01") -> xr.Dataset:
    """A smooth, drifting field with a season, a corner of land, and labels like a real file's."""
    generator = np.random.default_rng(seed)
    t, y, x = np.meshgrid(np.arange(days), np.arange(9), np.arange(8), indexing="ij")
    phase = generator.uniform(0, 6, 3)
    field = 15 + 3 * np.sin(0.02 * t + phase[0]) + np.sin(0.5 * x - 0.1 * t + phase[1])
    field = np.round(field + 0.7 * np.cos(0.4 * y + 0.15 * t + phase[2]), 2)
    field[:, :2, :2] = np.nan
    ds = xr.Dataset(
        {"sst": (("time", "lat", "lon"), field.astype("float32"))},
        coords={
            "time": pd.date_range(start, periods=days),
            "lat": ("lat", -40 + 0.25 * np.arange(9), {"units": "degrees_north"}),
            "lon": ("lon", 150 + 0.25 * np.arange(8), {"units": "degrees_east"}),
        },
        attrs={"title": "a small sea", "history": "made by hand"},
    )
    ds.sst.attrs = {"units": "degC", "standard_name": "sea_surface_temperature"}
    ds.sst.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "add_offset": 0.0}
    ds.sst.encoding |= {"_FillValue": np.int16(-32768), "zlib": True}
    ds.time.encoding = {"units": "days since 1990-01-01", "calendar": "standard"}
    return ds


def gappy_sst(days: int = 20, part: float = 0.4, seed: int = 0) -> xr.Dataset:
    """The small sea, of which this part is observed, cell by cell."""
    ds = make_sst(days)
    seen = np.random.default_rng(seed).random(ds.sst.shape) < part
    return ds.assign(sst=ds.sst.copy(data=np.where(seen, ds.sst, np.float32(np.nan))))


def assert_bits(one: xr.Dataset, other: xr.Dataset) -> None:
    """The same variables, and every value of them the same, bit for bit."""
    assert set(one.variables) == set(other.variables)
    for name in other.variables:
        here, there = one[name].values, other[name].values
        assert (one[name].dims, here.dtype) == (other[name].dims, there.dtype), name
        if here.dtype == object:
            np.testing.assert_array_equal(here, there)
        else:
            assert here.tobytes() == there.tobytes(), name


def tiny_interpolator(seed: int = 0, initial: str = "zero") -> da4dvar.Interpolator:
    """An untrained model of windows of six days and of four by five cells."""
    window = {"time": WINDOW, "lat": 5, "lon": 6}
    layout = da4dvar.Layout(["sst"], axes=["lat", "lon"], channels=["time"], window=window)

    def parts() -> tuple[UNet, ConvLSTM]:
        boundary = ("zero", "zero")
        return UNet(WINDOW, boundary, width=4), ConvLSTM(WINDOW, boundary, width=6, iterations=3)

    return da4dvar.Interpolator(*seeded(parts, seed), layout, Anomaly(harmonics=1), initial=initial)


def descent_model(step: float = 0.1, iterations: int = 1, **options: object) -> da4dvar.Interpolator:
    """Return an unfitted model with gradient descent; with a tiny step it returns its initial state."""
    layout = da4dvar.Layout(["sst"], ["lat", "lon"], ["time"], window={"time": WINDOW, "lat": 5})
    prior = seeded(lambda: UNet(WINDOW, ("zero", "zero"), width=3))
    return da4dvar.Interpolator(prior, GradientDescent(step, iterations), layout, Standard(), **options)


def train_tiny(steps: int = 6, workers: int = 0) -> da4dvar.Interpolator:
    """A model trained for a few steps on ten weeks of the small sea."""
    truth = make_sst(70, seed=1)
    plan = Training(steps, batch=4, validate_every=3, validation_samples=4, device="cpu", workers=workers)
    return tiny_interpolator().fit(truth, truth=truth, gaps=Random(0.4), training=plan)


class Exhausted(Random):
    """Random gaps that are used up after some draws: a mistake in the middle of a training."""

    def __init__(self, fraction: float, draws: int) -> None:
        super().__init__(fraction)
        self.left = draws

    def draw(self, generator: np.random.Generator, sizes: dict[str, int]) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise DataError("no more gaps")
        return super().draw(generator, sizes)
