"""The loss of eq. (9) agrees with plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from da4dvar.testing import Neighbour, normal
from da4dvar.training.loss import mean_over, reconstruction_loss
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.fixed_point import FixedPoint
from da4dvar.variational.solvers.gradient_descent import GradientDescent

NU = (1.0, 0.3, 0.7)


def make_model() -> VariationalModel:
    """Return a model with Φ(x) = 0.8 x(previous cell) and two steps of gradient descent."""
    return VariationalModel(VariationalCost(Neighbour()), GradientDescent(0.1, iterations=2))


def make_sample(known: float = 1.0, batch: int = 3, cells: int = 20) -> dict[str, Tensor]:
    """Return samples with half of the cells observed and the first fraction `known` of them sought."""
    target = normal(batch, 1, cells)
    sought = (torch.arange(cells) < known * cells).expand_as(target)
    mask = normal(batch, 1, cells, seed=1) > 0
    return {
        "y": torch.where(mask, target, 0.0),
        "mask": mask,
        "x0": torch.zeros_like(target),
        "target": torch.where(sought, target, 0.0),
        "sought": sought,
    }


def test_the_misfit_of_the_truth_may_be_added():
    """`observation_fit` adds the mean of (H(x) − y)² on Ω over samples with a known truth."""
    for known, part in ((1.0, 1.0), (0.3, 0.0)):
        model, sample = make_model(), make_sample(known)
        sample["y"] = torch.where(sample["mask"], sample["y"] + 0.5, 0.0)
        without, _ = reconstruction_loss(model, sample, NU)
        found, _ = reconstruction_loss(model, sample, NU, observation_fit=2.0)
        assert found.item() - without.item() == pytest.approx(2 * part * 0.25, abs=1e-5)


def phi(x: np.ndarray) -> np.ndarray:
    """Apply the prior of `make_model` in numpy."""
    return 0.8 * np.roll(x, 1, -1)


@pytest.mark.parametrize("known", [1.0, 0.9, 0.85, 0.3])
def test_loss_is_that_of_the_paper(known):
    """The loss equals the three weighted means of eq. (9); the second needs 90 % of the truth."""
    model, sample = make_model(), make_sample(known)
    loss, error = reconstruction_loss(model, sample, NU)
    with torch.no_grad():
        estimate = model(sample["y"], sample["mask"], sample["x0"]).x.numpy()
    losses, errors = [], []
    for x, x_hat, sought in zip(sample["target"].numpy(), estimate, sample["sought"].numpy(), strict=True):
        errors.append(np.mean((x - x_hat)[sought] ** 2))
        of_truth = np.mean((x - phi(x))[sought] ** 2) if known >= 0.9 else 0.0
        losses.append(NU[0] * errors[-1] + NU[1] * of_truth + NU[2] * np.mean((x_hat - phi(x_hat)) ** 2))
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)
    assert error.tolist() == pytest.approx(errors, rel=1e-5)


def test_a_term_without_weight_is_not_computed():
    """A validation applies Φ no more often than the solver; an infinite Φ without weight is harmless."""
    model, sample = make_model(), make_sample()
    calls: list[int] = []
    model.cost.prior.register_forward_hook(lambda *_: calls.append(1))
    model(sample["y"], sample["mask"], sample["x0"])
    of_solver = len(calls)
    reconstruction_loss(model, sample, (1.0, 0.0, 0.0))
    assert len(calls) == 2 * of_solver
    reconstruction_loss(model, sample, NU)
    assert len(calls) == 3 * of_solver + 2
    sample = make_sample()
    sample |= {"y": sample["target"] + 0.5, "mask": torch.ones_like(sample["mask"])}
    prior = Neighbour()
    prior.a.data.fill_(torch.inf)
    loss, error = reconstruction_loss(
        VariationalModel(VariationalCost(prior), FixedPoint()), sample, (1, 0, 0)
    )
    assert loss.item() == pytest.approx(0.25)
    assert error.tolist() == pytest.approx([0.25] * 3)


def test_what_is_not_sought_does_not_count():
    """Targets outside the sought cells have no effect; the gradient moves the prior to the true law."""
    model, sample = make_model(), make_sample(0.5)
    _, error = reconstruction_loss(model, sample, NU)
    sample["target"] = torch.where(sample["sought"], sample["target"], torch.nan)
    _, same = reconstruction_loss(model, sample, NU)
    assert_close(same, error)
    model = make_model()
    model.cost.prior.a.data.fill_(0.3)
    chain = 0.9 ** torch.arange(20.0).expand(3, 1, 20)
    loss, error = reconstruction_loss(model, make_sample() | {"target": chain}, (0.0, 1.0, 0.0))
    loss.backward()
    assert model.cost.prior.a.grad < 0
    assert not error.requires_grad


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 100))
def test_mean_over_is_that_of_numpy(batch, cells, seed):
    """The mean of each sample ignores cells outside the mask, and is 0 without cells."""
    values, where = normal(batch, 1, cells, seed=seed), normal(batch, 1, cells, seed=seed + 1) > 0
    means = mean_over(torch.where(where, values, torch.nan), where)
    expected = [v[w].mean().item() if w.any() else 0.0 for v, w in zip(values, where, strict=True)]
    assert means.tolist() == pytest.approx(expected, abs=1e-6)
