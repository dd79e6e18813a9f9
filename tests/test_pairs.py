"""From data sets to training pairs: how they are split, and what is hidden of each variable."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import da4dvar
from da4dvar.baselines.linear import Linear
from da4dvar.errors import DataError
from da4dvar.fields.gaps import Random
from da4dvar.fields.scaling import Standard
from da4dvar.pairs import samples
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent


def two_variables() -> xr.Dataset:
    """Complete series of two variables at four stations."""
    generator = np.random.default_rng(0)
    return xr.Dataset({n: (("time", "station"), generator.standard_normal((30, 4))) for n in ("t", "q")})


def from_linear() -> da4dvar.Interpolator:
    """A model of both variables that starts from linear interpolation in time."""
    layout = da4dvar.Layout(["t", "q"], axes=["time"], window={"time": 8})
    solver = GradientDescent(iterations=1, step=0.1)
    return da4dvar.Interpolator(UNet(2, ("zero",), width=3), solver, layout, Standard(), first_guess=Linear())


def test_each_variable_has_a_gap_pattern_of_its_own_under_a_first_guess() -> None:
    """Half of one variable is hidden and nothing of the other."""
    ds = two_variables()
    drawn = samples(from_linear().prepare(ds), ds, ds, [Random(0.5), None], 0.0, 1, 0)
    hidden = drawn.observed.isnull().mean(["draw", "time", "station"])
    assert 0.3 < hidden[0] < 0.7
    assert hidden[1] == 0


def test_too_many_gap_patterns_are_refused_under_a_first_guess() -> None:
    """Three patterns for two variables."""
    ds = two_variables()
    with pytest.raises(DataError, match="got 3 gap patterns, expected 2"):
        samples(from_linear().prepare(ds), ds, ds, [Random(0.5)] * 3, 0.0, 1, 0)
