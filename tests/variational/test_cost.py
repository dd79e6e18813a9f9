"""Tests of the variational cost against its equations, and of its gradient against central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from variational.problems import Linear, central_differences, domain, double

from da4dvar.testing import normal
from da4dvar.variational.cost import Cost, VariationalCost

SHAPES = [(2, 6), (2, 3, 4), (1, 2, 3, 2)]
RHOS = ["square", "absolute", torch.log1p]
SQUASH = lambda x: torch.tanh(torch.roll(x, 1, -1)) + 0.1 * x  # noqa: E731  a prior that is not linear


def given_cost(shape: tuple[int, ...] = (2, 6), batch: int = 3, **options: object) -> Cost:
    """A cost in float64 for observations of about half the cells, with NaN elsewhere."""
    model = VariationalCost(SQUASH, observation_weight=0.7, prior_weight=1.9, **options).double()
    mask = domain(batch, *shape)
    return model.given(torch.where(mask, double(batch, *shape), torch.nan), mask)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("rho", "of_norm"), [("square", np.square), ("absolute", np.abs), (torch.log1p, np.log1p)]
)
def test_terms_are_those_of_the_paper(shape: tuple[int, ...], rho: str | Callable, of_norm: Callable) -> None:
    """The terms are λ_o ‖x − y‖²_Ω and λ_p ρ(‖x − Φ(x)‖), summed over the cells of each sample."""
    cost, x = given_cost(shape, rho=rho), double(3, *shape, seed=2)
    for k, (observation, prior) in enumerate(zip(*cost.terms(x), strict=True)):
        seen = cost.mask[k].numpy()
        misfit = (x[k] - cost.y[k]).numpy()[seen]
        norm = np.linalg.norm((x - SQUASH(x))[k].numpy())
        assert observation.item() == pytest.approx(0.7 * np.sum(misfit**2))
        assert prior.item() == pytest.approx(1.9 * of_norm(norm))
    assert_close(cost(x), cost.terms(x).observation + cost.terms(x).prior)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rho", RHOS)
def test_gradient_is_that_of_the_cost(shape: tuple[int, ...], rho: str | Callable) -> None:
    """∇U agrees with central differences of U, in 1, 2 and 3 dimensions and for every ρ."""
    cost, x = given_cost(shape, rho=rho), double(3, *shape, seed=2)
    gradient, terms = cost.gradient(x)
    assert_close(gradient, central_differences(cost, x), rtol=1e-6, atol=1e-6)
    assert_close(terms.total, cost(x))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rho", RHOS)
def test_gradients_are_those_of_the_terms(shape: tuple[int, ...], rho: str | Callable) -> None:
    """Each gradient agrees with central differences of its term, and their sum is ∇U."""
    cost, x = given_cost(shape, rho=rho), double(3, *shape, seed=2)
    gradients, terms = cost.gradients(x)
    for gradient, term in zip(gradients, ("observation", "prior"), strict=True):
        expected = central_differences(lambda x, term=term: getattr(cost.terms(x), term), x)
        assert_close(gradient, expected, rtol=1e-6, atol=1e-6)
    assert_close(gradients.total, cost.gradient(x)[0])
    assert_close(terms.total, cost(x))


@pytest.mark.parametrize("rho", RHOS)
def test_gradient_is_finite_where_the_prior_is_met(rho: str | Callable) -> None:
    """Where x = Φ(x), the norm has no gradient, and ∇U is that of the observation term."""
    mask = domain(2, 1, 6)
    y, x = normal(2, 1, 6), normal(2, 1, 6, seed=2)
    gradient, _ = VariationalCost(nn.Identity(), rho=rho).given(y, mask).gradient(x)
    assert_close(gradient, torch.where(mask, 2 * (x - y), 0.0))


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("training", [False, True])
def test_nan_outside_the_domain_does_not_leak(rho: str | Callable, training: bool) -> None:
    """NaN outside Ω affects neither the terms nor the gradient."""
    cost, x = given_cost(rho=rho), double(3, 2, 6, seed=2)
    y = torch.where(cost.mask, cost.y, torch.nan)
    with torch.set_grad_enabled(training):
        gradient, terms = cost.model.given(y, cost.mask).gradient(x)
        direct = cost.model.terms(x.requires_grad_(), y, cost.mask)
    assert gradient.isfinite().all()
    assert terms.total.isfinite().all()
    assert_close(direct.total, terms.total)
    if training:
        (through,) = torch.autograd.grad(direct.total.sum(), x)
        assert_close(through, gradient)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.integers(1, 4))
def test_a_sample_does_not_depend_on_its_neighbours(order: list[int], count: int) -> None:
    """The terms and the gradient of a sample are the same in any batch."""
    cost, x, chosen = given_cost(batch=4), double(4, 2, 6, seed=2), order[:count]
    gradient, terms = cost.gradient(x)
    fewer, fewer_terms = cost.model.given(cost.y[chosen], cost.mask[chosen]).gradient(x[chosen])
    assert_close(fewer, gradient[chosen])
    assert_close(fewer_terms.total, terms.total[chosen])


def test_gradient_in_a_cell_does_not_depend_on_the_window() -> None:
    """The gradient in a cell is the same in windows of 8 and of 16 cells."""
    y, x, mask = normal(1, 1, 16), normal(1, 1, 16, seed=2), domain(1, 1, 16)
    model = VariationalCost(nn.Identity())
    wide, _ = model.given(y, mask).gradient(x)
    narrow, _ = model.given(y[..., :8], mask[..., :8]).gradient(x[..., :8])
    assert_close(wide[..., :8], narrow)


def test_nothing_observed_leaves_the_prior() -> None:
    """A sample without observations has a zero observation term and the gradient of the prior."""
    cost, x = given_cost(), double(3, 2, 6, seed=2)
    blind = cost.model.given(torch.full_like(x, torch.nan), torch.zeros_like(cost.mask))
    gradient, terms = blind.gradient(x)
    assert_close(terms.observation, torch.zeros_like(terms.observation))
    assert_close(gradient, central_differences(lambda x: cost.terms(x).prior, x), rtol=1e-6, atol=1e-6)


def test_an_operator_may_see_other_channels_than_the_state() -> None:
    """∇U = 2 Aᵀ(A x − y) on Ω for an operator that combines two channels into one."""
    a = np.array([[0.5, -2.0]])
    operator = nn.Linear(2, 1, bias=False).double()
    operator.weight.data = torch.as_tensor(a)
    across = lambda x: operator(x.movedim(1, -1)).movedim(-1, 1)  # noqa: E731
    y, mask, x = double(3, 1, 5), domain(3, 1, 5), double(3, 2, 5, seed=2)
    gradient, _ = VariationalCost(nn.Identity(), across).given(y, mask).gradient(x)
    misfit = np.where(mask, np.einsum("oc,bct->bot", a, x) - y.numpy(), 0)
    assert_close(gradient, torch.as_tensor(2 * np.einsum("oc,bot->bct", a, misfit)))


def test_weights_are_learned_when_asked_and_stay_positive() -> None:
    """Learned weights remain positive after a large training step."""
    model = VariationalCost(SQUASH, learn_weights=True)
    y, mask, x = normal(2, 1, 6), domain(2, 1, 6), normal(2, 1, 6, seed=2)
    model.given(y, mask)(x).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    after = model.given(y, mask).terms(x)
    assert not torch.equal(model.log_weights, torch.zeros(2))
    assert min(after.observation) > 0
    assert min(after.prior) > 0
    assert not any(p.requires_grad for p in VariationalCost(SQUASH).parameters())


def test_gradient_can_be_differentiated_while_training() -> None:
    """∂(∇U)/∂ log λ is the part of ∇U with the weight λ, as training a solver requires."""
    model = VariationalCost(nn.Identity(), observation_weight=3.0, learn_weights=True)
    y, mask, x = normal(2, 1, 6), domain(2, 1, 6), normal(2, 1, 6, seed=2)
    gradient, _ = model.given(y, mask).gradient(x)
    gradient.sum().backward()
    assert_close(model.log_weights.grad[0], torch.where(mask, 2 * 3.0 * (x - y), 0.0).sum())


def test_gradients_can_be_differentiated_while_training() -> None:
    """Each gradient depends on its own λ only, and can be differentiated in x and in the prior."""
    prior = nn.Conv1d(2, 2, 3, padding=1)
    model = VariationalCost(prior, observation_weight=3.0, learn_weights=True)
    y, mask, x = normal(2, 2, 6), domain(2, 2, 6), normal(2, 2, 6, seed=2).requires_grad_()
    gradients, _ = model.given(y, mask).gradients(x)
    for k, gradient in enumerate(gradients):
        (weights,) = torch.autograd.grad(gradient.sum(), model.log_weights, retain_graph=True)
        assert_close(weights[k], gradient.sum())
        assert weights[1 - k] == 0
    through = torch.autograd.grad(gradients.prior.square().sum(), [x, prior.weight], retain_graph=True)
    assert all(gradient.any() for gradient in through)
    (through_misfit,) = torch.autograd.grad(gradients.observation.sum(), x)
    assert_close(through_misfit, torch.where(mask, 2 * 3.0, 0.0))


@pytest.mark.parametrize("name", ["gradient", "gradients"])
def test_no_graph_is_kept_at_inference(name: str) -> None:
    """Under no_grad, the gradient exists and neither the gradient nor the terms hold a graph."""
    cost, x = given_cost(learn_weights=True), double(3, 2, 6, seed=2)
    trained = getattr(cost, name)(x)
    with torch.no_grad():
        inferred = getattr(cost, name)(x)
    parts = [torch.stack(tuple(given[0])) for given in (trained, inferred)]
    assert_close(parts[1], parts[0].detach())
    assert parts[0].requires_grad
    assert not any(t.requires_grad for t in (parts[1], *inferred[1], x))


@pytest.mark.parametrize("name", ["gradient", "gradients"])
def test_inference_mode_is_refused_with_what_to_do(name: str) -> None:
    """In inference mode, the message suggests no_grad."""
    cost, x = given_cost(), double(3, 2, 6)
    with pytest.raises(RuntimeError, match="no_grad"), torch.inference_mode():
        getattr(cost, name)(x)


def test_gradient_vanishes_at_the_minimum() -> None:
    """For a linear prior, ∇U is zero at the solution of the normal equations."""
    n, p = 8, 0.1 * double(8, 8, seed=3).numpy()
    y, mask = double(1, 1, n), domain(1, 1, n)
    model = VariationalCost(Linear(p), prior_weight=2.0).double()
    weight = model.log_weights.exp()[1].item()
    seen, r = np.diag(mask.double().flatten()), np.eye(n) - p
    minimum = np.linalg.solve(seen + weight * r.T @ r, seen @ y.flatten().numpy())
    gradient, _ = model.given(y, mask).gradient(torch.as_tensor(minimum).reshape(1, 1, n))
    assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, -1.0)])
def test_weights_that_are_not_positive_are_refused(weights: tuple[float, float]) -> None:
    """The message states the expected range."""
    with pytest.raises(ValueError, match="expected both above 0"):
        VariationalCost(SQUASH, observation_weight=weights[0], prior_weight=weights[1])


def test_an_unknown_rho_is_refused() -> None:
    """The message lists the known shapes."""
    with pytest.raises(ValueError, match="'cube', expected square or absolute"):
        VariationalCost(SQUASH, rho="cube")
