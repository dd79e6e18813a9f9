"""Parameters of the dynamics, estimated together with the state."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.optimize import least_squares
from torch import nn

from da4dvar.fields.initial import start
from da4dvar.simulate import lorenz63, lorenz96
from da4dvar.testing import seeded
from da4dvar.variational.background import Background
from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.dynamics.bilinear import Bilinear
from da4dvar.variational.dynamics.lorenz63 import Lorenz63
from da4dvar.variational.dynamics.lorenz96 import Lorenz96
from da4dvar.variational.estimation import estimate_parameters
from da4dvar.variational.priors.flow import Flow


def twin(steps: int, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Truth and observations of small series of Lorenz-96, ``(batch, 1, component, time)``."""
    return tensors(
        lorenz96(steps=steps, seed=5, components=8, every=2, number=6, noise_variance=0.25, **options)
    )


def tensors(ds: xr.Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Truth and observations of a twin experiment, ``(batch, 1, component, time)``."""
    series = (ds[n].transpose("series", "component", "time").values for n in ("x", "x_observed"))
    truth, y = (torch.from_numpy(values).double()[:, None] for values in series)
    return truth, y


def test_agrees_with_dense_least_squares_in_state_and_parameter():
    """Both minima are those of scipy over (x, F), and the variance of F is that of the dense Jacobian."""
    truth, y = twin(9, series=1)
    flow = Flow(Lorenz96(7.0, learn=True), 0.05)
    cost = VariationalCost(flow, observation_weight=4.0, prior_weight=100.0)
    known = Background.isotropic(truth[..., 0], 1.0)
    found = estimate_parameters(cost, y, y.isfinite(), truth, known, iterations=30)
    true = Flow(Lorenz96(), 0.05)

    def residuals(v: np.ndarray) -> np.ndarray:
        x = torch.as_tensor(v[:-1]).reshape(truth.shape)
        true.dynamics.forcing = v[-1]
        misfit = torch.where(y.isfinite(), x - y, 0.0)
        model = x[..., 1:] - true.forecast(x[..., :-1])
        return torch.cat([2 * misfit.flatten(), 10 * model.flatten(), known.residual(x).flatten()]).numpy()

    dense = least_squares(residuals, np.r_[truth.flatten().numpy(), 7.0], xtol=1e-12, ftol=1e-12, gtol=1e-12)
    np.testing.assert_allclose(found.parameters.item(), dense.x[-1], atol=0.01)
    np.testing.assert_allclose(found.x.flatten(), dense.x[:-1], atol=0.01)
    variance = np.linalg.inv(dense.jac.T @ dense.jac)[-1, -1]
    np.testing.assert_allclose(found.covariance.item(), variance, rtol=0.02)


def test_the_forcing_is_found_from_gappy_noisy_observations():
    """From a start that is off by one, F lies within four standard errors and 2 % of the truth."""
    truth, y = twin(80, series=3)
    flow = Flow(Lorenz96(7.0, learn=True), 0.05)
    cost = VariationalCost(flow, observation_weight=4.0, prior_weight=1e4)
    found = estimate_parameters(cost, y, y.isfinite(), truth + 0.3 * torch.randn_like(truth))
    assert abs(found.parameters.item() - 8.0) < min(0.16, 4 * found.covariance.item() ** 0.5)
    assert flow.dynamics.learned.item() == found.parameters.item()


def test_three_parameters_of_lorenz63_are_found_together():
    """σ, ρ and β lie within four standard errors of the truth, from a start that is off by 11 to 25 %."""
    truth, y = tensors(lorenz63(2, steps=121, seed=5, noise_variance=0.5))
    flow = Flow(Lorenz63(8.0, 25.0, 2.0, learn=True), 0.01)
    cost = VariationalCost(flow, observation_weight=2.0, prior_weight=5e4)
    found = estimate_parameters(cost, y, y.isfinite(), truth + torch.randn_like(truth))
    error = found.parameters - torch.tensor([10.0, 28.0, 8 / 3]).double()
    assert (error.abs() < 4 * found.covariance.diagonal().sqrt()).all()
    assert (found.covariance.diagonal().sqrt() < torch.tensor([1.0, 0.5, 0.1])).all()


def test_unknown_equations_are_learned_from_observations_alone():
    """From random coefficients, a ladder that begins low leads to forecasts far better than persistence."""
    truth, y = twin(60, series=4)
    flow = Flow(seeded(lambda: Bilinear(8, reach=2)).double(), 0.05)
    cost = VariationalCost(flow, observation_weight=4.0, prior_weight=1e4)
    x0 = torch.from_numpy(start(y.numpy(), "linear", -1))
    estimate_parameters(cost, y, y.isfinite(), x0, iterations=6, ladder=(1e-4, 1e-2, 1.0))
    before, after = truth[..., :-1], truth[..., 1:]
    with torch.no_grad():
        forecast = flow.forecast(before)
    assert (forecast - after).square().mean() < 0.01 * (before - after).square().mean()


def test_a_ladder_without_a_factor_is_refused():
    """The message says how many factors there are."""
    y = torch.zeros(1, 1, 8, 3)
    flow = Flow(Lorenz96(learn=True), 0.05)
    with pytest.raises(ValueError, match="0 rungs of the ladder"):
        estimate_parameters(VariationalCost(flow), y, y > 0, y, ladder=())


@pytest.mark.parametrize(("prior", "message"), [
    (nn.Identity(), "the prior is Identity, expected a flow"),
    (Flow(Lorenz96(), 0.05), "nothing to estimate in Lorenz96; set learn=True"),
])  # fmt: skip
def test_refused(prior, message):
    """A prior without dynamics, or without parameters to estimate."""
    y = torch.zeros(1, 1, 8, 3)
    with pytest.raises(ValueError, match=message):
        estimate_parameters(VariationalCost(prior), y, y > 0, y)
