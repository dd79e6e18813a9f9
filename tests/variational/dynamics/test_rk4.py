"""Tests of the Runge-Kutta step: its order, and its closed form for a linear system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from variational.problems import double, trajectory

from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.rk4 import rk4


def test_linear_system_gives_the_taylor_polynomial() -> None:
    """For dx/dt = A x, a step is 1 + hA + ... + (hA)⁴/24 up to rounding."""
    a, x, h = double(4, 4), double(4, 1, seed=1), 0.3
    polynomial, term = x.clone(), x
    for n in range(1, 5):
        term = h / n * (a @ term)
        polynomial += term
    assert_close(rk4(lambda x: a @ x, x, h), polynomial)


def test_error_falls_with_the_fourth_power_of_the_step() -> None:
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
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(4, abs=0.3)


def test_a_step_and_back_is_nearly_nothing() -> None:
    """A step followed by a negative step returns almost exactly to the start."""
    x = double(3, seed=2)
    there = rk4(Lorenz63(axis=-1), x, 1e-3)
    assert_close(rk4(Lorenz63(axis=-1), there, -1e-3), x, rtol=0, atol=1e-9)
