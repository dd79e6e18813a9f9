"""The background term of U and the fixed-lag smoother, against a Kalman smoother of a linear system."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from variational.problems import double

from da4dvar.simulate import lorenz96
from da4dvar.variational.background import Background
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.cycle import Cycle
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.block_tridiagonal import draws_block_tridiagonal, inverse_block_tridiagonal
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal, MatrixFree

N, TIMES, OBSERVED, PRIOR = 3, 12, 1 / 0.7**2, 1 / 0.2**2


class Linear(nn.Module):
    """dx/dt = A x for states of shape ``(batch, 1, component, time)``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "a", torch.tensor([[-0.1, 1.0, 0.0], [-1.0, -0.1, 0.3], [0.2, 0.0, 0.1]]).double()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ij,bcjt->bcit", self.a.to(x.dtype), x)


def linear_cost() -> VariationalCost:
    """U of the linear system, with gaussian errors."""
    return VariationalCost(Flow(Linear(), step=0.4), observation_weight=OBSERVED, prior_weight=PRIOR)


def background(batch: int = 2) -> Background:
    """A background with correlated errors."""
    factor = double(batch, N, N, seed=5)
    return Background(double(batch, 1, N, seed=6), factor @ factor.mT + torch.eye(N))


def observations(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations of some components; nothing at times 4 and 5."""
    mask = double(batch, 1, N, TIMES, seed=7) > -0.3
    mask[..., 4:6] = False
    return 2 * double(batch, 1, N, TIMES, seed=8), mask


def kalman(known: Background, y: np.ndarray, mask: np.ndarray, matrix: np.ndarray, k: int, last: int):
    """Mean and covariance of every state up to the time `last`, given the observations up to it."""
    m, c = known.mean[k].flatten().numpy(), known.covariance[k].numpy()
    before, after = [], []
    for t in range(last + 1):
        if t:
            m, c = matrix @ m, matrix @ c @ matrix.T + np.eye(N) / PRIOR
        before.append((m, c))
        h = np.eye(N)[mask[:, t]]
        gain = c @ h.T @ np.linalg.inv(h @ c @ h.T + np.eye(len(h)) / OBSERVED)
        m, c = m + gain @ (y[mask[:, t], t] - h @ m), c - gain @ h @ c
        after.append((m, c))
    for t in range(last - 1, -1, -1):
        gain = after[t][1] @ matrix.T @ np.linalg.inv(before[t + 1][1])
        m = after[t][0] + gain @ (after[t + 1][0] - before[t + 1][0])
        after[t] = (m, after[t][1] + gain @ (after[t + 1][1] - before[t + 1][1]) @ gain.T)
    return after


@pytest.mark.parametrize("lag", [0, 3, 20])
def test_agrees_with_a_kalman_smoother(lag):
    """Every state of every window, and its covariance, is that of a Kalman smoother of all observations."""
    cost, known, (y, mask) = linear_cost(), background(), observations()
    matrix = cost.prior.forecast(torch.eye(N).double().reshape(1, 1, N, N))[0, 0].numpy()
    cycle = Cycle(cost, lag, y[..., 0])
    cycle.solver = LevenbergMarquardt(20, (1.0,), tolerance=0.0)
    window = cycle.begun(known)
    for t in range(TIMES):
        window = cycle.advanced(window, y[..., t], mask[..., t])
        assert window.times == min(t, lag) + 1
        covariance = cycle.covariance(window)
        for k in range(len(y)):
            expected = kalman(known, y[k, 0].numpy(), mask[k, 0].numpy(), matrix, k, t)[-window.times :]
            assert_close(window.x[k, 0].T.numpy(), np.stack([m for m, _ in expected]), rtol=1e-5, atol=1e-6)
            assert_close(covariance[k].numpy(), np.stack([c for _, c in expected]), rtol=1e-6, atol=1e-8)


def test_the_background_is_a_term_of_the_cost():
    """U grows by (x − x_b)ᵀ B⁻¹ (x − x_b), its gradient by twice B⁻¹ (x − x_b), at the first time only."""
    cost, known, (y, mask) = linear_cost(), background(), observations()
    x = double(2, 1, N, TIMES, seed=9)
    plain, given = cost.given(y, mask), cost.given(y, mask, background=known)
    departure = (x[..., 0] - known.mean).flatten(1)
    pulled = torch.linalg.solve(known.covariance, departure)
    assert_close(given(x) - plain(x), (departure * pulled).sum(1))
    with torch.no_grad():
        difference = given.gradient(x)[0] - plain.gradient(x)[0]
    assert_close(difference[..., 0].flatten(1), 2 * pulled)
    assert_close(difference[..., 1:], torch.zeros_like(difference[..., 1:]), rtol=0, atol=1e-10)
    one = given.part(torch.tensor([1]))
    assert_close(one(x[1:]), given(x)[1:])


def test_every_solver_of_the_cost_sees_the_background():
    """Gradient descent, both normal equations and their exact minimum agree."""
    cost, known, (y, mask) = linear_cost(), background(), observations()
    given, start = cost.given(y, mask, background=known), torch.zeros_like(y)
    direct = LevenbergMarquardt(iterations=20, ladder=(1.0,), tolerance=0)(given, start).x
    with torch.no_grad():
        assert_close(given.gradient(direct)[0], torch.zeros_like(direct), rtol=0, atol=1e-5)
        descended = GradientDescent(step=0.004, iterations=4000)(given, start).x
        (found,) = MatrixFree(given, inner=200, tolerance=1e-10).candidates(
            start, 1.0, torch.zeros(2).double()
        )
    assert_close(descended, direct, rtol=1e-4, atol=1e-4)
    assert_close(found, direct, rtol=1e-5, atol=1e-5)


def test_the_blocks_of_the_inverse_are_those_of_the_dense_inverse():
    """The Laplace covariance is the inverse of the Hessian of U / 2, and NaN for an indefinite matrix."""
    cost, known, (y, mask) = linear_cost(), background(), observations()
    given, x = cost.given(y, mask, background=known), double(2, 1, N, TIMES)
    found = BlockTridiagonal(given, cost.prior, known).covariance(x)
    for k in range(2):
        one = given.part(torch.tensor([k]))
        hessian = torch.autograd.functional.hessian(lambda v, one=one: one(v).sum(), x[k : k + 1])
        # Sorted by time, then by component.
        dense = torch.linalg.inv(
            hessian.reshape(N, TIMES, N, TIMES).permute(1, 0, 3, 2).flatten(0, 1).flatten(1) / 2
        )
        blocks = torch.stack([dense[t * N : (t + 1) * N, t * N : (t + 1) * N] for t in range(TIMES)])
        assert_close(found[k], blocks)
        # A draw is linear in the noise, so that its root times the transpose of the root is the covariance.
        unit = torch.eye(N * TIMES).double().reshape(N * TIMES, 1, N, TIMES)
        draw = BlockTridiagonal(one, cost.prior, known[torch.tensor([k])]).draws(x[k : k + 1])
        root = torch.cat([draw(noise[None]) for noise in unit]).movedim(-1, 1).flatten(1).T
        assert_close(root @ root.T, dense)
    indefinite = -torch.ones(1, 2, 1), torch.zeros(1, 1, 1, 1), 1.0
    assert inverse_block_tridiagonal(*indefinite).isnan().all()
    assert draws_block_tridiagonal(*indefinite)(torch.ones(1, 2, 1)).isnan().all()


def twin(every: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Truth and observations of variance 1 of two series of Lorenz-96, ``(batch, 1, component, time)``."""
    ds = lorenz96(2, steps, seed=11, every=every, number=40, noise_variance=1.0)
    series = (ds[n].transpose("series", "component", "time").values for n in ("x", "x_observed"))
    truth, y = (torch.from_numpy(values).double()[:, None] for values in series)
    return truth, y


def run(every: int, steps: int, samples: slice = slice(None), **options) -> torch.Tensor:
    """Errors of the filter, ``(batch, 1, component, time)``."""
    truth, y = twin(every, steps)
    truth, y = truth[samples], y[samples]
    cost = VariationalCost(Flow(Lorenz96(), 0.05), prior_weight=1e5)
    cycle = Cycle(cost, 20, y[..., 0], **options)
    window, found = cycle.begun(Background.isotropic(2.3 + 0 * y[:, :, :, 0].nan_to_num(), 3.6)), []
    with torch.no_grad():
        for t in range(steps):
            window = cycle.advanced(window, y[..., t], y[..., t].isfinite())
            found.append(window.x[..., -1])
    return torch.stack(found, -1) - truth


def test_the_background_makes_the_filter_better_than_one_without_memory():
    """With all components observed, B that follows the flow beats a B that is always the same."""
    follows, static = run(2, 60), run(2, 60, static=1.0)
    assert follows[..., 30:].square().mean() < 0.7 * static[..., 30:].square().mean()


def test_a_sample_does_not_depend_on_the_others():
    """Alone, a series has the same analysis."""
    assert_close(run(4, 30, slice(1, 2)), run(4, 30)[1:], rtol=1e-8, atol=1e-8)


def test_an_unlikely_cost_starts_again():
    """A sample whose U remains far too high is solved from the start that `restart` gives."""
    truth, y = twin(4, 9)
    asked = []

    def restart(cost: Cost) -> torch.Tensor:
        asked.append(len(cost.y))
        return truth[:1, ..., : cost.y.shape[-1]]

    cost = VariationalCost(Flow(Lorenz96(), 0.05), observation_weight=1.0, prior_weight=1e5)
    cycle = Cycle(cost, 20, y[:1, ..., 0], restart=restart)
    window = cycle.begun(Background.isotropic(2.3 + 0 * truth[:1, :, :, 0], 3.6))
    y[:1, ..., 8] = -y[:1, ..., 8]
    with torch.no_grad():
        for t in range(9):
            window = cycle.advanced(window, y[:1, ..., t], y[:1, ..., t].isfinite())
    assert asked == [1]
