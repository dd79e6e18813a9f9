"""Tests of principal components as a prior, the best projection of its rank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from da4dvar.testing import normal
from da4dvar.variational.priors.pca import PCA


def states(seed: int = 0) -> torch.Tensor:
    """Forty states of 2 channels on 3 × 4 cells, with unequal variances."""
    return normal(40, 2, 3, 4, seed=seed) * torch.arange(1.0, 25).reshape(2, 3, 4) + 5


def test_it_is_the_projection_on_the_leading_singular_vectors():
    """The residual is that of a singular value decomposition, and Φ is idempotent."""
    x = states()
    prior = PCA(2, (3, 4), components=5).fit(x)
    values = np.linalg.svd((x - x.mean(0)).flatten(1).double().numpy(), compute_uv=False)
    left = float((x - prior(x)).square().sum())
    assert left == pytest.approx((values[5:] ** 2).sum(), rel=1e-4)
    assert_close(prior(prior(x)), prior(x), rtol=1e-4, atol=1e-4)


def test_all_components_leave_nothing():
    """With as many components as the size of a state, Φ is the identity."""
    x = states()
    assert_close(PCA(2, (3, 4), components=24).fit(x)(x), x, rtol=1e-4, atol=1e-3)


def test_it_knows_whether_it_was_fitted():
    """`fitted` is correct, also after the state dict is loaded."""
    prior, other = PCA(2, (3, 4), components=2), PCA(2, (3, 4), components=2)
    assert not prior.fitted
    other.load_state_dict(prior.fit(states()).state_dict())
    assert other.fitted
    assert not list(prior.parameters())
