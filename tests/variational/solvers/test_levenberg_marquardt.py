"""Levenberg-Marquardt: the contract, dense oracles, and the ladder out of local minima."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor
from torch.testing import assert_close
from variational.problems import double

from da4dvar.simulate import lorenz96
from da4dvar.testing import SolverContract, normal
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.block_tridiagonal import solve_block_tridiagonal
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt


class TestLorenz63(SolverContract):
    """Three components, as channels."""

    shape = (3, 12)
    # It is not trained through.
    test_gradients_reach_all_that_is_learned = None

    def make(self) -> LevenbergMarquardt:
        return LevenbergMarquardt(iterations=4, ladder=(0.1, 1.0))

    def make_cost(self) -> VariationalCost:
        return VariationalCost(Flow(Lorenz63(), 0.01))


class TestChain(TestLorenz63):
    """Descent, then Levenberg-Marquardt."""

    # The number of its iterations is that of its solvers.
    test_memory_of_inference_does_not_grow_with_iterations = None

    def make(self) -> Chain:
        return Chain(GradientDescent(1e-3, iterations=3), LevenbergMarquardt(iterations=3, ladder=(1.0,)))


def test_block_tridiagonal_agrees_with_a_dense_solve() -> None:
    """The same system as one large matrix, for each sample."""
    batch, times, n = 3, 6, 4
    factor = torch.zeros(batch, times * n, times * n).double()
    for t in range(times):
        rows = slice(t * n, (t + 1) * n)
        factor[:, rows, max(0, t - 1) * n : (t + 1) * n] = double(batch, n, n * (1 if t == 0 else 2), seed=t)
    dense = factor @ factor.mT + torch.eye(times * n).double()
    blocks = dense.reshape(batch, times, n, times, n).movedim(3, 2)
    index = torch.arange(times)
    diagonal, below = blocks[:, index, index], blocks[:, index[1:], index[:-1]]
    right = double(batch, times, n)
    expected = torch.linalg.solve(dense, right.flatten(1))
    assert_close(solve_block_tridiagonal(diagonal, below, right).flatten(1), expected)


def short_window(series: int = 2, steps: int = 9, prior_weight: float = 50.0) -> tuple[Cost, Tensor]:
    """The cost of short Lorenz-96 series of eight components, and their truth."""
    ds = lorenz96(series, steps, seed=5, components=8, every=2, number=4)
    x, y = (torch.tensor(ds[n].values).double().movedim(1, 2)[:, None] for n in ("x", "x_observed"))
    model = VariationalCost(Flow(Lorenz96(), 0.05), observation_weight=0.5, prior_weight=prior_weight)
    return model.double().given(y, y.isfinite()), x


def test_agrees_with_a_dense_solve_on_a_short_window() -> None:
    """scipy's dense least squares in float64 finds the same minimum from the same start."""
    cost, truth = short_window()
    start = truth + 0.3 * double(*truth.shape)
    found = LevenbergMarquardt(iterations=30, ladder=(1.0,))(cost, start)
    for k in range(len(truth)):
        one = cost.model.given(cost.y[k : k + 1], cost.mask[k : k + 1])
        root_o, root_p = cost.model.log_weights.double().mul(0.5).exp().tolist()

        def residuals(v: np.ndarray, one: Cost = one, o: float = root_o, p: float = root_p) -> np.ndarray:
            x = torch.as_tensor(v).reshape(1, *truth.shape[1:])
            misfit = torch.where(one.mask, x - one.y, 0.0)
            return torch.cat([o * misfit.flatten(), p * (x - one.prior(x)).flatten()]).numpy()

        dense = least_squares(residuals, start[k].flatten().numpy(), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        assert_close(found.x[k].flatten(), torch.as_tensor(dense.x), rtol=0, atol=1e-5)


def test_reaches_the_closed_form_minimum_of_a_linear_gaussian_cost() -> None:
    """For linear dynamics one undamped step is the solution of the normal equations."""

    class Decay(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -0.5 * x

    model = VariationalCost(Flow(Decay(), 0.1), prior_weight=3.0).double()
    y, mask = double(2, 2, 5), normal(2, 2, 5, seed=3) > 0
    cost = model.given(y, mask)
    found = LevenbergMarquardt(iterations=3, ladder=(1.0,), damping=1e-12)(cost, torch.zeros_like(y))
    assert cost.gradient(found.x)[0].abs().max() < 1e-6


@pytest.mark.parametrize("spread", [0.1, 2.0, 30.0])
def test_is_never_worse_than_its_start(spread: float) -> None:
    """However bad the start and however far the ladder leads astray, U does not rise."""
    cost, truth = short_window(prior_weight=1e4)
    start = truth + spread * double(*truth.shape)
    found = LevenbergMarquardt(iterations=6, ladder=(1e-3, 1e-1, 1.0))(cost, start)
    assert (cost(found.x) <= cost(start) * (1 + 1e-6)).all()


def test_a_chain_is_never_worse_than_its_first_solver() -> None:
    """Levenberg-Marquardt after gradient descent, on the same cost."""
    cost, truth = short_window()
    start = truth + double(*truth.shape)
    first, second = GradientDescent(1e-3, iterations=20), LevenbergMarquardt(iterations=10, ladder=(0.1, 1.0))
    with torch.no_grad():
        alone, both = first(cost, start), Chain(first, second)(cost, start)
    assert (cost(both.x) <= cost(alone.x)).all()
    assert both.iterations == 30
    assert_close(both.cost[:21], alone.cost)


def test_a_chain_may_end_on_another_cost() -> None:
    """The second solver minimises the cost that the chain was given."""
    cost, truth = short_window()
    strict = VariationalCost(Flow(Lorenz96(), 0.05), observation_weight=0.5, prior_weight=1e5).double()
    start = truth + 0.3 * double(*truth.shape)
    chain = Chain(GradientDescent(1e-3, iterations=5), LevenbergMarquardt(ladder=(1e-2, 1.0)), strict)
    with torch.no_grad():
        found = chain(cost, start)
    other = strict.given(cost.y, cost.mask)
    assert_close(found.cost[-1], other(found.x))
    assert (other.terms(found.x).prior < 0.01 * other.terms(start).prior).all()


def test_another_prior_is_refused() -> None:
    """A prior without the structure of a flow has no block-tridiagonal equations."""
    cost = VariationalCost(torch.nn.Identity()).given(torch.zeros(1, 1, 4), torch.ones(1, 1, 4) > 0)
    with pytest.raises(ValueError, match="needs a flow as prior"):
        LevenbergMarquardt()(cost, torch.zeros(1, 1, 4))
