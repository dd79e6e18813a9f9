"""Data sets are split and turned into training samples, with a gap pattern for each variable."""

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.scaling.standard import Standard
from da4dvar.fields.sensors import Sensor
from da4dvar.training.dataset import samples, split
from da4dvar.training.plan import Training
from da4dvar.variational.observation import Identity, Sensors
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent


def two_variables() -> xr.Dataset:
    """Return complete series of two variables at four stations."""
    generator = np.random.default_rng(0)
    return xr.Dataset({n: (("time", "station"), generator.standard_normal((30, 4))) for n in ("t", "q")})


def from_linear() -> da4dvar.Interpolator:
    """Return a model of both variables that starts from linear interpolation in time."""
    layout = da4dvar.Layout(["t", "q"], axes=["time"], window={"time": 8})
    solver = GradientDescent(iterations=1, step=0.1)
    return da4dvar.Interpolator(UNet(2, ("zero",), width=3), solver, layout, Standard(), first_guess=Linear())


def test_each_variable_has_a_gap_pattern_of_its_own_under_a_first_guess():
    """Half of one variable is hidden and none of the other; three patterns are refused."""
    ds = two_variables()
    drawn = samples(from_linear().prepare(ds), ds, ds, [Random(0.5), None], 0.0, 1, 0)
    hidden = drawn.observed.isnull().mean(["draw", "time", "station"])
    assert 0.3 < hidden[0] < 0.7
    assert hidden[1] == 0
    with pytest.raises(DataError, match="got 3 gap patterns, expected 2"):
        samples(from_linear().prepare(ds), ds, ds, [Random(0.5)] * 3, 0.0, 1, 0)


def test_the_last_samples_of_a_sensor_without_time_are_for_validation():
    """The last images of a sensor validate, under any name; a misspelt variable is refused."""
    seen = xr.Dataset({"camera": (("sample", "y", "x"), np.random.default_rng(0).random((20, 5, 6)))})
    model = da4dvar.Interpolator(
        UNet(1, ("zero", "zero"), width=3),
        GradientDescent(iterations=1, step=0.1),
        da4dvar.Layout(["digit"], axes=["y", "x"]),
        Standard(),
        observation=Sensors([Identity()]),
        sensors=[Sensor("camera", "digit", 0.1)],
    )
    train, _, validation, _ = split(model, seen, None)
    assert (train.sizes["sample"], validation.sizes["sample"]) == (18, 2)
    plan = Training(steps=1, batch=2, validate_every=1, validation_samples=2, device="cpu")
    assert model.fit(seen, gaps=Random(0.5), training=plan).interpolate(seen).digit.notnull().all()
    images = xr.Dataset({"sst": (("sample", "y"), np.ones((20, 5)))})
    with pytest.raises(DataError, match="there is no variable 't'"):
        from_linear().fit(images)
