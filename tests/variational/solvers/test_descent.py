"""Tests of gradient descent, conjugate gradients and fixed-point iterations against closed forms."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, cg
from torch import nn
from torch.testing import assert_close
from variational.problems import Linear, domain, double

from da4dvar.testing import normal
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.solvers.conjugate_gradient import ConjugateGradient
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent


def quadratic(batch: int = 3, cells: int = 8) -> tuple[Cost, np.ndarray, float]:
    """A cost with Φ(x) = P x, its minimum, shape (batch, cells), and a sufficiently short step."""
    p = np.eye(cells, k=1) * 0.9
    model = VariationalCost(Linear(p), prior_weight=2.0).double()
    y, mask = double(batch, 1, cells), domain(batch, 1, cells)
    one, weight = model.log_weights.exp().tolist()
    r = np.eye(cells) - p
    normal_matrices = [one * np.diag(m.double()) + weight * r.T @ r for m in mask[:, 0]]
    right = torch.where(mask, y, 0.0)[:, 0].numpy()
    minimum = np.stack([np.linalg.solve(n, one * b) for n, b in zip(normal_matrices, right, strict=True)])
    steepest = max(np.linalg.eigvalsh(2 * n)[-1] for n in normal_matrices)
    return model.given(y, mask), minimum, 1 / steepest


@pytest.mark.parametrize("keep", ["last", "best"])
def test_converges_to_the_minimum(keep):
    """For a linear prior, every sample converges to the solution of its normal equations."""
    cost, minimum, step = quadratic()
    with torch.no_grad():
        solution = GradientDescent(step, iterations=3000, keep=keep)(cost, torch.zeros(3, 1, 8).double())
    assert_close(solution.x[:, 0], torch.as_tensor(minimum), rtol=0, atol=1e-6)
    assert (solution.cost.diff(dim=0) <= 1e-12).all()


def test_a_step_is_along_the_gradient():
    """x(1) = x(0) − s ∇U(x(0)), and the terms are those at x(0) and x(1)."""
    cost, _, _ = quadratic()
    x0 = double(3, 1, 8, seed=2)
    solution = GradientDescent(0.03, iterations=1)(cost, x0)
    gradient, before = cost.gradient(x0)
    assert_close(solution.x, x0 - 0.03 * gradient)
    after = cost.terms(solution.x)
    assert_close(solution.observation, torch.stack([before.observation, after.observation]))
    assert_close(solution.prior, torch.stack([before.prior, after.prior]))


def test_best_survives_a_step_that_is_too_long():
    """If the descent diverges, the best iterate is finite and better than the start."""
    cost, _, step = quadratic()
    x0 = double(3, 1, 8, seed=2)
    with torch.no_grad():
        last = GradientDescent(50 * step, iterations=500)(cost, x0)
        best = GradientDescent(50 * step, iterations=500, keep="best")(cost, x0)
    assert not last.x.isfinite().all()
    assert best.x.isfinite().all()
    reached = best.cost.nan_to_num(torch.inf).amin(0)
    assert_close(cost(best.x), reached)
    assert (cost(best.x) <= cost(x0)).all()


def test_each_sample_has_its_own_end():
    """A sample keeps its best iterate, and is not updated after it has converged, or at the minimum."""
    model = VariationalCost(Linear(np.zeros((4, 4), dtype="float32")))
    mask = torch.tensor([True, False]).reshape(2, 1, 1).expand(2, 1, 4)
    x0 = normal(2, 1, 4)
    with torch.no_grad():  # U is 2‖x‖² and ‖x‖²: a step multiplies x by −1.8 and by −0.4
        solution = GradientDescent(0.7, iterations=20, keep="best")(model.given(0 * x0, mask), x0)
    assert torch.equal(solution.x[0], x0[0])
    assert_close(solution.x[1], torch.zeros(1, 4), rtol=0, atol=1e-6)
    mask = torch.ones(2, 1, 4, dtype=torch.bool)
    cost = VariationalCost(nn.Identity()).given(double(2, 1, 4), mask)
    start = torch.stack([cost.y[0], double(1, 4, seed=2)])  # the first is at its minimum
    with torch.no_grad():
        solution = GradientDescent(0.1, iterations=5, tolerance=1e-3)(cost, start)
    assert solution.converged.tolist() == [True, False]
    assert torch.equal(solution.x[0], start[0])
    assert solution.iterations == 5
    cost = VariationalCost(nn.Identity()).given(normal(2, 1, 4), torch.ones(2, 1, 4, dtype=torch.bool))
    with torch.no_grad():
        solution = GradientDescent(0.1, iterations=5)(cost, cost.y)
    assert (solution.iterations, len(solution.cost)) == (0, 1)
    assert solution.converged.all()
    assert torch.equal(solution.x, cost.y)


def test_tolerance_bounds_the_gradient():
    """A sample is converged if its gradient norm is at most `tolerance` times the first."""
    cost, _, step = quadratic()
    x0 = double(3, 1, 8, seed=2) * torch.tensor([1e-3, 1.0, 1e3]).double().reshape(3, 1, 1)
    with torch.no_grad():
        solution = GradientDescent(step, iterations=3000, tolerance=1e-2)(cost, x0)
        first, last = (cost.gradient(x)[0].flatten(1).norm(dim=1) for x in (x0, solution.x))
    assert solution.converged.all()
    assert (last <= 1e-2 * first).all()
    assert (last >= 1e-3 * first).all()
    assert solution.iterations < 3000


def test_reaches_the_minimum_of_a_quadratic_in_as_many_steps_as_cells():
    """For a linear prior, eight cells need eight iterations; for others, U does not increase."""
    cost, minimum, _ = quadratic()
    with torch.no_grad():
        found = ConjugateGradient(iterations=8, tolerance=0.0)(cost, torch.zeros(3, 1, 8).double())
    assert_close(found.x[:, 0], torch.as_tensor(minimum), rtol=0, atol=1e-6)
    model = VariationalCost(lambda x: torch.sin(2 * x) + 0.1 * x**2).double()
    cost = model.given(double(4, 1, 9), domain(4, 1, 9))
    with torch.no_grad():
        found = ConjugateGradient(iterations=30)(cost, 3 * double(4, 1, 9, seed=2))
    assert (found.cost.diff(dim=0) <= 1e-12).all()


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


def test_finds_the_member_of_a_subspace_that_was_observed():
    """If Φ projects on a subspace, its observed element is recovered; on Ω, x equals y."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 3)))[0]
    truth = torch.as_tensor(basis @ np.array([1.0, -2.0, 0.5])).reshape(1, 1, 12)
    mask = domain(1, 1, 12)
    cost = VariationalCost(Linear(basis @ basis.T)).double().given(truth, mask)
    found = FixedPoint(iterations=3000, tolerance=1e-12)(cost, torch.zeros_like(truth))
    assert found.converged.all()
    assert_close(found.x, truth, rtol=0, atol=1e-8)
    y, mask = double(2, 1, 7), domain(2, 1, 7)
    cost = VariationalCost(Linear(0.5 * np.eye(7))).double().given(y, mask)
    found = FixedPoint(iterations=2)(cost, torch.zeros_like(y))
    assert torch.equal(found.x[mask], y[mask])
