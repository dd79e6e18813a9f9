"""The number of training steps that fit into a time, and how often to validate."""

from __future__ import annotations

import time as clock

import numpy as np
import torch

from da4dvar.config.registry import call
from da4dvar.variational.device import device_of
from da4dvar.workflows.recipe import Recipe

# Number of validations, and the fewest steps between two.
VALIDATIONS, APART = 20, 10


def steps_in(recipe: Recipe, seconds: float, tries: int = 3) -> int:
    """Estimate the number of training steps that fit into a time with their validations, by timing a few."""
    from da4dvar.training.loss import reconstruction_loss
    from da4dvar.training.plan import Training

    table = {k: v for k, v in recipe.tables["train"].items() if k not in ("steps", "validate_every")}
    plan = call(Training, table, "train")
    seen = recipe.data("train").seen
    model = recipe.interpolator({str(d): n for d, n in seen.sizes.items()}).model
    cells = [recipe.layout.window.get(d, seen.sizes[d]) for d in recipe.layout.axes]
    channels = recipe.layout.channel_count({str(d): n for d, n in seen.sizes.items()})
    y = torch.zeros(plan.batch, channels, *cells)
    sample = {"y": y, "mask": y == 0, "x0": y, "target": y, "sought": y == 0}
    if recipe.covariates:
        count = recipe.covariates.channels(seen, {str(d): n for d, n in seen.sizes.items()})
        sample["covariates"] = torch.zeros(plan.batch, count, *cells)
    # The device and the kind of step are those of the training.
    device = device_of(plan.device)
    model, sample = model.to(device), {name: tensor.to(device) for name, tensor in sample.items()}
    kind = (plan.nu, plan.observation_fit, plan.checkpoint_iterations)
    best = np.inf
    for _ in range(tries):
        begin = clock.monotonic()
        loss, _ = reconstruction_loss(model, sample, *kind)
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock.monotonic() - begin)
        if best > seconds / 50:
            break
    # A tenth of the time is for drawing samples. An estimate takes a third of a step.
    budget, check = 0.9 * seconds / best, plan.validation_samples / plan.batch / 3
    few = budget / (1 + check / APART)
    return int(few if few < VALIDATIONS * APART else budget - VALIDATIONS * check)
