"""Tests of Levenberg-Marquardt, its block-tridiagonal systems and its Jacobians against dense solvers."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor
from torch.testing import assert_close
from variational.problems import double, short_window

from da4dvar.simulate import lorenz96
from da4dvar.testing import normal
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.block_tridiagonal import solve_block_tridiagonal
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.tangent import SAMPLES, Tangent


def test_block_tridiagonal_agrees_with_a_dense_solve():
    """The solution is that of the dense matrix, and NaN for a sample that is not positive definite."""
    batch, times, n, weight = 3, 6, 4, 0.7
    diagonal, tangent = 1 + double(batch, times, n).square(), double(batch, times - 1, n, n, seed=1)
    jacobian = torch.zeros(batch, (times - 1) * n, times * n).double()
    for t in range(times - 1):
        rows = slice(t * n, (t + 1) * n)
        jacobian[:, rows, (t + 1) * n : (t + 2) * n] = torch.eye(n)
        jacobian[:, rows, rows] = -tangent[:, t]
    # The identity at each time except the first is part of the given diagonal.
    dense = weight * jacobian.mT @ jacobian + torch.diag_embed(diagonal.flatten(1))
    given = diagonal.clone()
    given[:, 1:] += weight
    right = double(batch, times, n, 2, seed=2)
    expected = torch.linalg.solve(dense, right.flatten(1, 2))
    assert_close(solve_block_tridiagonal(given, tangent, weight, right).flatten(1, 2), expected)
    diagonal = torch.ones(2, 3, 2)
    diagonal[0, 1] = -1.0
    found = solve_block_tridiagonal(diagonal, torch.zeros(2, 2, 2, 2), 1.0, torch.ones(2, 3, 2, 1))
    assert found[0].isnan().all()
    assert_close(found[1], torch.ones(3, 2, 1))


def test_agrees_with_a_dense_solve_on_a_short_window():
    """The minimum is that of scipy's dense least squares in float64 from the same start."""
    cost, truth = short_window()
    start = truth + 0.3 * double(*truth.shape)
    found = LevenbergMarquardt(iterations=30, ladder=(1.0,), tolerance=0)(cost, start)
    for k in range(len(truth)):
        one = cost.model.given(cost.y[k : k + 1], cost.mask[k : k + 1])
        root_o, root_p = cost.model.log_weights.double().mul(0.5).exp().tolist()

        def residuals(v: np.ndarray, one: Cost = one, o: float = root_o, p: float = root_p) -> np.ndarray:
            x = torch.as_tensor(v).reshape(1, *truth.shape[1:])
            misfit = torch.where(one.mask, x - one.y, 0.0)
            return torch.cat([o * misfit.flatten(), p * (x - one.prior(x)).flatten()]).numpy()

        dense = least_squares(residuals, start[k].flatten().numpy(), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        assert_close(found.x[k].flatten(), torch.as_tensor(dense.x), rtol=0, atol=1e-5)


def test_reaches_the_closed_form_minimum_of_a_linear_gaussian_cost():
    """For linear dynamics, one undamped step solves the normal equations."""

    class Decay(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -0.5 * x

    model = VariationalCost(Flow(Decay(), 0.1), prior_weight=3.0).double()
    y, mask = double(2, 2, 5), normal(2, 2, 5, seed=3) > 0
    cost = model.given(y, mask)
    found = LevenbergMarquardt(iterations=3, ladder=(1.0,), damping=1e-12)(cost, torch.zeros_like(y))
    assert cost.gradient(found.x)[0].abs().max() < 1e-6


def test_groups_on_several_threads_give_the_same_bits():
    """The solution does not depend on the number of threads, which is kept."""
    cost, truth = short_window(prior_weight=1e4)
    cost = cost.part(torch.arange(len(truth)).repeat(20))
    start = truth.repeat(20, 1, 1, 1) + 0.3 * double(20 * len(truth), *truth.shape[1:])
    before, found = torch.get_num_threads(), {}
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found[threads] = LevenbergMarquardt(iterations=6, ladder=(1e-2, 1.0))(cost, start)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for threads in (2, 3):
        assert torch.equal(found[threads].x, found[1].x)
        assert torch.equal(found[threads].cost, found[1].cost)
    assert (found[1].cost[-1] < found[1].cost[0]).all()


def test_does_not_load_the_compiler_of_the_library():
    """The first Jacobians do not wait for the seconds in which torch loads its compiler."""
    code = (
        "import sys, torch; from da4dvar.variational.dynamics.lorenz96 import Lorenz96; "
        "from da4dvar.variational.priors.flow import Flow; "
        "from da4dvar.variational.solvers.tangent import Tangent; x = torch.ones(1, 8, 3); "
        "Tangent(Flow(Lorenz96(), 0.05), x)(x); print('torch._dynamo' in sys.modules, 'sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("spread", [0.1, 2.0, 30.0])
def test_is_never_worse_than_its_start(spread):
    """U is never higher than at the start, however poor the start."""
    cost, truth = short_window(prior_weight=1e4)
    start = truth + spread * double(*truth.shape)
    found = LevenbergMarquardt(iterations=6, ladder=(1e-3, 1e-1, 1.0))(cost, start)
    assert (cost(found.x) <= cost(start) * (1 + 1e-6)).all()


def test_matrix_free_steps_are_those_of_the_blocks():
    """For a flow, the matrix-free step reaches the same minimum as the block-tridiagonal step."""
    cost, truth = short_window()

    class Hidden(torch.nn.Module):
        flow = Flow(Lorenz96(), 0.05)

        def forward(self, x: Tensor) -> Tensor:
            return self.flow(x)

    hidden = VariationalCost(Hidden(), observation_weight=0.5, prior_weight=50.0).double()
    start = truth + 0.3 * double(*truth.shape)
    blocks = LevenbergMarquardt(iterations=10, ladder=(1.0,), tolerance=0)(cost, start)
    free = LevenbergMarquardt(iterations=10, ladder=(1.0,), tolerance=0, inner=100)(
        hidden.given(cost.y, cost.mask), start
    )
    assert_close(free.x, blocks.x, rtol=0, atol=1e-4)
    assert (free.iterations, len(free.cost)) == (10, 11)


def test_a_background_is_a_term_of_the_first_time():
    """The smaller its error, the closer the first state stays to x(0); the last cost is U alone."""
    cost, truth = short_window()
    start = truth + 0.3 * double(*truth.shape)
    empty = cost.model.given(cost.y, torch.zeros_like(cost.mask))
    found = LevenbergMarquardt(iterations=30, ladder=(1.0,), tolerance=0, background=5.0)(empty, start)
    assert_close(found.x[..., 0], start[..., 0], rtol=0, atol=1e-4)
    assert_close(found.cost[-1], empty(found.x))
    moved = []
    for background in (0.01, 1.0, None):
        found = LevenbergMarquardt(iterations=20, ladder=(1.0,), background=background)(cost, start)
        moved.append(float((found.x - start)[..., 0].abs().mean()))
        assert_close(found.cost[-1], cost(found.x))
    assert moved[0] < 0.01 < moved[1] < moved[2]


def test_mixed_precision_leaves_it_as_it_is():
    """The result is the same under autocast, as the systems are solved in single precision."""
    truth = lorenz96(1, 16, seed=1, components=8, number=4).x.transpose("series", "component", "time")
    y = torch.from_numpy(truth.values).float()[:, None]
    cost = VariationalCost(Flow(Lorenz96(), 0.05), prior_weight=10.0).given(y, y > 2)
    solver = LevenbergMarquardt(iterations=4, ladder=(0.1, 1.0))
    expected = solver(cost, torch.zeros_like(y)).x
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(solver(cost, torch.zeros_like(y)).x, expected, rtol=0, atol=0)


FLOWS = {
    "Lorenz-96": (Flow(Lorenz96(), 0.05), (1, 40), 14),
    "short Lorenz-96": (Flow(Lorenz96(), 0.05), (1, 9), 9),
    "Lorenz-63": (Flow(Lorenz63(), 0.01), (3,), 3),
    "learned": (Flow(Bilinear(6), 0.1), (2, 6), 6),
    "learned, periodic": (Flow(Bilinear(7, reach=2), 0.1), (1, 7), 7),
}


@pytest.mark.parametrize("name", FLOWS)
def test_agrees_with_the_dense_jacobian(name):
    """For each time and sample, the Jacobian is that of torch, with no more directions than needed."""
    flow, shape, directions = FLOWS[name]
    flow = flow.double()
    x = 3 * double(2, *shape, 5)
    tangent = Tangent(flow, x)
    assert len(tangent.directions) <= directions
    forecast, found = tangent(x)
    assert_close(forecast, flow.forecast(x))
    n = tangent.size
    for sample in range(2):
        for time in range(5):
            state = x[sample : sample + 1, ..., time : time + 1]
            dense = torch.autograd.functional.jacobian(flow.forecast, state).reshape(n, n)
            assert_close(found[sample, time], dense)


def test_jacobians_of_many_samples_are_those_of_each():
    """More samples than are computed at a time come out in their order, and none is fine as well."""
    flow = Flow(Lorenz63(), 0.01).double()
    x = 3 * double(2 * SAMPLES + 1, 3, 5)
    tangent = Tangent(flow, x)
    forecast, found = tangent(x)
    assert_close(forecast, flow.forecast(x))
    assert_close(found, torch.cat([tangent(one)[1] for one in x.split(1)]))
    assert tangent(x[:0])[1].shape == (0, *found.shape[1:])
