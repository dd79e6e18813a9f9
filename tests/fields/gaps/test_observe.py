"""Simulated observations of a complete data set."""

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.observe import observe
from da4dvar.fields.gaps.patterns import Random
from da4dvar.fields.gaps.squares import Squares


def truth() -> xr.Dataset:
    """Return two complete variables with labels."""
    values = np.random.default_rng(0).standard_normal((2, 50, 8, 9)).astype("float32")
    dims = ("sample", "y", "x")
    return xr.Dataset({"a": (dims, values[0], {"units": "1"}), "b": (dims, values[1])}, {"x": np.arange(9.0)})


def test_what_is_left_is_the_truth_with_noise():
    """Observations are the truth plus noise under the gaps, with labels and dtype kept."""
    y = observe(truth(), Squares(1, {"y": 4, "x": 4}), noise=0.5, seed=3)
    noise = (y - truth()).a
    assert (y.a.isnull().sum(("y", "x")) == 16).all()
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert abs(float(noise.mean())) < 0.03
    assert (y.a.dtype, y.a.attrs) == ("float32", {"units": "1", "observation_error_std": 0.5})
    assert truth().a.attrs == observe(truth(), Random(0.5)).a.attrs
    xr.testing.assert_identical(y.x, truth().x)


def test_a_seed_decides_gaps_and_noise():
    """The seed determines gaps and noise, which differ between variables; negative noise is refused."""
    first, other = (observe(truth(), Random(0.5), 0.1, seed) for seed in (1, 2))
    xr.testing.assert_identical(observe(truth(), Random(0.5), 0.1, 1), first)
    assert (first.a.isnull() != other.a.isnull()).any()
    assert (first.a.isnull() != first.b.isnull()).any()
    with pytest.raises(DataError, match="standard deviation of -1, expected 0 or more"):
        observe(truth(), Random(0.5), noise=-1)
