"""End-to-end learning of the prior, the weights of U and the solver, eq. (9)."""

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
from da4dvar.variational.solvers.chain import Chain

# Steps in a row without a finite gradient, after which there is no hope.
MOST_SKIPPED = 50


class EndToEnd(lightning.LightningModule):
    """The training loop's view of a model: loss, score, rate and number of iterations.

    Parameters
    ----------
    model : VariationalModel
    training : Training
    """

    def __init__(self, model: VariationalModel, training: Training) -> None:
        super().__init__()
        self.model, self.training_plan = model, training
        self.final_iterations = model.solver.iterations
        self.squares: list[Tensor] = []
        self.skipped = 0

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
        """The loss of eq. (9) for a batch, logged."""
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
        """Leave a step out whose gradient is not finite: one odd batch is not to end a training.

        Raises
        ------
        RecipeError
            If none has been for some time.
        """
        norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
        if torch.stack(norms).isfinite().all():
            self.skipped = 0
            return
        self.skipped += 1
        if self.skipped == MOST_SKIPPED:
            raise RecipeError(
                f"train: no gradient was finite in {MOST_SKIPPED} steps, up to step {self.global_step}; "
                "lower train.rate, and train anew"
            )
        optimizer.zero_grad()  # none at all, so that no momentum moves a weight either

    def over_all(self, values: Tensor, how: str) -> Tensor:
        """The "mean" or "sum" of values over all processes; as they are in the only one."""
        alone = self._trainer is None or self.trainer.world_size == 1
        # Lightning reduces in place.
        return values if alone else self.trainer.strategy.reduce(values.clone(), reduce_op=how)

    def validation_step(self, sample: dict[str, Tensor], _: int) -> None:
        """The squares of the errors of a batch, kept."""
        self.solver.iterations = self.final_iterations
        # Lightning turns gradients off here; the solver turns on the one it needs.
        error = reconstruction_loss(self.model, sample, (1.0, 0.0, 0.0))[1]
        self.squares.append(error)

    def on_validation_epoch_end(self) -> None:
        """The score that the best checkpoint is chosen by, over all processes."""
        squares = torch.cat(self.squares)
        self.squares.clear()
        # Processes may have seen different numbers of samples: not the mean of their means.
        count = torch.full_like(squares[0], len(squares))
        share = self.over_all(count, "sum") / count
        score = (self.over_all(squares.mean() / share, "sum")).sqrt()
        self.log("validation_rmse", score, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW, with rates of their own for the prior and H, warmed up and lowered as a cosine."""
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
    """Train a model in place and leave it with the weights of the best validation.

    Parameters
    ----------
    model : VariationalModel
    samples : Samples or BufferedSamples
    validation : Samples
    training : Training
    folder : Path
        Where checkpoints and the log (``metrics.csv``) are kept.
    resume : bool
        Go on from the last checkpoint in `folder`, if there is one.
    progress : bool
        Show a progress bar.
    devices : int
        Processes, each with a GPU or a part of the processor, that share every batch; the result is that of
        one to rounding, and a checkpoint of some may be resumed on others.

    Returns
    -------
    float
        The best root mean square error on the validation samples, in normalised units.

    Raises
    ------
    RecipeError
        If the solver, the prior or the number of devices do not go with the training, or no parameter of
        the model can be learned.
    DataError
        If the checkpoint to go on from cannot be read.

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
    alone = devices == 1 and training.device != "cuda"
    kind = training.device if alone else kind_of_device(training.device, devices)
    if training.steps == 0:
        learn_prior(model, samples, training)
        return math.nan
    solver = learned(model.solver)
    if training.checkpoint_iterations and not solver.recomputes:
        raise RecipeError(
            f"train: checkpoint_iterations is set, but a solver of class {type(solver).__name__} cannot run "
            "its iterations again; leave it out, or take a solver of kind 'lstm'"
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
                parameter.requires_grad_(False)  # no work for derivatives that would be multiplied by zero
            unused = devices > 1 and leaves_unused(module.model, samples, training)
            task = (module.model, samples, validation, training, folder, done, progress, kind, devices)
            if devices == 1:
                fit(*task, unused)
            else:
                run_on(devices, fit, *task, unused)
        except SystemExit as stop:
            # So Lightning ends when it is interrupted; its caller is to hear of it.
            raise KeyboardInterrupt from stop
        except OSError as error:
            raise DataError(
                f"{folder}: checkpoints and the log could not be written ({error}); check the space on the "
                "disk and the permissions, then go on with --resume"
            ) from error
        finally:
            # The caller may go on with the model after an interrupt or an error.
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
    """The part of one of `devices` processes in a training of which some steps are `done`.

    `unused` says whether a parameter has no part in the loss, which the processes must know of.
    """
    # Evened out, so that the last validation falls on the last steps.
    interval = training.steps // max(1, round(training.steps / training.validate_every))
    best = ModelCheckpoint(folder, "best", monitor="validation_rmse", enable_version_counter=False)
    latest = ModelCheckpoint(folder, "last", enable_version_counter=False)
    shown = [TQDMProgressBar(refresh_rate=10)] if progress else []
    together = DDPStrategy(cluster_environment=LightningEnvironment(), find_unused_parameters=unused)
    # A resumed loop counts the batches it had before, but reads from the first: the samples move on.
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
            # A log of its own for what follows a restart: the logger would delete the earlier one.
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
            DataLoader(drawn, batch_sampler=Share(len(drawn), *part)),
            DataLoader(checked, batch_sampler=Share(len(checked), *part)),
            ckpt_path=folder / "last.ckpt" if done else None,
            weights_only=True,
        )


def leaves_unused(model: VariationalModel, samples: Samples | BufferedSamples, training: Training) -> bool:
    """Whether a parameter has no part in the loss, as a weight of U that the solver does not minimise."""
    sample = default_collate([Drawn(samples, 1, training.seed)[0]])
    loss, _ = reconstruction_loss(model, sample, training.nu, training.observation_fit)
    check_learnable(model, loss)
    wanted = [p for p in model.parameters() if p.requires_grad]
    return any(g is None for g in torch.autograd.grad(loss, wanted, allow_unused=True))


def check_learnable(model: VariationalModel, loss: Tensor) -> None:
    """Refuse a training in which no parameter would change.

    Raises
    ------
    RecipeError
    """
    # The gradient within a solver can make the loss differentiable without any parameter.
    if not loss.requires_grad or not any(p.requires_grad for p in model.parameters()):
        raise RecipeError(
            "train: the loss depends on no parameter of the model; set train.steps to 0, or choose a prior "
            "or a solver with parameters to learn"
        )


def learned(solver: Solver) -> Solver:
    """The part of a solver that is trained: the first of a chain."""
    while isinstance(solver, Chain):
        solver = solver.first
    return solver


def checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; nothing in it is ever executed.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # the library raises whatever a broken file provokes
        raise DataError(
            f"{path}: a checkpoint that cannot be read; remove {path.parent} and train anew"
        ) from error


def check_shapes(kept: Mapping[str, Tensor], weights: Mapping[str, Tensor], folder: Path) -> None:
    """Refuse the weights of a checkpoint that are not those of a model.

    Raises
    ------
    RecipeError
    """
    if {n: t.shape for n, t in kept.items()} != {n: t.shape for n, t in weights.items()}:
        raise RecipeError(f"{folder}: checkpoints of another model; give its recipe, or remove the folder")


def score_of(checkpoint: Mapping[str, Any]) -> float:
    """The validation score that a checkpoint was kept for."""
    scores = [state.get("best_model_score") for state in checkpoint["callbacks"].values()]
    return next((float(s) for s in scores if s is not None), math.nan)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its advice about the machine, for as long as it is needed."""
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
