"""A prior learned by itself, before the joint training: the dynamics of x(t + 1) = φ(x(t)) from series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from da4dvar.batches import Drawn
from da4dvar.errors import RecipeError
from da4dvar.fields.buffered import BufferedSamples
from da4dvar.fields.samples import Samples
from da4dvar.variational.dynamics.identification import learn_dynamics
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.flow import Flow

if TYPE_CHECKING:
    from da4dvar.training import Training

# Windows that the prior is learned from by itself: each step of that goes through all of them.
PRIOR_WINDOWS = 64


def learn_prior(model: VariationalModel, samples: Samples | BufferedSamples, training: Training) -> float:
    """Learn the dynamics of a model's prior by themselves, from windows of the truth.

    Returns
    -------
    float
        The root mean square error of the forecast from one time to the next, in normalised units.

    Raises
    ------
    RecipeError
        If the prior has no dynamics to learn, or a window of the truth has gaps.
    """
    prior = model.cost.prior
    if not isinstance(prior, Flow):
        raise RecipeError(
            f"train: prior_steps is {training.prior_steps}, but a prior of class {type(prior).__name__} has "
            "no dynamics to learn; leave prior_steps out, or take a flow of bilinear dynamics"
        )
    windows = [Drawn(samples, PRIOR_WINDOWS, training.seed + 2)[k] for k in range(PRIOR_WINDOWS)]
    if not all(window["sought"].all() for window in windows):
        raise RecipeError(
            f"train: prior_steps is {training.prior_steps}, but the truth has gaps; leave prior_steps out, "
            "or give a truth that is complete"
        )
    series = torch.from_numpy(np.stack([window["target"] for window in windows]))
    try:
        return learn_dynamics(prior, series, training.prior_steps)
    except ValueError as error:
        raise RecipeError(f"train: prior_steps is {training.prior_steps}, but {error}") from error
