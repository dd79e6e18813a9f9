"""Tests of non-linear conjugate gradients: the contract, and the linear method for a quadratic U."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, cg
from torch.testing import assert_close
from variational.problems import Linear, domain, double
from variational.solvers.test_gradient_descent import quadratic

from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient


def test_reaches_the_minimum_of_a_quadratic_in_as_many_steps_as_cells():
    """For a linear prior, eight cells need eight iterations, up to rounding."""
    cost, minimum, _ = quadratic()
    with torch.no_grad():
        found = ConjugateGradient(iterations=8, tolerance=0.0)(cost, torch.zeros(3, 1, 8).double())
    assert_close(found.x[:, 0], torch.as_tensor(minimum), rtol=0, atol=1e-6)


def test_on_a_quadratic_it_is_the_linear_method():
    """For a quadratic U, every iterate is that of scipy's linear method."""
    p = np.eye(8, k=1) * 0.9
    cost = VariationalCost(Linear(p)).double().given(double(1, 1, 8), domain(1, 1, 8))
    zero = torch.zeros(1, 1, 8).double()
    right = -cost.gradient(zero)[0].detach().flatten().numpy()

    def hessian(v: np.ndarray) -> np.ndarray:
        return (
            cost.gradient(torch.as_tensor(v).double().reshape(1, 1, 8))[0].detach().flatten().numpy() + right
        )

    iterates: list[np.ndarray] = []
    cg(LinearOperator((8, 8), hessian), right, rtol=1e-12, callback=lambda v: iterates.append(v.copy()))
    for k in range(1, 5):
        with torch.no_grad():
            found = ConjugateGradient(iterations=k, tolerance=0.0)(cost, zero)
        assert_close(found.x.flatten(), torch.as_tensor(iterates[k - 1]), rtol=0, atol=1e-7)


def test_the_cost_never_rises():
    """U does not increase, even if it is not quadratic."""
    model = VariationalCost(lambda x: torch.sin(2 * x) + 0.1 * x**2).double()
    cost = model.given(double(4, 1, 9), domain(4, 1, 9))
    with torch.no_grad():
        found = ConjugateGradient(iterations=30)(cost, 3 * double(4, 1, 9, seed=2))
    assert (found.cost.diff(dim=0) <= 1e-12).all()
