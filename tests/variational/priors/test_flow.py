"""Tests of the flow of an ODE as a prior, against adaptive integrators of high order."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchdiffeq import odeint
from variational.problems import trajectory

from da4dvar.testing import normal, seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow

STEP = 0.05


def attractor(times: int = 20) -> Tensor:
    """An exact trajectory of Lorenz-96, shape (1, 1, component, time)."""
    start = 8 + normal(8).double()
    settled = trajectory(Lorenz96(axis=-2), start, np.array([0.0, 5.0]))[:, -1]
    return trajectory(Lorenz96(axis=-2), settled, STEP * np.arange(times))[None, None]


def test_an_exact_trajectory_is_a_fixed_point():
    """Φ(x) = x for an exact trajectory, up to the scheme error, which decreases as Δ⁴."""
    x = attractor()
    errors = [float((Flow(Lorenz96(), STEP, substeps=n)(x) - x).abs().max()) for n in (1, 2, 4)]
    assert errors[0] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.25)


def test_each_time_is_forecast_from_the_one_before():
    """Φ(x)(t) is the solution of dopri8 from x(t − Δ), for learned dynamics too; the first time stays."""
    dynamics = seeded(lambda: Bilinear(4)).double()
    x = normal(2, 4, 6).double()
    between = torch.tensor([0.0, STEP]).double()
    forecast = odeint(lambda _, z: dynamics(z), x, between, method="dopri8", rtol=1e-10, atol=1e-10)[-1]
    estimate = Flow(dynamics, STEP, substeps=4)(x)
    assert_close(estimate[..., 1:], forecast[..., :-1], rtol=0, atol=1e-8)
    assert torch.equal(estimate[..., 0], x[..., 0])
    assert torch.equal(Flow(dynamics, STEP)(x[..., :1]), x[..., :1])
