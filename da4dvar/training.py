"""End-to-end learning of the prior, the weights of U and the solver, eq. (9)."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from da4dvar.errors import RecipeError
from da4dvar.fields.samples import Samples
from da4dvar.prior_training import learn_prior
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.base import Solver
from da4dvar.variational.solvers.chain import Chain


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its advice about the machine, for as long as it is needed."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        logger.setLevel(before)


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Parameters
    ----------
    steps : int
        Updates of the parameters; with none nothing but the prior's own steps is learned.
    batch : int
        Samples to an update.
    rate : float
        The highest learning rate; it rises over `warmup` steps and falls as a cosine.
    warmup : int
    weight_decay : float
    clip : float
        Largest norm of the gradient of the loss.
    nu : (float, float, float)
        ν₁, ν₂ and ν₃ of eq. (9).
    prior_steps : int
        Updates of the prior alone on complete windows of the truth before the joint training; principal
        components are fitted without any. See :func:`da4dvar.prior_training.learn_prior`.
    prior_rate : float, optional
        The highest learning rate of the prior's own parameters in the joint training, 0 to keep them;
        the same as `rate` if not given.
    observation_rate : float, optional
        The same for the observation operator: a kernel and a bias that start as the identity have further to
        go than the weights of a network.
    observation_fit : float
        Weight of ‖H(x) − y‖² at the truth, added to eq. (9): the error of the reconstruction alone leaves the
        amplitude of a learned H free.
    iterations : sequence of int
        Iterations of the solver, one entry for each equal part of the training; the solver's own
        number throughout if not given. The paper: "gradually increase the number of iterations".
    validate_every : int
        Updates between two scores on the validation samples; the best is kept.
    validation_samples : int
        Samples of a validation, the same every time.
    draws : int
        How often the gaps are drawn for the whole data set, where a model has a first guess.
    seed : int
    devices : str
        "cpu", "cuda" or "auto".
    precision : str
        As Lightning names it: "32-true", "bf16-mixed".
    """

    steps: int = 1000
    batch: int = 16
    rate: float = 1e-3
    warmup: int = 20
    weight_decay: float = 0.0
    clip: float = 1.0
    nu: Sequence[float] = (1.0, 0.05, 0.05)
    prior_steps: int = 0
    prior_rate: float | None = None
    observation_rate: float | None = None
    observation_fit: float = 0.0
    iterations: Sequence[int] = ()
    validate_every: int = 100
    validation_samples: int = 64
    draws: int = 8
    seed: int = 0
    devices: str = "auto"
    precision: Any = "32-true"

    def __post_init__(self) -> None:
        for name in ("batch", "rate", "clip", "validate_every", "validation_samples", "draws"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected above 0")
        for name in ("steps", "prior_steps", "prior_rate", "observation_rate", "observation_fit"):
            if not (getattr(self, name) or 0) >= 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected 0 or more")
        if len(self.nu) != 3:
            raise RecipeError(f"train: nu has {len(self.nu)} numbers, expected 3")


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Mean of `values` over the cells of `where`, each sample by itself, shape (batch,)."""
    count = where.flatten(1).sum(1).clamp(min=1)
    return torch.where(where, values, 0.0).flatten(1).sum(1) / count


def reconstruction_loss(
    model: VariationalModel, sample: dict[str, Tensor], nu: Sequence[float], observation_fit: float = 0.0
) -> tuple[Tensor, Tensor]:
    """ν₁ ‖x − x̂‖² + ν₂ ‖x − Φ(x)‖² + ν₃ ‖x̂ − Φ(x̂)‖², as means over cells. Paper, eq. (9).

    The truth x counts where it is sought. The second term needs a truth that is known nearly
    everywhere; a sample of which less than nine tenths are known does without. So does ‖H(x) − y‖² on Ω,
    which `observation_fit` adds.

    Returns
    -------
    loss : Tensor, scalar
    error : Tensor, shape (batch,)
        Mean square error of each sample.
    """
    covariates = sample.get("covariates")
    solution = model(sample["y"], sample["mask"], sample["x0"], covariates=covariates)
    sought, target = sample["sought"], sample["target"]
    error = mean_over((solution.x - target).square(), sought)
    everywhere = torch.ones_like(sought)
    complete = (sought.flatten(1).float().mean(1) >= 0.9).to(error.dtype)
    of_truth = complete * mean_over((target - model.cost.projected(target, covariates)).square(), sought)
    of_estimate = mean_over((solution.x - model.cost.projected(solution.x, covariates)).square(), everywhere)
    loss = nu[0] * error + nu[1] * of_truth + nu[2] * of_estimate
    if observation_fit:
        misfit = model.cost.observation(target) - sample["y"]
        loss = loss + observation_fit * complete * mean_over(misfit.square(), sample["mask"])
    return loss.mean(), error.detach()


@dataclass
class Drawn(Dataset):
    """Samples by number: the same number and seed give the same sample, on any worker."""

    samples: Samples
    count: int
    seed: int
    first: int = field(default=0)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng([self.seed, self.first + index])
        return self.samples.draw(generator)


class EndToEnd(lightning.LightningModule):
    """The training loop's view of a model: loss, score, rate and number of iterations."""

    def __init__(self, model: VariationalModel, training: Training) -> None:
        super().__init__()
        self.model, self.training_plan = model, training
        self.final_iterations = model.solver.iterations
        self.squares: list[Tensor] = []

    @property
    def solver(self) -> Solver:
        """The solver, whose number of iterations is set anew before every step."""
        return self.model.solver

    def iterations_at(self, step: int) -> int:
        """Iterations of the solver at a step of the training."""
        plan = self.training_plan
        if not plan.iterations:
            return self.final_iterations
        part = min(step * len(plan.iterations) // plan.steps, len(plan.iterations) - 1)
        return plan.iterations[part]

    def training_step(self, sample: dict[str, Tensor], _: int) -> Tensor:
        self.solver.iterations = self.iterations_at(self.global_step)
        plan = self.training_plan
        loss, error = reconstruction_loss(self.model, sample, plan.nu, plan.observation_fit)
        self.log("train_rmse", error.mean().sqrt())
        return loss

    def validation_step(self, sample: dict[str, Tensor], _: int) -> None:
        self.solver.iterations = self.final_iterations
        # Lightning turns gradients off here; the solver turns on the one it needs.
        error = reconstruction_loss(self.model, sample, (1.0, 0.0, 0.0))[1]
        self.squares.append(error)

    def on_validation_epoch_end(self) -> None:
        score = torch.cat(self.squares).mean().sqrt()
        self.squares.clear()
        self.log("validation_rmse", score, prog_bar=True)

    def configure_optimizers(self) -> Any:
        plan = self.training_plan
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        own = {"cost.prior.": plan.prior_rate, "cost.observation.": plan.observation_rate}
        rates = {part: rate for part, rate in own.items() if rate is not None}
        others = [p for name, p in named if not name.startswith(tuple(rates))]
        groups: list[dict[str, Any]] = [{"params": others}]
        for part, rate in rates.items():
            groups.append({"params": [p for name, p in named if name.startswith(part)], "lr": rate})
        optimiser = torch.optim.AdamW(groups, lr=plan.rate, weight_decay=plan.weight_decay)

        def factor(step: int) -> float:
            if step < plan.warmup:
                return (step + 1) / plan.warmup
            return 0.5 * (1 + math.cos(math.pi * min(1.0, step / plan.steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    model: VariationalModel,
    samples: Samples,
    validation: Samples,
    training: Training,
    folder: Path,
    resume: bool = False,
    progress: bool = False,
) -> float:
    """Train a model in place and leave it with the weights of the best validation.

    Parameters
    ----------
    model : VariationalModel
    samples, validation : Samples
    training : Training
    folder : Path
        Where checkpoints and the log (``metrics.csv``) are kept.
    resume : bool
        Go on from the last checkpoint in `folder`, if there is one.
    progress : bool
        Show a progress bar.

    Returns
    -------
    float
        The best root mean square error on the validation samples, in normalised units.
    """
    with quiet_lightning():
        return _train(model, samples, validation, training, folder, resume, progress)


def _train(
    model: VariationalModel,
    samples: Samples,
    validation: Samples,
    training: Training,
    folder: Path,
    resume: bool,
    progress: bool,
) -> float:
    if training.steps == 0:
        learn_prior(model, samples, training)
        return math.nan
    module = EndToEnd(VariationalModel(model.cost, learned(model.solver)), training)
    # Evened out, so that the last validation falls on the last steps.
    interval = training.steps // max(1, round(training.steps / training.validate_every))
    best = ModelCheckpoint(folder, "best", monitor="validation_rmse", enable_version_counter=False)
    latest = ModelCheckpoint(folder, "last", enable_version_counter=False)
    last = folder / "last.ckpt"
    done = 0
    if resume and last.exists():
        done = torch.load(last, weights_only=True, map_location="cpu")["global_step"]
    callbacks: list = [best, latest, *([TQDMProgressBar(refresh_rate=10)] if progress else [])]
    trainer = lightning.Trainer(
        accelerator="gpu" if training.devices == "cuda" else training.devices,
        devices=1,
        precision=training.precision,
        max_steps=training.steps,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        gradient_clip_val=training.clip,
        inference_mode=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        # A log of its own for what follows a restart: the logger would delete the earlier one.
        logger=CSVLogger(folder, "", f"from-step-{done}" if done else "", flush_logs_every_n_steps=10),
        log_every_n_steps=10,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    # A resumed loop counts the batches it had before, but reads from the first: the samples move on.
    count = training.steps * training.batch
    drawn = Drawn(samples, count, training.seed, first=done * training.batch)
    checked = Drawn(validation, training.validation_samples, training.seed + 1)
    if not done:
        learn_prior(model, samples, training)
    of_prior = [p for name, p in model.cost.named_parameters() if name.startswith("prior.")]
    kept_still = [p for p in of_prior if p.requires_grad and training.prior_rate == 0]
    for parameter in kept_still:
        parameter.requires_grad_(False)  # no work for derivatives that would be multiplied by zero
    if done < training.steps:
        trainer.fit(
            module,
            DataLoader(drawn, training.batch),
            DataLoader(checked, training.batch),
            ckpt_path=last if done else None,
            weights_only=True,
        )
    for parameter in kept_still:
        parameter.requires_grad_(True)
    kept = torch.load(folder / "best.ckpt", weights_only=True, map_location="cpu")
    module.load_state_dict(kept["state_dict"])
    module.model.solver.iterations = module.final_iterations
    return score_of(kept)


def learned(solver: Solver) -> Solver:
    """The part of a solver that is trained: the first of a chain."""
    while isinstance(solver, Chain):
        solver = solver.first
    return solver


def score_of(checkpoint: dict) -> float:
    """The validation score that a checkpoint was kept for."""
    scores = [state.get("best_model_score") for state in checkpoint["callbacks"].values()]
    return next((float(s) for s in scores if s is not None), math.nan)
