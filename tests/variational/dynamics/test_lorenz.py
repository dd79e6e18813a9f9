"""Tests of the systems of Lorenz, of the Runge-Kutta step, and of the flow of an ODE as a prior."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close
from torchdiffeq import odeint
from variational.problems import double, trajectory

from da4dvar.testing import normal, seeded
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.dynamics.rk4 import rk4
from da4dvar.variational.priors.flow import Flow

NUMBERS = st.floats(-50, 50)


@settings(deadline=None)
@given(st.tuples(*[NUMBERS] * 3), st.tuples(*[NUMBERS] * 3), st.booleans())
def test_lorenz63_is_its_equations(state, parameters, learn):
    """The tendency is σ(y − x), x(ρ − z) − y, xy − βz, with learned parameters too."""
    (x, y, z), (sigma, rho, beta) = state, parameters
    expected = torch.tensor([sigma * (y - x), x * (rho - z) - y, x * y - beta * z], dtype=torch.float64)
    found = Lorenz63(*parameters, axis=-1, learn=learn)(torch.tensor(state, dtype=torch.float64))
    assert_close(found.detach(), expected)


@settings(deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=4, max_size=12), st.floats(-20, 20))
def test_lorenz96_is_its_equation(x, forcing):
    """The tendency is (xⱼ₊₁ − xⱼ₋₂) xⱼ₋₁ − xⱼ + F, with indices modulo J."""
    n = len(x)
    expected = [(x[(j + 1) % n] - x[j - 2]) * x[j - 1] - x[j] + forcing for j in range(n)]
    tendency = Lorenz96(forcing, axis=-1)(torch.tensor(x, dtype=torch.float64))
    assert_close(tendency, torch.tensor(expected, dtype=torch.float64))


def test_linear_system_gives_the_taylor_polynomial():
    """For dx/dt = A x, a step is 1 + hA + ... + (hA)⁴/24 up to rounding."""
    a, x, h = double(4, 4), double(4, 1, seed=1), 0.3
    expected = sum(torch.linalg.matrix_power(h * a, n) / np.prod(range(1, n + 1)) for n in range(5)) @ x
    assert_close(rk4(lambda x: a @ x, x, h), expected)


def test_error_falls_with_the_fourth_power_of_the_step():
    """Halving the step reduces the error on Lorenz-63 sixteenfold, compared with DOP853."""
    start = torch.tensor([1.0, 2.0, 20.0]).double()
    exact = trajectory(Lorenz63(), start, np.array([0.0, 0.4]))[:, -1]
    errors = []
    for steps in (80, 160, 320):
        x = start
        for _ in range(steps):
            x = rk4(Lorenz63(axis=-1), x, 0.4 / steps)
        errors.append(float((x - exact).norm()))
    assert errors[-1] < 1e-6
    assert -np.diff(np.log2(errors)) == pytest.approx(4, abs=0.3)


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
