"""Tests of the dense autoencoder: its contract, its code, and its training alone."""

from __future__ import annotations

import pytest
import torch

from da4dvar.testing import normal, seeded
from da4dvar.variational.priors.autoencoder import DenseAutoencoder
from da4dvar.variational.priors.projection import learn_projection


def test_all_passes_through_the_code():
    """The rank of the Jacobian of Φ is at most the size of the code, and the code is linear."""
    prior = seeded(lambda: DenseAutoencoder(1, [30], encoder=(20, 4), decoder=(15,))).double()
    jacobian = torch.func.jacrev(prior)(normal(1, 1, 30).double())
    assert torch.linalg.matrix_rank(jacobian.reshape(30, 30), rtol=1e-10) == 4
    assert (prior.encode(normal(50, 30).double()) < 0).any()


def test_a_linear_one_learns_the_principal_components():
    """Without hidden layers, training approaches the error of PCA, which is the minimum."""
    x = normal(64, 1, 10) * torch.logspace(0.5, -1.5, 10)
    prior = seeded(lambda: DenseAutoencoder(1, [10], encoder=[3], decoder=[]))
    reached = learn_projection(prior, [x] * 800, steps=800, rate=0.03)
    left = torch.linalg.svdvals(x.flatten(1) - x.flatten(1).mean(0))[3:].square().sum() / x.numel()
    assert reached == pytest.approx(float(left.sqrt()), rel=0.1)


def test_an_error_that_runs_away_is_refused():
    """The message suggests a lower rate."""
    prior = seeded(lambda: DenseAutoencoder(1, [4], encoder=[2], decoder=[]))
    with pytest.raises(ValueError, match="not finite; use a lower learning rate"):
        learn_projection(prior, [torch.full((2, 1, 4), 1e30)] * 3, steps=3, rate=0.1)
