"""RMSE by training time of the learned solver, trained by its recipe or as in published code.

python recipes/speed/training.py [--minutes 10] [--published]

Tracks over 3.5 % of the cells of 1990-2009, validation on 2010; seconds are those of the processor, without
validation. The published training, in `ocean4dvarnet` 1.0.6 and its starter, has the loss 50 MSE + 1000 MSE
of Sobel gradients + the prior term, Adam at 1e-3 (the prior at half of it) with a cosine, batches of 4,
clipping at 0.5, all iterations from the start, and float32.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measuring import arguments
from torch import Tensor
from torch.utils.data import DataLoader

from da4dvar.cli.memory import keep_freed_memory
from da4dvar.config.tables import read_recipe
from da4dvar.training.batches import Drawn
from da4dvar.training.dataset import samples
from da4dvar.training.loss import mean_over, reconstruction_loss
from da4dvar.variational.model import VariationalModel
from da4dvar.workflows.recipe import Recipe

FOLDER = Path(__file__).parents[1] / "oisst-tasman"
SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
EVERY = 60.0


def published_loss(model: VariationalModel, sample: dict[str, Tensor]) -> Tensor:
    """50 ‖x − x̂‖² + 1000 ‖∇x − ∇x̂‖² + ‖x̂ − Φ(x̂)‖², as means over the cells."""
    x = model(sample["y"], sample["mask"], sample["x0"]).x
    sought, target = sample["sought"], sample["target"]
    error = torch.where(sought, x - target, 0.0)
    channels = x.shape[1]
    taps = torch.stack([SOBEL, SOBEL.T])[:, None].repeat(channels, 1, 1, 1)
    slopes = F.conv2d(F.pad(error, (1, 1, 1, 1), mode="replicate"), taps, groups=channels)
    prior = (x - model.cost.prior(x)).square().mean()
    return 50 * mean_over(error.square(), sought).mean() + 1000 * slopes.square().mean() + prior


def main(minutes: float, published: bool, seed: int) -> None:
    """Train for a number of minutes, and print the score every minute."""
    tables = read_recipe(FOLDER / "lstm.toml", ["gaps=[{kind='tracks', fraction=0.035}]"])
    recipe = Recipe(tables, FOLDER)
    train, validation = recipe.data("train"), recipe.data("validation")
    torch.manual_seed(seed)
    interpolator = recipe.interpolator({str(d): n for d, n in train.seen.sizes.items()})
    interpolator.prepare(train.seen, train.truth)
    pairs = [
        samples(interpolator, part.seen, part.truth, recipe.gaps(), 0.0, 1, seed)
        for part in (train, validation)
    ]
    model, batch = interpolator.model, 4 if published else 16
    whole, solver = model.solver.iterations, model.solver
    prior = [p for p in model.cost.prior.parameters() if p.requires_grad]
    rest = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("cost.prior.")]
    plan = tables["train"]
    if published:
        groups = [{"params": rest}, {"params": prior, "lr": 5e-4}]
        optimiser: torch.optim.Optimizer = torch.optim.Adam(groups, lr=1e-3)
    else:
        optimiser = torch.optim.AdamW([*rest, *prior], lr=plan["rate"], weight_decay=0.0)
    rates = [group["lr"] for group in optimiser.param_groups]
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=not published)

    def score() -> float:
        solver.iterations = whole
        drawn = DataLoader(Drawn(pairs[1], 96, 2), 16)
        with torch.no_grad(), mixed:
            errors = [reconstruction_loss(model, sample, (1.0, 0.0, 0.0))[1] for sample in drawn]
        return float(torch.cat(errors).mean().sqrt())

    spent, printed, step = 0.0, 0.0, 0
    for sample in DataLoader(Drawn(pairs[0], 10**9, seed), batch):
        began = time.process_time()
        done = min(1.0, spent / (60 * minutes))
        if not published:
            stages = plan["iterations"]
            solver.iterations = stages[min(int(done * len(stages)), len(stages) - 1)]
        warm = 1.0 if published else min(1.0, (step + 1) / 20)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        optimiser.zero_grad()
        with mixed:
            if published:
                loss = published_loss(model, sample)
            else:
                loss = reconstruction_loss(model, sample, (1.0, 0.05, 0.05))[0]
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*rest, *prior], 0.5 if published else 1.0)
        optimiser.step()
        spent, step = spent + time.process_time() - began, step + 1
        over = spent >= 60 * minutes
        if over or spent - printed >= EVERY:
            printed = spent
            print(f"{spent:7.0f} s, step {step:5d}: {score():.4f}", flush=True)
        if over or not np.isfinite(loss.item()):
            break


if __name__ == "__main__":
    keep_freed_memory()
    given = arguments(__doc__, ("--minutes", 10.0), ("--published", False), ("--seed", 1))
    main(given.minutes, given.published, given.seed)
