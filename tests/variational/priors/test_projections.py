"""Tests of the priors that project on few numbers: the dense autoencoder and principal components."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from da4dvar.testing import normal, seeded
from da4dvar.variational.priors.autoencoder import DenseAutoencoder
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.priors.projection import learn_projection


def test_all_passes_through_the_code():
    """The rank of the Jacobian of Φ is at most the size of the code; a divergent training is refused."""
    prior = seeded(lambda: DenseAutoencoder(1, [30], encoder=(20, 4), decoder=(15,))).double()
    jacobian = torch.func.jacrev(prior)(normal(1, 1, 30).double())
    assert torch.linalg.matrix_rank(jacobian.reshape(30, 30), rtol=1e-10) == 4
    assert (prior.encode(normal(50, 30).double()) < 0).any()
    prior = seeded(lambda: DenseAutoencoder(1, [4], encoder=[2], decoder=[]))
    with pytest.raises(ValueError, match="not finite; use a lower learning rate"):
        learn_projection(prior, [torch.full((2, 1, 4), 1e30)] * 3, steps=3, rate=0.1)


def test_a_linear_one_learns_the_principal_components():
    """Without hidden layers, training approaches the error of PCA, which is the minimum."""
    x = normal(64, 1, 10) * torch.logspace(0.5, -1.5, 10)
    prior = seeded(lambda: DenseAutoencoder(1, [10], encoder=[3], decoder=[]))
    reached = learn_projection(prior, [x] * 800, steps=800, rate=0.03)
    left = torch.linalg.svdvals(x.flatten(1) - x.flatten(1).mean(0))[3:].square().sum() / x.numel()
    assert reached == pytest.approx(float(left.sqrt()), rel=0.1)


def states(seed: int = 0) -> torch.Tensor:
    """Forty states of 2 channels on 3 × 4 cells, with unequal variances."""
    return normal(40, 2, 3, 4, seed=seed) * torch.arange(1.0, 25).reshape(2, 3, 4) + 5


def test_it_is_the_projection_on_the_leading_singular_vectors():
    """The residual is that of an SVD, Φ is idempotent, the identity of all components, and knows its fit."""
    x = states()
    prior = PCA(2, (3, 4), components=5).fit(x)
    values = np.linalg.svd((x - x.mean(0)).flatten(1).double().numpy(), compute_uv=False)
    left = float((x - prior(x)).square().sum())
    assert left == pytest.approx((values[5:] ** 2).sum(), rel=1e-4)
    assert_close(prior(prior(x)), prior(x), rtol=1e-4, atol=1e-4)
    assert_close(PCA(2, (3, 4), components=24).fit(x)(x), x, rtol=1e-4, atol=1e-3)
    prior, other = PCA(2, (3, 4), components=2), PCA(2, (3, 4), components=2)
    assert not prior.fitted
    other.load_state_dict(prior.fit(states()).state_dict())
    assert other.fitted
    assert not list(prior.parameters())
