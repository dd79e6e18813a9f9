"""Training of a model: samples, loss, plan and the training loop.

This package imports `analysis` and the packages below it. `loop` is its only module that imports Lightning.
A new way to make samples belongs in `dataset`, a new term of the loss in `loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from da4dvar import attached

# Imported on first use: names are public here, and modules load what they need.
_PUBLIC = {
    "BufferedSamples": "buffered",
    "Samples": "samples",
    "Training": "plan",
    "block_sizes": "buffered",
    "learn_prior": "prior",
    "reconstruction_loss": "loss",
    "train": "loop",
    "training_samples": "dataset",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from da4dvar.training.buffered import BufferedSamples as BufferedSamples
    from da4dvar.training.buffered import block_sizes as block_sizes
    from da4dvar.training.dataset import training_samples as training_samples
    from da4dvar.training.loop import train as train
    from da4dvar.training.loss import reconstruction_loss as reconstruction_loss
    from da4dvar.training.plan import Training as Training
    from da4dvar.training.prior import learn_prior as learn_prior
    from da4dvar.training.samples import Samples as Samples

__getattr__, __dir__ = attached(__name__, _PUBLIC)
