"""Tests of dynamics learned from complete series, which recover the equations of Lorenz."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from da4dvar.simulate import lorenz63, lorenz96
from da4dvar.testing import seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow


def series_of_lorenz96(series: int = 4, steps: int = 60) -> Tensor:
    """Noise-free series of shape (series, 1, component, time)."""
    x = lorenz96(series=series, steps=steps, seed=5).x.transpose("series", "component", "time")
    return torch.from_numpy(x.values)[:, None]


def products(dynamics: Bilinear, expected: dict[tuple[int, int, int], float]) -> Tensor:
    """Qᵢⱼₖ with the expected values, and zero elsewhere."""
    quadratic = torch.zeros_like(dynamics.quadratic)
    pairs = [tuple(pair) for pair in dynamics.pairs.T.tolist()]
    for (i, j, k), value in expected.items():
        quadratic[i, pairs.index((j, k))] = value
    return quadratic


def test_lorenz96_is_found_again() -> None:
    """The products x₊₁ x₋₁ and −x₋₂ x₋₁ are found, and no others; neighbours −2 to 2 are numbered 0 to 4."""
    dynamics = seeded(lambda: Bilinear(40, reach=2))
    error = learn_dynamics(Flow(dynamics, 0.05), series_of_lorenz96(), steps=150)
    assert error < 1e-3
    found = {name: p.detach() for name, p in dynamics.named_parameters()}
    expected = {
        "constant": torch.tensor([8.0]),
        "linear": torch.tensor([[0.0, 0.0, -1.0, 0.0, 0.0]]),
        "quadratic": products(dynamics, {(0, 1, 3): 1.0, (0, 0, 1): -1.0}),
    }
    assert_close(found, expected, rtol=0, atol=1e-2)


def test_lorenz63_is_found_again() -> None:
    """The equations 10 (y − x), x (28 − z) − y and xy − 8/3 z are recovered."""
    x = lorenz63(series=8, steps=100, seed=5).x.transpose("series", "component", "time")
    dynamics = seeded(lambda: Bilinear(3))
    error = learn_dynamics(Flow(dynamics, 0.01), torch.from_numpy(x.values), steps=300)
    assert error < 1e-5
    found = {name: p.detach() for name, p in dynamics.named_parameters()}
    expected = {
        "constant": torch.zeros(3),
        "linear": torch.tensor([[-10.0, 10.0, 0.0], [28.0, -1.0, 0.0], [0.0, 0.0, -8 / 3]]),
        "quadratic": products(dynamics, {(1, 0, 2): -1.0, (2, 0, 1): 1.0}),
    }
    assert_close(found, expected, rtol=0, atol=1e-2)


def test_what_is_returned_is_the_error_of_the_forecast() -> None:
    """The returned value is the forecast error of the learned flow, in the units of the series."""
    x, flow = series_of_lorenz96(series=2, steps=20), seeded(lambda: Flow(Bilinear(40, reach=1), 0.05))
    error = learn_dynamics(flow, x, steps=10)
    assert {p.dtype for p in flow.parameters()} == {torch.float32}
    with torch.no_grad():
        left = (x[..., 1:] - flow.forecast(x[..., :-1])).square().mean().sqrt()
    assert error == pytest.approx(float(left), rel=1e-4)


def test_fixed_parameters_are_unchanged() -> None:
    """Parameters that do not require a gradient are unchanged."""
    flow = seeded(lambda: Flow(Bilinear(40, reach=1), 0.05))
    before = copy.deepcopy(flow)
    flow.dynamics.constant.requires_grad_(False)
    learn_dynamics(flow, series_of_lorenz96(series=2, steps=20), steps=5)
    assert torch.equal(flow.dynamics.constant, before.dynamics.constant)
    assert not torch.equal(flow.dynamics.linear, before.dynamics.linear)


def test_dynamics_that_are_known_are_refused() -> None:
    """Dynamics without learned parameters are refused."""
    with pytest.raises(ValueError, match="nothing to learn in Lorenz96"):
        learn_dynamics(Flow(Lorenz96(), 0.05), series_of_lorenz96(series=1, steps=5), steps=1)


@pytest.mark.parametrize("flaw", ["a gap", "a single time"])
def test_short_or_incomplete_series_are_refused(flaw: str) -> None:
    """The message states what is expected of the series."""
    x = series_of_lorenz96(series=1, steps=5)
    x = torch.where(x == x[0, 0, 0, 2], torch.nan, x) if flaw == "a gap" else x[..., :1]
    with pytest.raises(ValueError, match="complete, finite series of two or more"):
        learn_dynamics(Flow(Bilinear(40, reach=1), 0.05), x, steps=1)


def test_a_forecast_that_runs_away_changes_nothing() -> None:
    """If the step is so long that the forecast diverges, the flow is unchanged."""
    flow = seeded(lambda: Flow(Bilinear(40, reach=2), step=1e60))
    before = copy.deepcopy(flow.state_dict())
    with pytest.raises(ValueError, match="diverges"):
        learn_dynamics(flow, series_of_lorenz96(series=1, steps=5), steps=5)
    assert_close(flow.state_dict(), before, rtol=0, atol=0)
