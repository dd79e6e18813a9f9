"""Tests of the variational cost against its equations, and of its gradient against central differences."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from variational.problems import central_differences, domain, double

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
def test_terms_are_those_of_the_paper(shape, rho, of_norm):
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
def test_gradient_is_that_of_the_cost(shape, rho):
    """∇U and the gradients of its terms agree with central differences, in 1 to 3 dimensions, for every ρ."""
    cost, x = given_cost(shape, rho=rho), double(3, *shape, seed=2)
    gradient_of_all, terms = cost.gradient(x)
    assert_close(gradient_of_all, central_differences(cost, x), rtol=1e-6, atol=1e-6)
    assert_close(terms.total, cost(x))
    gradients, terms = cost.gradients(x)
    for gradient, term in zip(gradients, ("observation", "prior"), strict=True):
        expected = central_differences(lambda x, term=term: getattr(cost.terms(x), term), x)
        assert_close(gradient, expected, rtol=1e-6, atol=1e-6)
    assert_close(gradients.total, gradient_of_all)
    assert_close(terms.total, cost(x))


@pytest.mark.parametrize("rho", RHOS)
def test_gradient_is_finite_where_the_prior_is_met(rho):
    """∇U is finite where x = Φ(x), and NaN outside Ω does not enter it, through the terms as well."""
    mask = domain(2, 1, 6)
    y, x = normal(2, 1, 6), normal(2, 1, 6, seed=2)
    gradient, _ = VariationalCost(nn.Identity(), rho=rho).given(y, mask).gradient(x)
    assert_close(gradient, torch.where(mask, 2 * (x - y), 0.0))
    cost, x = given_cost(rho=rho), double(3, 2, 6, seed=2).requires_grad_()
    direct = cost.model.terms(x, torch.where(cost.mask, cost.y, torch.nan), cost.mask)
    (through,) = torch.autograd.grad(direct.total.sum(), x)
    assert_close(through, cost.gradient(x.detach())[0])
    assert_close(direct.total.detach(), cost(x.detach()))


def test_nothing_observed_leaves_the_prior():
    """A sample without observations has a zero observation term and the gradient of the prior."""
    cost, x = given_cost(), double(3, 2, 6, seed=2)
    blind = cost.model.given(torch.full_like(x, torch.nan), torch.zeros_like(cost.mask))
    gradient, terms = blind.gradient(x)
    assert_close(terms.observation, torch.zeros_like(terms.observation))
    assert_close(gradient, central_differences(lambda x: cost.terms(x).prior, x), rtol=1e-6, atol=1e-6)


def test_an_operator_may_see_other_channels_than_the_state():
    """∇U = 2 Aᵀ(A x − y) on Ω for an operator that combines two channels into one."""
    a = np.array([[0.5, -2.0]])
    operator = nn.Linear(2, 1, bias=False).double()
    operator.weight.data = torch.as_tensor(a)
    across = lambda x: operator(x.movedim(1, -1)).movedim(-1, 1)  # noqa: E731
    y, mask, x = double(3, 1, 5), domain(3, 1, 5), double(3, 2, 5, seed=2)
    gradient, _ = VariationalCost(nn.Identity(), across).given(y, mask).gradient(x)
    misfit = np.where(mask, np.einsum("oc,bct->bot", a, x) - y.numpy(), 0)
    assert_close(gradient, torch.as_tensor(2 * np.einsum("oc,bot->bct", a, misfit)))


def test_weights_are_learned_when_asked_and_stay_positive():
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


def test_gradients_can_be_differentiated_while_training():
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
