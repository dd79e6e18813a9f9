"""Tests of chains: the contract, results never worse than the first solver, and restarts."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from variational.problems import double, short_window

from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.base import Solution, Solver, Watch, solution
from da4dvar.variational.solvers.chain import Chain
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt


@pytest.fixture
def problem():
    """Short Lorenz-96 series, and a start close to the truth."""
    cost, truth = short_window(series=3)
    return cost, truth + double(*truth.shape)


def test_is_never_worse_than_its_first_solver(problem):
    """Levenberg-Marquardt lowers the cost further, restarts never raise it; iterations add up."""
    cost, start = problem
    first, second = GradientDescent(1e-3, iterations=20), LevenbergMarquardt(iterations=10, ladder=(0.1, 1.0))
    with torch.no_grad():
        alone, both = first(cost, start), Chain(first, second)(cost, start)
    assert (cost(both.x) <= cost(alone.x)).all()
    assert both.iterations == 30
    assert_close(both.cost[:21], alone.cost)
    cost, start = problem
    first, second = GradientDescent(1e-3, iterations=5), LevenbergMarquardt(iterations=4, ladder=(1.0,))
    with torch.no_grad():
        costs = [cost(Chain(first, second, restarts=n, accept=1e-9)(cost, start).x) for n in (0, 1, 3)]
    assert (costs[1] <= costs[0]).all()
    assert (costs[2] <= costs[1]).all()
    chain = Chain(GradientDescent(1e-3, iterations=3), LevenbergMarquardt(iterations=5))
    chain.first.iterations = 7
    assert chain.iterations == 12


@pytest.mark.parametrize("given", ["cost", "weights"])
def test_may_end_on_another_cost(problem, given):
    """The second solver minimises the `cost` of the chain, or the given cost with other weights."""
    cost, start = problem
    strict = VariationalCost(Flow(Lorenz96(), 0.05), observation_weight=0.5, prior_weight=1e5).double()
    arguments = {"cost": strict} if given == "cost" else {"weights": (0.5, 1e5)}
    chain = Chain(GradientDescent(1e-3, iterations=5), LevenbergMarquardt(ladder=(1e-2, 1.0)), **arguments)
    with torch.no_grad():
        found = chain(cost, start)
    other = strict.given(cost.y, cost.mask)
    assert_close(found.cost[-1], other(found.x))
    assert (other.terms(found.x).prior < 0.01 * other.terms(start).prior).all()


class Lucky(Solver):
    """A solver that fails on given observations and finds the minimum for any others."""

    iterations = 1

    def __init__(self, fails_on: Tensor, target: Tensor) -> None:
        super().__init__()
        self.fails_on, self.target, self.solved = fails_on, target, []

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        self.solved.append(len(x0))
        unchanged = torch.stack([bool((y == self.fails_on).flatten(1).all(1).any()) * x0[0] for y in cost.y])
        x = torch.where(unchanged != 0, 9.0, cost.y)
        return solution(x, [cost.terms(x0), cost.terms(x)])


class Stay(Solver):
    """A solver that returns x(0)."""

    iterations = 1

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        return solution(x0, [cost.terms(x0), cost.terms(x0)])


def test_restarts_only_what_is_not_accepted():
    """Only samples whose U per observation is too high are restarted."""
    y, mask = torch.zeros(3, 1, 4), torch.ones(3, 1, 4) > 0
    y[1] = 1.0
    cost = VariationalCost(torch.nn.Identity()).given(y, mask)
    lucky = Lucky(fails_on=y[1:2], target=y)
    chain = Chain(lucky, Stay(), restarts=3, accept=10.0, perturbation=0.1)
    with torch.no_grad():
        found = chain(cost, torch.ones(3, 1, 4))
    assert lucky.solved == [3, 1]
    assert (found.cost[-1] <= 10.0 * 4).all()
    assert_close(found.cost[-1], cost(found.x))
