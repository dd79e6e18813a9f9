"""Tests of Lorenz-63 against its equations and fixed points."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from variational.problems import double

from da4dvar.variational.dynamics.lorenz63 import Lorenz63

NUMBERS = st.floats(-50, 50)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_tendency_is_that_of_the_equations(
    x: float, y: float, z: float, sigma: float, rho: float, beta: float
) -> None:
    """The tendency is σ(y − x), x(ρ − z) − y, xy − βz."""
    expected = torch.tensor([sigma * (y - x), x * (rho - z) - y, x * y - beta * z], dtype=torch.float64)
    state = torch.tensor([x, y, z], dtype=torch.float64)
    assert_close(Lorenz63(sigma, rho, beta, axis=-1)(state), expected)


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_fixed_points_stand_still(side: int) -> None:
    """The tendency is zero at the origin and at the centres of both wings of the attractor."""
    x = side * math.sqrt(8 / 3 * 27)
    point = torch.tensor([x, x, 27.0 * abs(side)], dtype=torch.float64)
    assert_close(Lorenz63(axis=-1)(point), torch.zeros(3).double(), rtol=0, atol=1e-12)


def test_times_and_samples_are_independent() -> None:
    """Components are along the second-last axis by default; other axes are independent."""
    x = double(2, 3, 4)
    tendency = Lorenz63()(x)
    for sample in range(2):
        for time in range(4):
            assert_close(tendency[sample, :, time], Lorenz63(axis=-1)(x[sample, :, time]))
