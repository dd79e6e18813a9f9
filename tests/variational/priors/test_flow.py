"""Tests of the flow of an ODE as a prior, against adaptive integrators of high order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchdiffeq import odeint
from variational.problems import trajectory

from da4dvar.testing import PriorContract, normal, seeded
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow

STEP = 0.05


class TestLorenz96(PriorContract):
    """Contract with components and time as two axes."""

    shape = (1, 6, 5)

    def make(self) -> Flow:
        return Flow(Lorenz96(), STEP)


class TestComponentsAsChannels(TestLorenz96):
    """Contract with time as the only axis."""

    shape = (6, 5)


class TestThreeAxes(TestLorenz96):
    """Contract with a third axis of independent systems."""

    shape = (1, 2, 6, 5)


class TestLorenz63(PriorContract):
    """Contract with three components and two substeps per interval."""

    shape = (3, 5)

    def make(self) -> Flow:
        return Flow(Lorenz63(), 0.01, substeps=2)


class TestBilinear(PriorContract):
    """Contract with learned dynamics."""

    shape = (4, 5)

    def make(self) -> Flow:
        return Flow(Bilinear(4), STEP)


class TestPeriodicBilinear(PriorContract):
    """Contract with learned dynamics that are the same for all components."""

    shape = (1, 6, 5)

    def make(self) -> Flow:
        return Flow(Bilinear(6, reach=2), STEP)


def attractor(times: int = 20) -> Tensor:
    """An exact trajectory of Lorenz-96, shape (1, 1, component, time)."""
    start = 8 + normal(8).double()
    settled = trajectory(Lorenz96(axis=-2), start, np.array([0.0, 5.0]))[:, -1]
    return trajectory(Lorenz96(axis=-2), settled, STEP * np.arange(times))[None, None]


def test_an_exact_trajectory_is_a_fixed_point() -> None:
    """Φ(x) = x for an exact trajectory, up to the scheme error, which decreases as Δ⁴."""
    x = attractor()
    errors = [float((Flow(Lorenz96(), STEP, substeps=n)(x) - x).abs().max()) for n in (1, 2, 4)]
    assert errors[0] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.25)


def test_each_time_is_forecast_from_the_one_before() -> None:
    """Φ(x)(t) is the solution of dopri8 from x(t − Δ), for any x and for learned dynamics as well."""
    dynamics = seeded(lambda: Bilinear(4)).double()
    x = normal(2, 4, 6).double()
    between = torch.tensor([0.0, STEP]).double()
    forecast = odeint(lambda _, z: dynamics(z), x, between, method="dopri8", rtol=1e-10, atol=1e-10)[-1]
    assert_close(Flow(dynamics, STEP, substeps=4)(x)[..., 1:], forecast[..., :-1], rtol=0, atol=1e-8)


def test_a_change_acts_on_the_next_time_alone() -> None:
    """A change of the state at one time changes Φ(x) only at the next time."""
    prior, x = Flow(Lorenz96(), STEP), normal(1, 1, 6, 5)
    changed = x.clone()
    changed[..., 2] += 1
    differs = (prior(x) != prior(changed)).any(2)[0, 0]
    assert differs.tolist() == [False, False, False, True, False]


def test_the_first_time_is_kept() -> None:
    """The first time is unchanged and does not contribute to the prior term."""
    prior, x = Flow(Lorenz96(), STEP), normal(1, 1, 6, 5)
    assert torch.equal(prior(x)[..., 0], x[..., 0])
    lonely = x[..., :1]
    cost = VariationalCost(prior).given(lonely, torch.zeros_like(lonely, dtype=torch.bool))
    assert cost(lonely).tolist() == [0.0]


@pytest.mark.parametrize(("step", "substeps"), [(0.0, 1), (-0.1, 1), (0.1, 0)])
def test_steps_that_are_not_positive_are_refused(step: float, substeps: int) -> None:
    """The message states what was given and what was expected."""
    with pytest.raises(ValueError, match="expected both above 0"):
        Flow(Lorenz96(), step, substeps)
