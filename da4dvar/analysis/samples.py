"""Joint samples of the estimates of a model."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from da4dvar.analysis.analyse import Analysis, scale_of
from da4dvar.analysis.assimilate import as_field, dynamics_of
from da4dvar.analysis.calibration import Calibration
from da4dvar.analysis.ensemble import Ensemble
from da4dvar.analysis.forecast import has_dynamics
from da4dvar.analysis.model import Model
from da4dvar.analysis.perturbation import normal
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation, within
from da4dvar.config.kinds import BY_NAME
from da4dvar.errors import DataError
from da4dvar.fields.channels import to_channels
from da4dvar.fields.labels.conform import Conformed
from da4dvar.fields.labels.output import FLAGS, bare
from da4dvar.fields.labels.samples import REALIZATION, with_samples
from da4dvar.fields.sampling import Draw, drawn, made_of, with_margins
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.solvers.normal_equations import BlockTridiagonal

WHAT = "a draw of samples"


def ensemble_of_samples(model: Model) -> Ensemble | None:
    """Return the ensemble whose spread samples need; None if they need none.

    Raises
    ------
    DataError
        If the model has no samples.
    """
    if has_dynamics(model):
        dynamics_of(model, model.model, WHAT)
        return None
    if own_covariance(model) is not None:
        return None
    if model.calibration is None:
        having = ", ".join(BY_NAME["baseline"])
        raise DataError(
            "samples need a model that is calibrated (da4dvar calibrate), has dynamics, or starts from "
            "optimal interpolation with its own covariance, such as lorenz96-ode or oisst-tasman; without a "
            f"model, {having} and a trained network have samples"
        )
    return model.calibration.ensemble


def with_joint_samples(
    filled: xr.Dataset,
    model: Model,
    conformed: Conformed,
    found: Analysis,
    number: int,
    seed: int,
    analysis: bool,
) -> xr.Dataset:
    """Add joint samples x̂ + d to an output data set, which are computed when they are used.

    d is a draw of the error of the estimate: from the Laplace posterior if the model has dynamics, and
    otherwise from a covariance, given where there are observations; see :func:`residual`.

    Parameters
    ----------
    filled : Dataset
        Estimates with their flags and the user's labels.
    model : Model
        Fitted model.
    conformed : Conformed
        Data that were interpolated.
    found : Analysis
        Result of the minimisation, with the ensemble of :func:`ensemble_of_samples`.
    number, seed
        Number of samples, and their seed.
    analysis : bool
        Whether samples vary in observed cells as well.

    Returns
    -------
    Dataset
        `filled` with ``<name>_samples`` of each variable.
    """
    errors = laplace if has_dynamics(model) else residual
    every = errors(model, conformed, found, number, seed)
    for name, source in conformed.sources.items():
        factor, _ = conformed.to_user(name)
        estimate, flag = bare(filled[name]), bare(filled[f"{name}_flag"])
        error = factor * bare(conformed.restore(every[name]))
        varied = (estimate + error.where((flag != FLAGS["observed"]) | analysis, 0.0)).astype(estimate.dtype)
        filled = with_samples(filled, name, varied.transpose(REALIZATION, *source.dims))
    return filled


def own_covariance(model: Model) -> OptimalInterpolation | None:
    """Return the first guess if it is optimal interpolation of anomalies with a given covariance."""
    guess = model.first_guess
    if isinstance(guess, OptimalInterpolation) and guess.background == "zero" and guess.covariance:
        return guess
    return None


def residual(model: Model, conformed: Conformed, found: Analysis, number: int, seed: int) -> xr.Dataset:
    """Return draws d, or sign(z) q_p σ with p = 2Φ(abs(z)) − 1, under the model's names and in its units.

    d is a draw of the error of optimal interpolation of the same observations
    (:class:`da4dvar.baselines.draws.Deviations`), if this is the model's first guess and the covariance is
    its own. Otherwise z is a standardised draw with the covariance of the first guess, or with one that is
    fitted to the normalised observations, and σ and q are those of the calibration.
    """
    own = own_covariance(model)
    # Of anomalies, so that there are draws for cells without any observation.
    other = copy.copy(within(model.first_guess) or OptimalInterpolation(model.time))
    other.background, other.history = "zero", None
    out = {}
    for name in model.layout.variables:
        seen = model.scaling.normalise(conformed.data[[name]])[name]
        if own is not None:
            out[name] = scale_of(model, name) * drawn(made_of(own.deviations, seen), seen, number, seed)
            continue
        assert found.parts is not None
        assert model.calibration is not None
        draw = made_of(partial(standardised, other, model.calibration.variables[name]), seen)
        out[name] = model.calibration.sigma(name, found.parts) * drawn(draw, seen, number, seed)
    return xr.Dataset(out)


def standardised(method: OptimalInterpolation, known: Calibration, seen: xr.DataArray) -> Draw:
    """Return draws of sign(z) q_p; see :func:`residual`."""
    return with_margins(method.deviations(seen, standardised=True), known.factor, known.levels[-1])


def laplace(model: Model, conformed: Conformed, found: Analysis, number: int, seed: int) -> xr.Dataset:
    """Return draws from N(0, (JᵀJ)⁻¹) under the model's names and in its units.

    JᵀJ is that of the whole record, linearised at the estimate; see
    :class:`da4dvar.variational.solvers.normal_equations.BlockTridiagonal`.
    """
    y, x = model.observations(conformed.data), model.states(found.estimates)
    every = drawn(made_of(partial(posterior, model, found.network), y, x), y, number, seed)
    names = model.layout.variables
    return xr.Dataset({n: every.isel(variable=k) * scale_of(model, n) for k, n in enumerate(names)})


def posterior(model: Model, network: VariationalModel, y: xr.DataArray, x: xr.DataArray) -> Draw:
    """Return draws from N(0, (JᵀJ)⁻¹), normalised, with the dimensions of `y`; see :func:`laplace`.

    Raises
    ------
    DataError
        If JᵀJ is not positive definite.
    """
    cost = dynamics_of(model, network, WHAT)
    assert isinstance(cost.prior, Flow)
    seen, values, state = (
        as_states(model, field).to(network.device) for field in (y.notnull(), y.fillna(0.0), x)
    )
    state = state.double()
    given = cost.given(values.double(), seen)
    with torch.no_grad():
        root = BlockTridiagonal(given, cost.prior, None).draws(state)
        if (root(torch.zeros_like(state)).isnan() & state.isfinite()).any():
            raise DataError(
                "the observations do not determine the state, which samples need; give more times"
            )
    white = y.astype("float64")

    def draw(number: int, seed: int) -> xr.DataArray:
        noise = as_states(model, normal(white, [seed, number, 3]))
        return as_field(model, root(noise.to(state)), white)

    return draw


def as_states(model: Model, field: xr.DataArray) -> Tensor:
    """Convert a normalised field to states, shape ``(batch, channel, *space, time)``."""
    cells = field.shape[field.ndim - len(model.layout.dims) :]
    each = field.values.reshape(field.shape[0], -1, *cells).swapaxes(0, 1)
    return torch.from_numpy(np.stack([to_channels(one, model.layout) for one in each]))
