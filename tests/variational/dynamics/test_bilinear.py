"""Tests of the learned bilinear system, which includes those of Lorenz."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from variational.problems import LORENZ63, LORENZ96, coefficients, double

from da4dvar.testing import seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96


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
    """First and second derivatives in state and coefficients, as training needs, agree with differences."""
    dynamics = seeded(lambda: Bilinear(5, reach=2)).double()
    names = [name for name, _ in dynamics.named_parameters()]

    def tendency(x: torch.Tensor, *learned: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(dynamics, dict(zip(names, learned, strict=True)), (x,))

    inputs = (double(1, 1, 5, 2).requires_grad_(), *dynamics.parameters())
    assert torch.autograd.gradcheck(tendency, inputs)
    assert torch.autograd.gradgradcheck(tendency, inputs)


def test_mixed_precision_does_not_round_a_periodic_tendency():
    """Under mixed precision, the tendency is not rounded to bfloat16, which would ruin a trajectory."""
    dynamics, x = seeded(lambda: Bilinear(7, reach=2)), double(2, 1, 7, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dynamics(x)
    assert torch.equal(mixed, dynamics(x))
