"""The fraction of a model's correction that is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from da4dvar.analysis.window_solver import WindowSolver
from da4dvar.fields.channels import Entries
from da4dvar.layout import Layout
from da4dvar.training.correction import correction_of
from da4dvar.training.samples import Samples

LAYOUT = Layout(["tmin", "tmax"], axes=["time"], window={"time": 8})


def drawn_from(guess: np.ndarray, truth: np.ndarray) -> Samples:
    """Return samples whose observations are zero, with the other half of the cells as target."""
    seen = np.where(np.arange(truth.shape[1]) % 2, np.nan, truth)
    dims = ("variable", "time")
    arrays = [xr.DataArray(a, dims=dims) for a in (seen, truth, guess)]
    return Samples(arrays[0], arrays[1], None, LAYOUT, first_guess=arrays[2], hidden=True)


class Beyond(torch.nn.Module):
    """Model that goes a given multiple of the way from the first guess to the truth, which is 1."""

    def __init__(self, way: tuple[float, float]) -> None:
        super().__init__()
        self.way = torch.nn.Parameter(torch.tensor(way)[:, None])
        self.device = torch.device("cpu")

    def forward(self, y, mask, x0, watch=None, covariates=None):
        zeros = torch.zeros(1, len(y))
        return SimpleNamespace(x=x0 + self.way * (1 - x0), observation=zeros, prior=zeros)


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.floats(1.0, 5.0), st.floats(1.0, 5.0)))
def test_a_model_that_goes_too_far_is_held_back_by_as_much(way):
    """A correction twice too large is halved for each variable, which gives the truth."""
    samples = drawn_from(np.full((2, 20), 0.25), np.ones((2, 20)))
    kept = correction_of(Beyond(way), samples, 5, seed=0)
    assert np.allclose(np.multiply(kept, way), 1.0, atol=1e-5)


@pytest.mark.parametrize(("way", "kept"), [((-1.0, 0.3), (0.0, 1.0)), ((0.0, 0.0), (1.0, 1.0))])
def test_the_fraction_is_between_0_and_1(way, kept):
    """The fraction is 0 for a model that goes the wrong way, and 1 for the first guess itself (0 / 0)."""
    samples = drawn_from(np.full((2, 20), 0.25), np.ones((2, 20)))
    assert correction_of(Beyond(way), samples, 5, seed=0) == kept


def test_windows_are_corrected_by_what_was_found():
    """Windows return x(0) + α (x̂ − x(0)) with the α of each variable."""
    entries = Entries(observed=2, guess=True)
    solve = WindowSolver(Beyond((2.0, 2.0)), LAYOUT, "zero", "time", entries, correction=(0.5, 0.25))
    windows = np.zeros((3, 4, 8), dtype="float32")
    x, _ = solve(windows)
    assert x.shape == (3, 2, 8)
    assert x[:, 0] == pytest.approx(1.0)
    assert x[:, 1] == pytest.approx(0.5)
