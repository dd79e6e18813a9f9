"""A prior by itself, before the joint training: fitted to, or learned from, windows of the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from da4dvar.errors import DataError, RecipeError
from da4dvar.training.batches import Drawn
from da4dvar.training.buffered import BufferedSamples
from da4dvar.training.samples import Samples
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.flow import Flow
from da4dvar.variational.priors.pca import PCA
from da4dvar.variational.priors.projection import learn_projection

if TYPE_CHECKING:
    from da4dvar.training.plan import Training

# Windows that dynamics are learned from: each step of that goes through all of them.
FLOW_WINDOWS = 64
# Windows that components are found in, and the numbers that all of them may have together.
PCA_WINDOWS, PCA_NUMBERS = 20_000, 2**27


def learn_prior(
    model: VariationalModel, samples: Samples | BufferedSamples, training: Training
) -> float | None:
    """Learn a model's prior by itself: min ‖x − Φ(x)‖² over windows of the truth, Paper, Table 1, "no" joint.

    Principal components are fitted whenever there are none yet. The dynamics of a flow, and the weights of
    any other prior, are learned in `prior_steps`, if there are some: of a flow as the best forecast, with
    L-BFGS; of a network as a projection, at the `rate` and `batch` of the training.

    Parameters
    ----------
    model : VariationalModel
        Whose prior is changed in place.
    samples : Samples or BufferedSamples
        With a complete truth.
    training : Training
        How many steps, and of what.

    Returns
    -------
    float or None
        The root mean square of x − Φ(x) that was reached, in normalised units; none if nothing was learned.

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
    >>> from da4dvar.variational.solvers.fixed_point import FixedPoint
    >>> wave = xr.DataArray(np.sin(np.arange(200.0) / 5)[None], dims=("variable", "time"))
    >>> samples = Samples(wave, wave, None, Layout(["x"], axes=["time"], window={"time": 16}))
    >>> model = VariationalModel(VariationalCost(PCA(1, [16], components=2)), FixedPoint())
    >>> learn_prior(model, samples, Training()) < 1e-4  # a wave of one length has two components
    True
    """
    prior = model.cost.prior
    assert isinstance(prior, nn.Module)
    try:
        if isinstance(prior, PCA):
            return None if prior.fitted else fit_components(prior, samples, training)
        if not training.prior_steps:
            return None
        if isinstance(prior, Flow):
            return learn_dynamics(prior, windows(samples, FLOW_WINDOWS, training.seed), training.prior_steps)
        if getattr(prior, "covariates", 0):
            raise ValueError("it takes covariates; leave prior_steps out")
        return learn_projection(prior, batches(samples, training), training.prior_steps, training.rate)
    except (ValueError, DataError) as error:
        raise RecipeError(f"train: the prior cannot be learned by itself: {error}") from error


def fit_components(prior: PCA, samples: Samples | BufferedSamples, training: Training) -> float:
    """Principal components of windows of the truth; the root mean square of what they leave is returned."""
    states = windows(samples, min(PCA_WINDOWS, PCA_NUMBERS // prior.mean.numel()), training.seed)
    prior.fit(states, training.seed)
    return float((states - prior(states)).square().mean().sqrt())


def windows(samples: Samples | BufferedSamples, most: int, seed: int, step: int = 0) -> Tensor:
    """Complete windows of the truth, normalised, ``(window, channel, *axes)``, for a step of a training."""
    if isinstance(samples, BufferedSamples):
        drawn = Drawn(samples, most, seed + 2, first=step * most)
        found = [drawn[k] for k in range(most)]
        if not all(sample["sought"].all() for sample in found):
            raise DataError("the truth has gaps; leave prior_steps out, or give a truth that is complete")
        return torch.from_numpy(np.stack([sample["target"] for sample in found]))
    return torch.from_numpy(samples.complete(np.random.default_rng([seed, 2, step]), most))


def batches(samples: Samples | BufferedSamples, training: Training) -> Iterator[Tensor]:
    """As many batches of windows as there are steps of the prior."""
    for step in range(training.prior_steps):
        yield windows(samples, training.batch, training.seed, step)
