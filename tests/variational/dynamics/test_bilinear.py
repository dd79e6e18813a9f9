"""Tests of the learned bilinear system, which includes those of Lorenz, and of its identification."""

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from variational.problems import LORENZ63, LORENZ96, coefficients, double

from da4dvar.simulate import lorenz63, lorenz96
from da4dvar.testing import seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow


@pytest.mark.parametrize(
    ("dynamics", "lorenz", "known", "shape"),
    [(Bilinear(8, 2), Lorenz96(), LORENZ96, (1, 8, 5)), (Bilinear(3), Lorenz63(), LORENZ63, (3, 5))],
)
def test_systems_of_lorenz_are_special_cases(dynamics, lorenz, known, shape):
    """With suitable coefficients, it is Lorenz-96 or Lorenz-63."""
    dynamics.load_state_dict(coefficients(dynamics, *known), strict=False)
    x = double(2, *shape)
    assert_close(dynamics.double()(x), lorenz(x))


@pytest.mark.parametrize("reach", [None, 2])
@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_components_may_be_any_axis(reach, axis):
    """The tendency does not depend on the axis of the components."""
    dynamics = seeded(lambda: Bilinear(6, reach, axis=axis)).double()
    last = seeded(lambda: Bilinear(6, reach, axis=-1)).double()
    x = double(2, 3, 4, 6)
    assert_close(dynamics(x.movedim(-1, axis)), last(x).movedim(-1, axis))


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
def test_periodic_tendency_is_the_sum_of_all_products(reach):
    """The tendency is the explicit sum for each component, even if the reach exceeds the circle."""
    dynamics = seeded(lambda: Bilinear(7, reach, axis=-1)).double()
    x = double(7)
    expected = dynamics.constant.detach().expand(7).clone()
    for i in range(7):
        near = [x[(i + shift) % 7] for shift in range(-reach, reach + 1)]
        for j, value in enumerate(near):
            expected[i] += dynamics.linear[0, j].detach() * value
        for pair, (j, k) in enumerate(dynamics.pairs.T.tolist()):
            expected[i] += dynamics.quadratic[0, pair].detach() * near[j] * near[k]
    assert_close(dynamics(x).detach(), expected)


def test_periodic_tendency_has_derivatives_of_two_orders():
    """Derivatives of both orders agree with differences; mixed precision does not round a tendency."""
    dynamics = seeded(lambda: Bilinear(5, reach=2)).double()
    names = [name for name, _ in dynamics.named_parameters()]

    def tendency(x: torch.Tensor, *learned: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(dynamics, dict(zip(names, learned, strict=True)), (x,))

    inputs = (double(1, 1, 5, 2).requires_grad_(), *dynamics.parameters())
    assert torch.autograd.gradcheck(tendency, inputs)
    assert torch.autograd.gradgradcheck(tendency, inputs)
    dynamics, x = seeded(lambda: Bilinear(7, reach=2)), double(2, 1, 7, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dynamics(x)
    assert torch.equal(mixed, dynamics(x))


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
    """Parameters without a gradient, and a flow whose forecast diverges, are unchanged."""
    flow = seeded(lambda: Flow(Bilinear(40, reach=1), 0.05))
    before = copy.deepcopy(flow)
    flow.dynamics.constant.requires_grad_(False)
    learn_dynamics(flow, series_of_lorenz96(series=2, steps=20), steps=5)
    assert torch.equal(flow.dynamics.constant, before.dynamics.constant)
    assert not torch.equal(flow.dynamics.linear, before.dynamics.linear)
    flow = seeded(lambda: Flow(Bilinear(40, reach=2), step=1e60))
    before = copy.deepcopy(flow.state_dict())
    with pytest.raises(ValueError, match="diverges"):
        learn_dynamics(flow, series_of_lorenz96(series=1, steps=5), steps=5)
    assert_close(flow.state_dict(), before, rtol=0, atol=0)
