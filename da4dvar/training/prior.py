"""Training of the prior alone on windows of the truth, before the joint training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from da4dvar.errors import DataError, RecipeError
from da4dvar.training.batches import Drawn
from da4dvar.training.buffered import BufferedSamples
from da4dvar.training.samples import Samples
from da4dvar.variational.device import device_of
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.projection import learn_projection

if TYPE_CHECKING:
    from da4dvar.training.plan import Training

# Number of windows from which dynamics are learned; each step processes all of them.
FLOW_WINDOWS = 64
# Largest number of windows, and of values in them, to which a prior is fitted.
FIT_WINDOWS, FIT_NUMBERS = 20_000, 2**27


def learn_prior(
    model: VariationalModel, samples: Samples | BufferedSamples, training: Training
) -> float | None:
    """Learn a model's prior alone: min ‖x − Φ(x)‖² over windows of the truth, Paper, Table 1, "no" joint.

    A prior with an attribute `fitted`, such as principal components, is fitted by its method `fit` unless it
    has been fitted before. Other priors are learned in `prior_steps` steps, if any: one with a method
    `forecast`, such as a flow, by minimising its forecast error with L-BFGS; a network as a projection, with
    the `rate` and `batch` of the training.

    Parameters
    ----------
    model : VariationalModel
        Model whose prior is changed in place.
    samples : Samples or BufferedSamples
        Samples with a complete truth.
    training : Training
        Training plan.

    Returns
    -------
    float or None
        Root mean square of x − Φ(x) after the training, in normalised units; None if nothing was learned.

    Raises
    ------
    RecipeError
        If the prior has nothing to learn, or a window of the truth has gaps.

    Examples
    --------
    >>> import xarray as xr
    >>> from da4dvar.layout import Layout
    >>> from da4dvar.training.plan import Training
    >>> from da4dvar.variational.cost import VariationalCost
    >>> from da4dvar.variational.priors.pca import PCA
    >>> from da4dvar.variational.solvers.fixed_point import FixedPoint
    >>> wave = xr.DataArray(np.sin(np.arange(200.0) / 5)[None], dims=("variable", "time"))
    >>> samples = Samples(wave, wave, None, Layout(["x"], axes=["time"], window={"time": 16}))
    >>> model = VariationalModel(VariationalCost(PCA(1, [16], components=2)), FixedPoint())
    >>> learn_prior(model, samples, Training()) < 1e-4  # a wave of one length has two components
    True
    """
    prior: Any = model.cost.prior
    try:
        if hasattr(prior, "fitted"):
            return None if prior.fitted else fitted(prior, samples, training)
        if not training.prior_steps:
            return None
        device = device_of(training.device)
        prior.to(device)
        if hasattr(prior, "forecast"):
            states = windows(samples, FLOW_WINDOWS, training.seed).to(device)
            return learn_dynamics(prior, states, training.prior_steps)
        if getattr(prior, "covariates", 0):
            raise ValueError("it takes covariates; leave out prior_steps")
        drawn = (states.to(device) for states in batches(samples, training))
        return learn_projection(prior, drawn, training.prior_steps, training.rate)
    except (ValueError, DataError) as error:
        raise RecipeError(f"train: the prior cannot be trained alone: {error}") from error
    finally:
        model.cost.cpu()


def fitted(prior: Any, samples: Samples | BufferedSamples, training: Training) -> float:
    """Fit a prior to windows of the truth; return the root mean square of the residual."""
    size = windows(samples, 1, training.seed).numel()
    states = windows(samples, min(FIT_WINDOWS, FIT_NUMBERS // size), training.seed)
    prior.fit(states, training.seed)
    return float((states - prior(states)).square().mean().sqrt())


def windows(samples: Samples | BufferedSamples, most: int, seed: int, step: int = 0) -> Tensor:
    """Draw complete normalised windows of the truth for a training step, ``(window, channel, *axes)``.

    Raises
    ------
    DataError
        If a window has gaps.
    """
    if isinstance(samples, BufferedSamples):
        drawn = Drawn(samples, most, seed + 2, first=step * most)
        found = [drawn[k] for k in range(most)]
        if not all(sample["sought"].all() for sample in found):
            raise DataError("the truth has gaps; leave out prior_steps, or use a complete truth")
        return torch.from_numpy(np.stack([sample["target"] for sample in found]))
    return torch.from_numpy(samples.complete(np.random.default_rng([seed, 2, step]), most))


def batches(samples: Samples | BufferedSamples, training: Training) -> Iterator[Tensor]:
    """Yield a batch of windows for each of the `prior_steps` steps."""
    for step in range(training.prior_steps):
        yield windows(samples, training.batch, training.seed, step)
