"""Tests of Lorenz-96 against its equation and its conserved quantities."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from variational.problems import double

from da4dvar.variational.dynamics.lorenz96 import Lorenz96

NUMBERS = st.floats(-20, 20)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=4, max_size=12), NUMBERS)
def test_tendency_is_that_of_the_equation(x: list[float], forcing: float) -> None:
    """The tendency is (xⱼ₊₁ − xⱼ₋₂) xⱼ₋₁ − xⱼ + F, with indices modulo J."""
    n = len(x)
    expected = [(x[(j + 1) % n] - x[j - 2]) * x[j - 1] - x[j] + forcing for j in range(n)]
    tendency = Lorenz96(forcing, axis=-1)(torch.tensor(x, dtype=torch.float64))
    assert_close(tendency, torch.tensor(expected, dtype=torch.float64))


def test_times_and_samples_are_independent() -> None:
    """Components are along the second-last axis by default; other axes are independent."""
    x = double(2, 1, 6, 4)
    tendency = Lorenz96()(x)
    for sample in range(2):
        for time in range(4):
            alone = Lorenz96(axis=-1)(x[sample, 0, :, time])
            assert_close(tendency[sample, 0, :, time], alone)


def test_advection_conserves_energy() -> None:
    """The advection does not contribute to Σ xⱼ dxⱼ/dt."""
    x = double(3, 40)
    given = (x * Lorenz96(8.0, axis=-1)(x)).sum(-1)
    assert_close(given, (8.0 * x - x.square()).sum(-1))


def test_all_components_obey_one_law() -> None:
    """A shift of the state shifts the tendency."""
    x, dynamics = double(2, 9), Lorenz96(axis=-1)
    assert_close(dynamics(torch.roll(x, 4, -1)), torch.roll(dynamics(x), 4, -1))
