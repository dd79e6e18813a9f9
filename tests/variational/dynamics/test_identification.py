"""Tests of dynamics learned from complete series, which recover the equations of Lorenz."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from variational.problems import LORENZ63, LORENZ96, coefficients

from da4dvar.simulate import lorenz63, lorenz96
from da4dvar.testing import seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.priors.flow import Flow


def series_of_lorenz96(series: int = 4, steps: int = 60) -> Tensor:
    """Noise-free series of shape (series, 1, component, time)."""
    x = lorenz96(series=series, steps=steps, seed=5).x.transpose("series", "component", "time")
    return torch.from_numpy(x.values)[:, None]


@pytest.mark.parametrize("which", ["lorenz63", "lorenz96"])
def test_equations_are_found_again(which):
    """The coefficients of Lorenz-63 and Lorenz-96 are recovered from series, and no others."""
    if which == "lorenz96":
        known, dynamics, x = LORENZ96, seeded(lambda: Bilinear(40, reach=2)), series_of_lorenz96()
        error, highest = learn_dynamics(Flow(dynamics, 0.05), x, steps=150), 1e-3
    else:
        known, dynamics = LORENZ63, seeded(lambda: Bilinear(3))
        x = torch.tensor(lorenz63(8, 100, seed=5).x.transpose("series", "component", "time").values)
        error, highest = learn_dynamics(Flow(dynamics, 0.01), x, steps=300), 1e-5
    assert error < highest
    found = {name: p.detach() for name, p in dynamics.named_parameters()}
    assert_close(found, coefficients(dynamics, *known), rtol=0, atol=1e-2)


def test_what_is_returned_is_the_error_of_the_forecast():
    """The returned value is the forecast error of the learned flow, in the units of the series."""
    x, flow = series_of_lorenz96(series=2, steps=20), seeded(lambda: Flow(Bilinear(40, reach=1), 0.05))
    error = learn_dynamics(flow, x, steps=10)
    assert {p.dtype for p in flow.parameters()} == {torch.float32}
    with torch.no_grad():
        left = (x[..., 1:] - flow.forecast(x[..., :-1])).square().mean().sqrt()
    assert error == pytest.approx(float(left), rel=1e-4)


def test_fixed_parameters_are_unchanged():
    """Parameters that do not require a gradient are unchanged."""
    flow = seeded(lambda: Flow(Bilinear(40, reach=1), 0.05))
    before = copy.deepcopy(flow)
    flow.dynamics.constant.requires_grad_(False)
    learn_dynamics(flow, series_of_lorenz96(series=2, steps=20), steps=5)
    assert torch.equal(flow.dynamics.constant, before.dynamics.constant)
    assert not torch.equal(flow.dynamics.linear, before.dynamics.linear)


def test_a_forecast_that_runs_away_changes_nothing():
    """If the step is so long that the forecast diverges, the flow is unchanged."""
    flow = seeded(lambda: Flow(Bilinear(40, reach=2), step=1e60))
    before = copy.deepcopy(flow.state_dict())
    with pytest.raises(ValueError, match="diverges"):
        learn_dynamics(flow, series_of_lorenz96(series=1, steps=5), steps=5)
    assert_close(flow.state_dict(), before, rtol=0, atol=0)
