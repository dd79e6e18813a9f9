"""Tests of the learned solvers: the LSTM cell against torch, its scaling, its inputs; direct regression."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from variational.problems import domain, double

from da4dvar.testing import Neighbour, normal, seeded
from da4dvar.variational.checks import check_channels
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.direct import Direct
from da4dvar.variational.solvers.lstm import ConvLSTM, ConvLSTMCell


def problem(*shape: int, weight: float = 1.0, prior: nn.Module | None = None) -> Cost:
    """A cost for observations of about half the cells, with both terms multiplied by `weight`."""
    model = VariationalCost(prior or Neighbour(), None, "square", weight, weight)
    return model.given(normal(*shape), domain(*shape))


def test_cell_is_that_of_torch():
    """With a kernel of one cell, each cell is an independent LSTM equal to that of torch."""
    cell, oracle = seeded(lambda: ConvLSTMCell(2, 3, 1, ("zero",))), nn.LSTMCell(2, 3)
    enter, forget, leave, value = cell.gates.convolution.weight.detach()[..., 0].chunk(4)
    weight = torch.cat([enter, forget, value, leave])
    oracle.weight_ih.data, oracle.weight_hh.data = weight[:, :2], weight[:, 2:]
    enter, forget, leave, value = cell.gates.convolution.bias.detach().chunk(4)
    oracle.bias_ih.data, oracle.bias_hh.data = torch.cat([enter, forget, value, leave]), torch.zeros(12)
    x, h, c = normal(2, 2, 5), normal(2, 3, 5, seed=1), normal(2, 3, 5, seed=2)
    h_new, c_new = cell(x, h, c)
    for k in range(5):
        assert_close((h_new[..., k], c_new[..., k]), oracle(x[..., k], (h[..., k], c[..., k])))


def test_scales_of_the_gradient():
    """With the rms scale, the units of U have no effect; a learned α is positive and starts at 1."""
    solver, x0 = seeded(lambda: ConvLSTM(1, ("zero",), width=3, iterations=4)), normal(2, 1, 8, seed=2)
    with torch.no_grad():
        one = solver(problem(2, 1, 8), x0)
        hundred = solver(problem(2, 1, 8, weight=100.0), x0)
    assert_close(hundred.x, one.x, rtol=1e-4, atol=1e-4)
    assert_close(hundred.cost, 100 * one.cost, rtol=1e-3, atol=1e-3)
    make = lambda scale: seeded(lambda: ConvLSTM(1, ("zero",), width=3, scale=scale))  # noqa: E731
    learned, x0 = make("learned"), normal(2, 1, 8, seed=2)
    with torch.no_grad():
        one, hundred = learned(problem(2, 1, 8), x0), learned(problem(2, 1, 8, weight=100.0), x0)
        learned.log_alpha.fill_(-torch.tensor(100.0).log())
        undone = learned(problem(2, 1, 8, weight=100.0), x0)
    assert not torch.allclose(one.x, hundred.x, atol=1e-2)
    assert_close(undone.x, one.x, rtol=1e-4, atol=1e-4)
    assert learned.log_alpha.requires_grad
    assert not make("rms").log_alpha.requires_grad


@pytest.mark.parametrize("scale", ["rms", "learned"])
def test_a_sample_without_observation_is_finite(scale):
    """If the first gradient is zero everywhere, estimate and gradients are finite."""
    solver = seeded(lambda: ConvLSTM(1, ("zero",), width=3, iterations=4, scale=scale))
    y, mask = torch.full((2, 1, 8), torch.nan), torch.zeros(2, 1, 8, dtype=torch.bool)
    model = VariationalCost(Neighbour(), learn_weights=True)
    solution = solver(model.given(y, mask), torch.zeros(2, 1, 8))
    solution.x.square().sum().backward()
    assert solution.x.isfinite().all()
    assert all(p.grad.isfinite().all() for p in solver.parameters() if p.requires_grad)


def test_the_last_block_is_padded_with_zeros():
    """Seven cells are treated as eight of which the last has zero gradient and state."""
    solver = seeded(lambda: ConvLSTM(1, ("zero",), width=3, scale="learned", downsampling=2))
    eight, x0 = problem(2, 1, 8, prior=nn.Identity()), normal(2, 1, 8, seed=2)
    eight.mask[..., 7] = False
    seven = eight.model.given(eight.y[..., :7], eight.mask[..., :7])
    with torch.no_grad():
        assert_close(solver(seven, x0[..., :7]).x, solver(eight, x0).x[..., :7])


@pytest.mark.parametrize(("downsampling", "shift"), [(1, 2), (2, 2), ((2, 1), 3), ((1, 4), -4)])
def test_periodic_axes_commute_with_a_shift(downsampling, shift):
    """On a circle, a shift of the observations by whole blocks shifts the estimate."""
    boundary = ("zero", "periodic")
    solver = seeded(lambda: ConvLSTM(1, boundary, width=3, iterations=3, downsampling=downsampling))
    cost, x0 = problem(2, 1, 4, 8), normal(2, 1, 4, 8, seed=2)
    turned = cost.model.given(torch.roll(cost.y, shift, -1), torch.roll(cost.mask, shift, -1))
    with torch.no_grad():
        assert_close(solver(turned, torch.roll(x0, shift, -1)).x, torch.roll(solver(cost, x0).x, shift, -1))


@pytest.mark.parametrize(
    ("downsampling", "reader"), [(1, "cell.gates.convolution.weight"), (2, "down.weight")]
)
@pytest.mark.parametrize("scale", ["rms", "learned"])
def test_terms_with_equal_weights_are_equivalent_to_the_gradient(scale, downsampling, reader):
    """With equal weights for both terms, feeding the terms is equivalent to feeding their sum."""
    options: dict[str, Any] = {"width": 3, "iterations": 3, "scale": scale, "downsampling": downsampling}
    of_sum = seeded(lambda: ConvLSTM(2, ("zero",), **options))
    of_terms = ConvLSTM(2, ("zero",), feed="terms", **options)
    state = of_sum.state_dict()
    state[reader] = torch.cat([state[reader][:, :2], state[reader]], dim=1)
    of_terms.load_state_dict(state)
    cost, x0 = problem(2, 2, 7), normal(2, 2, 7, seed=2)
    with torch.no_grad():
        assert_close(of_terms(cost, x0).x, of_sum(cost, x0).x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("blind_to", "sees_y"), [(0, False), (1, True)])
def test_observations_are_fed_before_the_prior(blind_to, sees_y):
    """The first input is the gradient of the observation term, the second that of the prior term."""
    solver = seeded(lambda: ConvLSTM(1, ("zero",), width=3, scale="learned", feed="terms"))
    solver.cell.gates.convolution.weight.data[:, blind_to] = 0
    cost, x0 = problem(2, 1, 8), normal(2, 1, 8, seed=2)
    other_y = cost.model.given(cost.y + 1, cost.mask)
    other_prior = problem(2, 1, 8, prior=nn.Identity())
    with torch.no_grad():
        x = solver(cost, x0).x
        assert torch.equal(solver(other_y, x0).x, x) != sees_y
        assert torch.equal(solver(other_prior, x0).x, x) == sees_y


def test_the_state_is_seen_when_asked():
    """With a state scale, the update depends on x; the number of iterations can be changed."""
    everywhere = torch.ones(1, 1, 6, dtype=torch.bool)
    model = VariationalCost(nn.Identity())
    updates = {}
    for state_scale in (None, 1.0):
        solver = seeded(lambda s=state_scale: ConvLSTM(1, ("zero",), 3, iterations=1, state_scale=s))
        with torch.no_grad():  # the same misfit, hence the same gradient, around 0 and around 5
            starts = [torch.full((1, 1, 6), at) for at in (0.0, 5.0)]
            updates[state_scale] = [solver(model.given(x + 1, everywhere), x).x - x for x in starts]
    assert torch.allclose(*updates[None], atol=1e-5)
    assert not torch.allclose(*updates[1.0], atol=1e-3)
    solver, x0 = seeded(lambda: ConvLSTM(1, ("zero",), width=3, iterations=2)), normal(2, 1, 8, seed=2)
    with torch.no_grad():
        few = solver(problem(2, 1, 8), x0)
        solver.iterations = 5
        more = solver(problem(2, 1, 8), x0)
    assert (few.iterations, more.iterations) == (2, 5)
    assert_close(more.cost[:3], few.cost)
    assert not more.converged.any()


@pytest.mark.parametrize("fold", [1, 2])
def test_nothing_that_a_network_makes_is_thrown_away(fold):
    """The last layers have as many channels as the state, and each affects the estimate."""
    solver = Direct(2, ("zero",), width=8, iterations=2, fold=fold).double()
    y, mask = double(3, 2, 8), domain(3, 2, 8)
    cost = VariationalCost(UNet(2, ("zero",), width=2)).double().given(y, mask)
    solver(cost, torch.zeros_like(y)).x.square().sum().backward()
    for network in solver.networks:
        for last in (network.fine.project.convolution, network.up):
            assert last.out_channels == 2 * fold
            assert (last.bias.grad != 0).all()


def test_further_inputs_are_not_covariates():
    """y and Ω are inputs of the networks but do not count as covariates."""
    check_channels(Direct(2, ("zero",), width=4, covariates=3), 3)
    check_channels(Direct(2, ("zero",), width=4), 0)
