"""Tests of fixed-point iterations: the contract, and the limit for a projection."""

from __future__ import annotations

import numpy as np
import torch
from torch.testing import assert_close
from variational.problems import Linear, domain, double

from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.solvers.fixed_point import FixedPoint


def test_finds_the_member_of_a_subspace_that_was_observed():
    """If Φ projects on a subspace, partial observations of one of its elements recover that element."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 3)))[0]
    truth = torch.as_tensor(basis @ np.array([1.0, -2.0, 0.5])).reshape(1, 1, 12)
    mask = domain(1, 1, 12)
    cost = VariationalCost(Linear(basis @ basis.T)).double().given(truth, mask)
    found = FixedPoint(iterations=3000, tolerance=1e-12)(cost, torch.zeros_like(truth))
    assert found.converged.all()
    assert_close(found.x, truth, rtol=0, atol=1e-8)


def test_observations_are_kept():
    """On Ω, the estimate equals the observations."""
    y, mask = double(2, 1, 7), domain(2, 1, 7)
    cost = VariationalCost(Linear(0.5 * np.eye(7))).double().given(y, mask)
    found = FixedPoint(iterations=2)(cost, torch.zeros_like(y))
    assert torch.equal(found.x[mask], y[mask])
