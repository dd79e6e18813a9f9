"""End-to-end training of the prior, the weights of U and the solver, eq. (9)."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from da4dvar.errors import DataError, RecipeError
from da4dvar.training.batches import Drawn, Share
from da4dvar.training.buffered import BufferedSamples
from da4dvar.training.distributed import check_shares, kind_of_device, run_on
from da4dvar.training.loss import reconstruction_loss
from da4dvar.training.plan import PRECISIONS, Training
from da4dvar.training.prior import learn_prior
from da4dvar.training.samples import Samples
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.solvers.base import Solver

# Number of consecutive steps without a finite gradient after which the training is stopped.
MOST_SKIPPED = 50


class EndToEnd(lightning.LightningModule):
    """Lightning module of a model: loss, validation score, learning rate and number of iterations.

    Parameters
    ----------
    model : VariationalModel
        Model to train.
    training : Training
        Training plan.
    """

    def __init__(self, model: VariationalModel, training: Training) -> None:
        super().__init__()
        self.model, self.training_plan = model, training
        self.final_iterations = model.solver.iterations
        self.squares: list[Tensor] = []
        self.skipped = 0

    @property
    def solver(self) -> Solver:
        """The solver, whose number of iterations is set before every step."""
        return self.model.solver

    def iterations_at(self, step: int) -> int:
        """Return the number of solver iterations at a training step."""
        plan = self.training_plan
        if not plan.iterations:
            return self.final_iterations
        part = min(step * len(plan.iterations) // plan.steps, len(plan.iterations) - 1)
        return plan.iterations[part]

    def training_step(self, sample: dict[str, Tensor], _: int) -> Tensor:
        """Compute and log the loss of eq. (9) for a batch."""
        self.solver.iterations = self.iterations_at(self.global_step)
        plan = self.training_plan
        loss, error = reconstruction_loss(
            self.model, sample, plan.nu, plan.observation_fit, plan.checkpoint_iterations
        )
        check_learnable(self.model, loss)
        mean_loss, square = self.over_all(torch.stack([loss.detach(), error.mean()]), "mean")
        self.log_dict({"train_rmse": square.sqrt(), "train_loss": mean_loss})
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Skip a step whose gradient is not finite, so that a single batch does not end the training.

        Raises
        ------
        RecipeError
            If `MOST_SKIPPED` steps in a row had no finite gradient.
        """
        norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
        if torch.stack(norms).isfinite().all():
            self.skipped = 0
            return
        self.skipped += 1
        if self.skipped == MOST_SKIPPED:
            raise RecipeError(
                f"train: no finite gradient in the last {MOST_SKIPPED} steps, up to step {self.global_step}; "
                "lower train.rate and train again"
            )
        optimizer.zero_grad()  # to None rather than 0, so that momentum does not move the weights either

    def over_all(self, values: Tensor, how: str) -> Tensor:
        """Reduce values over all processes by "mean" or "sum"; unchanged with a single process."""
        alone = self._trainer is None or self.trainer.world_size == 1
        # Lightning reduces in place.
        return values if alone else self.trainer.strategy.reduce(values.clone(), reduce_op=how)

    def validation_step(self, sample: dict[str, Tensor], _: int) -> None:
        """Store the mean square error of each sample of a batch."""
        self.solver.iterations = self.final_iterations
        # Lightning disables gradients here; the solver enables the one it needs.
        error = reconstruction_loss(self.model, sample, (1.0, 0.0, 0.0))[1]
        self.squares.append(error)

    def on_validation_epoch_end(self) -> None:
        """Log the validation score over all processes, by which the best checkpoint is chosen."""
        squares = torch.cat(self.squares)
        self.squares.clear()
        # Processes may have different numbers of samples, so that the mean of their means would be wrong.
        count = torch.full_like(squares[0], len(squares))
        share = self.over_all(count, "sum") / count
        score = (self.over_all(squares.mean() / share, "sum")).sqrt()
        self.log("validation_rmse", score, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Set up AdamW with separate rates for the prior and H, linear warm-up and cosine decay."""
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
    samples: Samples | BufferedSamples,
    validation: Samples,
    training: Training,
    folder: Path,
    resume: bool = False,
    progress: bool = False,
    devices: int = 1,
) -> float:
    """Train a model in place and give it the weights with the best validation score.

    Parameters
    ----------
    model : VariationalModel
        Model to train, changed in place.
    samples : Samples or BufferedSamples
        Training samples.
    validation : Samples
        Validation samples.
    training : Training
        Training plan.
    folder : Path
        Folder for checkpoints and the log (``metrics.csv``).
    resume : bool
        Continue from the last checkpoint in `folder`, if there is one.
    progress : bool
        Show a progress bar.
    devices : int
        Number of processes that share every batch, each with a GPU or a part of the processor. The result is
        that of a single process up to rounding, and a checkpoint can be resumed with another number.

    Returns
    -------
    float
        Best root mean square error on the validation samples, in normalised units.

    Raises
    ------
    RecipeError
        If the solver, the prior or the number of devices is incompatible with the training plan, or the
        model has no parameter to learn.
    DataError
        If the checkpoint to continue from cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import xarray as xr
    >>> from da4dvar.fields.gaps.patterns import Random
    >>> from da4dvar.layout import Layout
    >>> from da4dvar.variational.cost import VariationalCost
    >>> from da4dvar.variational.priors.unet import UNet
    >>> from da4dvar.variational.solvers.lstm import ConvLSTM
    >>> wave = xr.DataArray(np.sin(np.arange(200.0) / 5)[None], dims=("variable", "time"))
    >>> samples = Samples(wave, wave, Random(0.3), Layout(["x"], axes=["time"], window={"time": 16}))
    >>> solver = ConvLSTM(1, ["zero"], width=4, iterations=3)
    >>> model = VariationalModel(VariationalCost(UNet(1, ["zero"], width=4)), solver)
    >>> with TemporaryDirectory() as folder:
    ...     score = train(model, samples, samples, Training(steps=3, device="cpu"), Path(folder))
    >>> 0.1 < score < 2
    True
    """
    check_shares(training.batch, training.validation_samples, devices)
    kind = kind_of_device(training.device, devices)
    if training.steps == 0:
        learn_prior(model, samples, training)
        return math.nan
    solver = model.solver.learned_part
    if training.checkpoint_iterations and not solver.recomputes:
        raise RecipeError(
            f"train: checkpoint_iterations is set, but a solver of class {type(solver).__name__} cannot "
            "recompute its iterations; leave it out, or use a solver of kind 'lstm'"
        )
    module = EndToEnd(VariationalModel(model.cost, solver), training)
    last = folder / "last.ckpt"
    done = 0
    if resume and last.exists():
        kept = checkpoint(last)
        check_shapes(kept["state_dict"], module.state_dict(), folder)
        done = kept["global_step"]
    if not done:
        learn_prior(model, samples, training)
    if done < training.steps:
        of_prior = [p for name, p in model.cost.named_parameters() if name.startswith("prior.")]
        kept_still = [p for p in of_prior if p.requires_grad and training.prior_rate == 0]
        try:
            for parameter in kept_still:
                parameter.requires_grad_(False)  # their gradient would be multiplied by a rate of zero
            unused = devices > 1 and leaves_unused(module.model, samples, training)
            task = (module.model, samples, validation, training, folder, done, progress, kind, devices)
            if devices == 1:
                fit(*task, unused)
            else:
                run_on(devices, fit, *task, unused)
        except torch.OutOfMemoryError as error:
            raise RecipeError(
                f"train: the memory of the GPU is not enough for a batch of {training.batch} samples; lower "
                "batch, or set checkpoint_iterations = true in [train]"
            ) from error
        except SystemExit as stop:
            # Lightning exits this way when it is interrupted; the caller should see the interrupt.
            raise KeyboardInterrupt from stop
        except OSError as error:
            raise DataError(
                f"{folder}: checkpoints and the log cannot be written ({error}); check disk space and "
                "permissions, then continue with --resume"
            ) from error
        finally:
            # The caller may continue to use the model after an interrupt or an error.
            for parameter in kept_still:
                parameter.requires_grad_(True)
            module.solver.iterations = module.final_iterations
    kept = checkpoint(folder / "best.ckpt")
    module.load_state_dict(kept["state_dict"])
    return score_of(kept)


def fit(
    model: VariationalModel,
    samples: Samples | BufferedSamples,
    validation: Samples,
    training: Training,
    folder: Path,
    done: int,
    progress: bool,
    kind: str,
    devices: int,
    unused: bool,
) -> None:
    """Run the training loop of one of `devices` processes, starting after `done` steps.

    `unused` says whether the loss does not depend on some parameter, which distributed training must know.
    The other parameters are those of :func:`train`.
    """
    # Adjusted to divide the steps evenly, so that the last validation is at the last steps.
    interval = training.steps // max(1, round(training.steps / training.validate_every))
    best = ModelCheckpoint(folder, "best", monitor="validation_rmse", enable_version_counter=False)
    latest = ModelCheckpoint(folder, "last", enable_version_counter=False)
    shown = [TQDMProgressBar(refresh_rate=10)] if progress else []
    together = DDPStrategy(cluster_environment=LightningEnvironment(), find_unused_parameters=unused)
    # A resumed loop counts the earlier batches but reads from the first one, so the samples are shifted.
    count = training.steps * training.batch
    drawn = Drawn(samples, count, training.seed, first=done * training.batch)
    checked = Drawn(validation, training.validation_samples, training.seed + 1)
    with quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=kind,
            devices=devices,
            strategy="auto" if devices == 1 else together,
            precision=PRECISIONS[training.precision],
            max_steps=training.steps,
            val_check_interval=interval,
            check_val_every_n_epoch=None,
            gradient_clip_val=training.clip,
            inference_mode=False,
            num_sanity_val_steps=0,
            callbacks=[best, latest, *shown],
            # A separate log after a restart: the logger would delete the earlier one.
            logger=CSVLogger(folder, "", f"from-step-{done}" if done else "", flush_logs_every_n_steps=10),
            log_every_n_steps=10,
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        part = (training.batch, trainer.global_rank, devices)
        trainer.fit(
            EndToEnd(model, training),
            DataLoader(
                drawn,
                batch_sampler=Share(len(drawn), *part),
                num_workers=training.workers,
                # A process that has started threads of its own, as torch does, must not be forked.
                multiprocessing_context="spawn" if training.workers else None,
                pin_memory=kind == "gpu",
            ),
            DataLoader(checked, batch_sampler=Share(len(checked), *part)),
            ckpt_path=folder / "last.ckpt" if done else None,
            weights_only=True,
        )


def leaves_unused(model: VariationalModel, samples: Samples | BufferedSamples, training: Training) -> bool:
    """Whether the loss does not depend on some parameter, such as a weight of U if the solver ignores U."""
    sample = default_collate([Drawn(samples, 1, training.seed)[0]])
    loss, _ = reconstruction_loss(model, sample, training.nu, training.observation_fit)
    check_learnable(model, loss)
    wanted = [p for p in model.parameters() if p.requires_grad]
    return any(g is None for g in torch.autograd.grad(loss, wanted, allow_unused=True))


def check_learnable(model: VariationalModel, loss: Tensor) -> None:
    """Check that training would change at least one parameter.

    Raises
    ------
    RecipeError
    """
    # The gradient within a solver can make the loss differentiable without any parameter.
    if not loss.requires_grad or not any(p.requires_grad for p in model.parameters()):
        raise RecipeError(
            "train: the loss does not depend on any parameter of the model; set train.steps to 0, or choose "
            "a prior or a solver with parameters to learn"
        )


def checkpoint(path: Path) -> dict[str, Any]:
    """Load the content of a checkpoint without executing any code in it.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # torch raises various types of errors for a broken file
        raise DataError(
            f"{path}: the checkpoint cannot be read; remove {path.parent} and train again"
        ) from error


def check_shapes(kept: Mapping[str, Tensor], weights: Mapping[str, Tensor], folder: Path) -> None:
    """Check that the weights of a checkpoint have the names and shapes of those of the model.

    Raises
    ------
    RecipeError
    """
    if {n: t.shape for n, t in kept.items()} != {n: t.shape for n, t in weights.items()}:
        raise RecipeError(
            f"{folder}: holds checkpoints of another model; use its recipe, or remove the folder"
        )


def score_of(checkpoint: Mapping[str, Any]) -> float:
    """Return the best validation score recorded in a checkpoint; NaN if there is none."""
    scores = [state.get("best_model_score") for state in checkpoint["callbacks"].values()]
    return next((float(s) for s in scores if s is not None), math.nan)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence the log messages and warnings of Lightning inside a ``with`` block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
