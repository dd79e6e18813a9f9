"""Tests of the observation operators and of several observations of one state, against closed forms."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from variational.problems import BOUNDARIES, Linear, central_differences, domain, double

from da4dvar.testing import normal
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.observation import Identity, LearnedOperator, LinearOperator, Sensors
from da4dvar.variational.solvers.levenberg_marquardt import LevenbergMarquardt

MIXTURE = [[0.5, 0.5, 0.0], [0.0, -1.0, 2.0]]


@pytest.mark.parametrize("space", [(5,), (4, 5), (3, 4, 5)])
def test_linear_operator_mixes_the_channels(space):
    """H(x) = A x in every cell, in 1, 2 and 3 dimensions."""
    x = normal(2, 3, *space).double()
    expected = np.stack([np.tensordot(MIXTURE, sample, 1) for sample in x.numpy()])
    assert_close(LinearOperator(MIXTURE).double()(x), torch.as_tensor(expected))


def test_operators_travel_in_the_state_dict():
    """A matrix is stored but not learned; the weights of sensors are stored and have a gradient."""
    kept = LinearOperator(MIXTURE)
    other = LinearOperator(torch.zeros(2, 3))
    other.load_state_dict(kept.state_dict())
    assert_close(other(normal(1, 3, 4)), kept(normal(1, 3, 4)))
    assert not list(kept.parameters())
    sensors, other = (Sensors([Identity(), Identity()]) for _ in range(2))
    sensors.weigh([0.1, 0.2])
    x = normal(1, 1, 4)
    both = sensors(x)
    VariationalCost(torch.nn.Identity(), sensors).given(both + 1, both > -9)(x).sum().backward()
    gradient = sensors.log_weights.grad
    assert isinstance(gradient, Tensor)
    assert gradient.all()
    other.load_state_dict(sensors.state_dict())
    assert_close(other.log_weights, sensors.log_weights)


def test_learned_operator_is_learned():
    """From smoothed observations of known states, H learns the kernel of the instrument."""
    states = normal(16, 1, 12)
    seen = (torch.roll(states, 1, -1) + states + torch.roll(states, -1, -1)) / 3
    cost = VariationalCost(torch.nn.Identity(), LearnedOperator(1, ("periodic",)))
    optimiser = torch.optim.Adam(cost.observation.parameters(), lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        cost.given(seen, torch.ones_like(seen, dtype=torch.bool))(states).sum().backward()
        optimiser.step()
    weight = cost.observation.smear.convolution.weight.detach()
    assert_close(weight, torch.full((1, 1, 3), 1 / 3), rtol=0, atol=0.01)


CELLS = 12


def minimum(p: np.ndarray, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Minimiser of Σ weights (x − y)² + ‖x − P x‖²."""
    residual = np.eye(len(p)) - p
    return np.linalg.solve(np.diag(weights) + residual.T @ residual, weights * y)


def two(errors: tuple[float, float]) -> Sensors:
    sensors = Sensors([Identity(), Identity()], learn_weights=False).double()
    sensors.weigh(errors)
    return sensors


@pytest.mark.parametrize("errors", [(0.1, 0.1), (0.1, 0.3), (2.0, 0.5)])
def test_two_identities_are_one_sensor_of_their_weighted_mean(errors):
    """U has the minimum of one sensor that observes the weighted mean, with the sum of the weights."""
    p = 0.2 * np.random.default_rng(0).normal(size=(CELLS, CELLS))
    y, masks = double(3, 2, CELLS), domain(3, 2, CELLS)
    cost = VariationalCost(Linear(p), two(errors)).double()
    w = np.array([min(errors) ** 2 / e**2 for e in errors])[:, None] * masks.numpy()
    total = w.sum(1)
    mean = (w * y.numpy()).sum(1) / np.maximum(total, 1e-12)
    x = np.stack([minimum(p, *sample) for sample in zip(total, mean, strict=True)])[:, None]
    given = cost.given(y, masks)
    with torch.no_grad():
        assert_close(given.gradient(torch.as_tensor(x))[0], torch.zeros(3, 1, CELLS).double())
    damped = LevenbergMarquardt(ladder=(1.0,), inner=100)(given, torch.zeros(3, 1, CELLS).double()).x
    assert_close(damped.detach(), torch.as_tensor(x), rtol=0, atol=1e-3)


def test_the_most_accurate_sensor_has_the_weight_of_one_alone():
    """A sensor without observations does not change U."""
    y, mask, x = double(2, 1, CELLS), domain(2, 1, CELLS), double(2, 1, CELLS, seed=3)
    alone = VariationalCost(torch.nn.Identity()).double().given(y, mask)(x)
    empty = torch.zeros_like(mask)
    both = VariationalCost(torch.nn.Identity(), two((0.1, 0.4))).double()
    assert_close(both.given(torch.cat([y, y], 1), torch.cat([mask, empty], 1))(x), alone)
    assert_close(both.given(torch.cat([y, y], 1), torch.cat([empty, mask], 1))(x), alone / 16)


def test_each_sees_its_own_variable():
    """H(x) holds, in the order of the sensors, the channels of the variable that each observes."""
    x = normal(2, 6, 5)
    sensors = Sensors([Identity(), LinearOperator(2 * np.eye(3)), Identity()], of=[1, 0, 0], states=2)
    assert_close(sensors(x), torch.cat([x[:, 3:], 2 * x[:, :3], x[:, :3]], dim=1))


def test_the_gradient_is_that_of_differences():
    """∇U of two sensors, one of them learned, agrees with central differences."""
    operator = LearnedOperator(2, ("zero",), shared=True)
    torch.nn.init.constant_(operator.smear.convolution.weight, 0.3)
    sensors = Sensors([Identity(), operator])
    sensors.weigh([0.1, 0.2])
    cost = VariationalCost(torch.nn.Identity(), sensors).double()
    given = cost.given(double(2, 4, 5), domain(2, 4, 5))
    x = double(2, 2, 5, seed=4)
    assert_close(given.gradient(x)[0].detach(), central_differences(lambda z: given(z).detach(), x))


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
def test_a_shared_operator_treats_every_time_alike(boundary):
    """Operators start as the identity; a shared one has one kernel and one bias for all channels."""
    x = normal(2, 3, *[5, 6, 4][: len(boundary)])
    operator = LearnedOperator(3, boundary, kernel=3, shared=True)
    for untrained in (operator, LearnedOperator(3, boundary, kernel=5)):
        assert_close(untrained(x), x)
    assert sum(p.numel() for p in operator.parameters()) == 3 ** len(boundary) + 1
    torch.nn.init.normal_(operator.smear.convolution.weight, generator=torch.Generator().manual_seed(0))
    assert_close(operator(x)[:, [2, 0, 1]], operator(x[:, [2, 0, 1]]))


def test_a_bias_and_a_smoothing_are_recovered():
    """H₂ learns its smoothing and bias from a smoothed, biased sensor and sparse exact observations."""
    states = normal(32, 2, 16)
    smoothed = (torch.roll(states, 1, -1) + 2 * states + torch.roll(states, -1, -1)) / 4 + 0.5
    mask = torch.cat([normal(32, 2, 16, seed=1) > 1.5, normal(32, 2, 16, seed=2) > -1], dim=1)
    y = torch.cat([states, smoothed], dim=1)
    sensors = Sensors([Identity(), LearnedOperator(2, ("periodic",), kernel=5, shared=True)])
    cost = VariationalCost(torch.nn.Identity(), sensors)
    learned = list(sensors.operators.parameters())
    optimiser = torch.optim.Adam(learned, lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        cost.given(y, mask)(states).sum().backward()
        optimiser.step()
    smear = sensors.operators[1].smear.convolution
    assert_close(smear.weight.detach(), torch.tensor([[[0, 0.25, 0.5, 0.25, 0]]]), rtol=0, atol=0.01)
    assert_close(smear.bias.detach(), torch.tensor([0.5]), rtol=0, atol=0.01)
