"""Tests of the learned bilinear system, which includes those of Lorenz."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from variational.problems import double

from da4dvar.testing import seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96


def with_coefficients(
    dynamics: Bilinear,
    constant: dict[int, float],
    linear: dict[tuple[int, int], float],
    quadratic: dict[tuple[int, int, int], float],
) -> Bilinear:
    """Set the given bᵢ, Aᵢⱼ and Qᵢⱼₖ (j ≤ k) of `dynamics`, and all others to zero."""
    for parameter in dynamics.parameters():
        nn.init.zeros_(parameter)
    for i, value in constant.items():
        dynamics.constant.data[i] = value
    for (i, j), value in linear.items():
        dynamics.linear.data[i, j] = value
    pairs = [tuple(pair) for pair in dynamics.pairs.T.tolist()]
    for (i, j, k), value in quadratic.items():
        dynamics.quadratic.data[i, pairs.index((j, k))] = value
    return dynamics


def test_lorenz96_is_a_special_case() -> None:
    """With suitable coefficients, it is Lorenz-96, x₊₁ x₋₁ − x₋₂ x₋₁ − x + 8, neighbours being 0 to 4."""
    dynamics = with_coefficients(
        Bilinear(8, reach=2).double(), {0: 8.0}, {(0, 2): -1.0}, {(0, 1, 3): 1.0, (0, 0, 1): -1.0}
    )
    x = double(2, 1, 8, 5)
    assert_close(dynamics(x), Lorenz96()(x))


def test_lorenz63_is_a_special_case() -> None:
    """With suitable coefficients, it is Lorenz-63: 10 (y − x), x (28 − z) − y, xy − 8/3 z."""
    dynamics = with_coefficients(
        Bilinear(3).double(),
        {},
        {(0, 0): -10.0, (0, 1): 10.0, (1, 0): 28.0, (1, 1): -1.0, (2, 2): -8 / 3},
        {(1, 0, 2): -1.0, (2, 0, 1): 1.0},
    )
    x = double(2, 3, 5)
    assert_close(dynamics(x), Lorenz63()(x))


@pytest.mark.parametrize("reach", [None, 2])
@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_components_may_be_any_axis(reach: int | None, axis: int) -> None:
    """The tendency does not depend on the axis of the components."""
    dynamics = seeded(lambda: Bilinear(6, reach, axis=axis)).double()
    last = seeded(lambda: Bilinear(6, reach, axis=-1)).double()
    x = double(2, 3, 4, 6)
    assert_close(dynamics(x.movedim(-1, axis)), last(x).movedim(-1, axis))


def test_periodic_system_obeys_one_law() -> None:
    """A shift of the state shifts the tendency, whatever the coefficients."""
    dynamics, x = seeded(lambda: Bilinear(7, reach=1)), double(2, 1, 7, 3).float()
    assert_close(dynamics(torch.roll(x, 2, -2)), torch.roll(dynamics(x), 2, -2))


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
def test_periodic_tendency_is_the_sum_of_all_products(reach: int) -> None:
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


def test_periodic_tendency_has_derivatives_of_two_orders() -> None:
    """First and second derivatives in state and coefficients, as training needs, agree with differences."""
    dynamics = seeded(lambda: Bilinear(5, reach=2)).double()
    names = [name for name, _ in dynamics.named_parameters()]

    def tendency(x: torch.Tensor, *learned: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(dynamics, dict(zip(names, learned, strict=True)), (x,))

    inputs = (double(1, 1, 5, 2).requires_grad_(), *dynamics.parameters())
    assert torch.autograd.gradcheck(tendency, inputs)
    assert torch.autograd.gradgradcheck(tendency, inputs)


def test_periodic_tendency_has_a_tangent() -> None:
    """Forward derivatives along many directions give the Jacobian of torch."""
    dynamics, x = seeded(lambda: Bilinear(7, reach=2)).double(), double(1, 1, 7, 1)
    directions = torch.eye(7).double().reshape(7, *x.shape)
    along = torch.func.vmap(lambda direction: torch.func.jvp(dynamics, (x,), (direction,))[1])
    dense = torch.autograd.functional.jacobian(dynamics, x).reshape(7, 7)
    assert_close(along(directions).reshape(7, 7).T, dense)


def test_mixed_precision_does_not_round_a_periodic_tendency() -> None:
    """Under mixed precision, the tendency is not rounded to bfloat16, which would ruin a trajectory."""
    dynamics, x = seeded(lambda: Bilinear(7, reach=2)), double(2, 1, 7, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dynamics(x)
    assert torch.equal(mixed, dynamics(x))


def test_coefficients_are_learned_from_tendencies() -> None:
    """Least squares on states and tendencies of Lorenz-63 recovers its equations."""
    dynamics, x = Bilinear(3, axis=-1).double(), double(60, 3)
    optimiser = torch.optim.LBFGS(dynamics.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def misfit() -> torch.Tensor:
        optimiser.zero_grad()
        loss = (dynamics(x) - Lorenz63(axis=-1)(x)).square().mean()
        loss.backward()
        return loss

    optimiser.step(misfit)
    expected = torch.tensor([[-10.0, 10.0, 0.0], [28.0, -1.0, 0.0], [0.0, 0.0, -8 / 3]]).double()
    assert_close(dynamics.linear.detach(), expected, rtol=0, atol=1e-3)


def test_another_number_of_components_is_refused() -> None:
    """The message states the number of components and the expected number."""
    with pytest.raises(ValueError, match="the state has 5 components, expected 4"):
        Bilinear(4)(double(1, 5, 3))
