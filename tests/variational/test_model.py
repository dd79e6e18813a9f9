"""Tests of the end-to-end model of a cost and a solver."""

import torch
from torch import Tensor
from torch.testing import assert_close
from variational.problems import domain

from da4dvar.testing import normal, seeded
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.observation import LearnedOperator
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.gradient_descent import GradientDescent
from da4dvar.variational.solvers.lstm import ConvLSTM

BOUNDARY = ("zero", "periodic")


def make_model() -> VariationalModel:
    """A small model in which all parts are learned."""
    cost = VariationalCost(
        UNet(2, BOUNDARY, width=3), LearnedOperator(2, BOUNDARY), "absolute", learn_weights=True
    )
    return VariationalModel(cost, ConvLSTM(2, BOUNDARY, width=4, iterations=3))


def problem() -> tuple[Tensor, Tensor, Tensor]:
    """Return y with NaN outside Ω, Ω and x(0)."""
    mask = domain(3, 2, 4, 6)
    return torch.where(mask, normal(3, 2, 4, 6), torch.nan), mask, torch.zeros(3, 2, 4, 6)


def test_model_is_the_solver_run_on_the_cost():
    """Ψ(x(0), y, Ω) is Γ applied to U(·, y, Ω), after restoring its state and in float64 too."""
    model, (y, mask, x0) = seeded(make_model), problem()
    with torch.no_grad():
        solution, by_hand = model(y, mask, x0), model.solver(model.cost.given(y, mask), x0)
    assert_close((solution.x, solution.cost), (by_hand.x, by_hand.cost))
    other = seeded(make_model, seed=1)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert_close(other(*problem()).x, model(*problem()).x)
    with torch.no_grad():
        single = seeded(make_model)(y, mask, x0).x
        precise = seeded(make_model).double()(y.double(), mask, x0.double()).x
    assert precise.dtype == torch.float64
    assert_close(precise.float(), single, rtol=1e-3, atol=1e-3)


def test_descent_lowers_the_cost_of_a_learned_prior():
    """Plain descent lowers the cost of a learned prior; prior, H, U and Γ all have gradients."""
    model, (y, mask, x0) = seeded(make_model), problem()
    with torch.no_grad():
        solution = VariationalModel(model.cost, GradientDescent(0.01, iterations=10))(y, mask, x0)
    assert (solution.cost[-1] < solution.cost[0]).all()
    model = seeded(make_model)
    model(*problem()).x.square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_a_short_training_reduces_the_error():
    """Sixty updates on half-hidden waves reduce the error well below that of the initial state."""
    model = seeded(
        lambda: VariationalModel(
            VariationalCost(UNet(1, ("periodic",), width=4), learn_weights=True),
            ConvLSTM(1, ("periodic",), width=8, iterations=4),
        )
    )
    cells = torch.arange(16) * 2 * torch.pi / 16
    phases = 6.3 * torch.rand(64, 1, 1, generator=torch.Generator().manual_seed(0))
    truth, mask = torch.sin(cells + phases), domain(64, 1, 16)
    y, x0 = torch.where(mask, truth, torch.nan), torch.zeros(64, 1, 16)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        loss = (model(y[:48], mask[:48], x0[:48]).x - truth[:48]).square().mean()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        estimate = model(y[48:], mask[48:], x0[48:]).x
    hidden = ~mask[48:]
    error = (estimate - truth[48:])[hidden].square().mean() / truth[48:][hidden].square().mean()
    assert error < 0.3
