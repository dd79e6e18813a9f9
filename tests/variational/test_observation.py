"""Tests of the observation operators against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from da4dvar.testing import normal
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.observation import LearnedOperator, LinearOperator

MIXTURE = [[0.5, 0.5, 0.0], [0.0, -1.0, 2.0]]


@pytest.mark.parametrize("space", [(5,), (4, 5), (3, 4, 5)])
def test_linear_operator_mixes_the_channels(space):
    """H(x) = A x in every cell, in 1, 2 and 3 dimensions."""
    x = normal(2, 3, *space).double()
    expected = np.stack([np.tensordot(MIXTURE, sample, 1) for sample in x.numpy()])
    assert_close(LinearOperator(MIXTURE).double()(x), torch.as_tensor(expected))


def test_linear_operator_travels_in_the_state_dict():
    """The matrix is stored with the weights but not learned."""
    kept = LinearOperator(MIXTURE)
    other = LinearOperator(torch.zeros(2, 3))
    other.load_state_dict(kept.state_dict())
    assert_close(other(normal(1, 3, 4)), kept(normal(1, 3, 4)))
    assert not list(kept.parameters())


def test_learned_operator_is_learned():
    """From smoothed observations of known states, H learns the kernel of the instrument."""
    states = normal(16, 1, 12)
    seen = (torch.roll(states, 1, -1) + states + torch.roll(states, -1, -1)) / 3
    cost = VariationalCost(torch.nn.Identity(), LearnedOperator(1, ("periodic",)))
    optimiser = torch.optim.Adam(cost.observation.parameters(), lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        cost.given(seen, torch.ones_like(seen, dtype=torch.bool))(states).sum().backward()
        optimiser.step()
    weight = cost.observation.smear.convolution.weight.detach()
    assert_close(weight, torch.full((1, 1, 3), 1 / 3), rtol=0, atol=0.01)
