"""Training plan: the settings of a training, checked before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from da4dvar.config.types import parse_bytes
from da4dvar.errors import DataError, RecipeError, nearest
from da4dvar.variational.device import DEVICES

# A slip of the finger in these is a wait without end.
MOST = {
    "steps": 10**9,
    "batch": 10**5,
    "validation_samples": 10**6,
    "draws": 10**4,
    "rate": 1e3,
    "workers": 256,
}
# As an interpolation names them, and as Lightning does.
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


@dataclass(frozen=True)
class Training:
    """Settings of a training.

    Parameters
    ----------
    steps : int
        Number of updates of the parameters; with 0, only the prior is trained, as `prior_steps` says.
    batch : int
        Number of samples per update.
    rate : float
        Highest learning rate; it rises over `warmup` steps and then decays as a cosine.
    warmup : int
        Number of updates over which the rate rises.
    weight_decay : float
        Weight decay of AdamW (Loshchilov and Hutter, 2019).
    clip : float
        Largest norm of the gradient of the loss; larger gradients are scaled down.
    nu : (float, float, float)
        ν₁, ν₂ and ν₃ of eq. (9).
    prior_steps : int
        Number of updates of the prior alone on complete windows of the truth before the joint training;
        principal components are fitted without any. See :func:`da4dvar.training.prior.learn_prior`.
    prior_rate : float, optional
        Highest learning rate of the prior in the joint training, 0 to keep its parameters; `rate` by default.
    observation_rate : float, optional
        Highest learning rate of the observation operator; `rate` by default. Its kernel and bias start as the
        identity and have further to go than the weights of a network.
    observation_fit : float
        Weight of ‖H(x) − y‖² at the truth, added to eq. (9). The reconstruction error alone does not
        determine the amplitude of a learned H.
    iterations : sequence of int
        Number of solver iterations in each of as many equal parts of the training; the solver's own number
        by default. The paper: "gradually increase the number of iterations".
    validate_every : int
        Number of updates between two validations; the weights with the best score are kept.
    validation_samples : int
        Number of validation samples, which are always the same.
    draws : int
        Number of times that gaps are drawn for the whole data set if the model has a first guess.
    seed : int
        Seed of samples, gaps and noise.
    device : {"auto", "cpu", "cuda"}
        Type of device to train on; the argument `devices` of a training says how many share a batch.
    precision : {"float32", "bfloat16", "float16"}
        Precision of convolutions and matrix products; weights, state and cost stay in float32.
    checkpoint_iterations : bool
        Store only the states between solver iterations, and recompute each iteration for its gradients. This
        gives the same gradients with the memory of one iteration in about 1.4 times the time.
    buffer : str or int, optional
        Memory for training data, as "2GiB": lazy data that are larger are read in blocks of consecutive
        times, from which samples are drawn, a buffer of blocks after the other. Everything is read if not
        given.
    workers : int
        Processes for each device that prepare samples while the model is trained on the last ones; with 0
        the training process prepares them itself. The samples are the same; each worker has its own buffer.

    Raises
    ------
    RecipeError
        If a value is out of range.

    Examples
    --------
    >>> Training(steps=2000, iterations=[5, 10, 15], buffer="2GiB").buffer_bytes
    2147483648
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
    device: str = "auto"
    precision: str = "float32"
    checkpoint_iterations: bool = False
    buffer: str | int | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "rate", "clip", "validate_every", "validation_samples", "draws"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected above 0")
        for name in ("seed", "steps", "prior_steps", "workers"):
            if not getattr(self, name) >= 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected 0 or more")
        for name in ("prior_rate", "observation_rate", "observation_fit"):
            if not (getattr(self, name) or 0) >= 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected 0 or more")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected up to {most}")
        if len(self.nu) != 3:
            raise RecipeError(f"train: nu has {len(self.nu)} numbers, expected 3")
        if not all(0 <= weight < math.inf for weight in self.nu):
            raise RecipeError(f"train: nu is {self.nu}, expected finite numbers of 0 or more")
        if not all(count > 0 for count in self.iterations):
            raise RecipeError(f"train: iterations are {self.iterations}, expected numbers above 0")
        for name, known in (("device", DEVICES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise RecipeError(f"train: {name} is {getattr(self, name)!r}; {nearest('', map(str, known))}")
        _ = self.buffer_bytes  # raises if the size cannot be parsed

    @property
    def buffer_bytes(self) -> int:
        """Size of the buffer in bytes, 0 without a buffer."""
        if self.buffer is None:
            return 0
        try:
            return parse_bytes(str(self.buffer))
        except DataError as error:
            raise RecipeError(f"train: buffer is {self.buffer!r}, expected a size such as '2GiB'") from error
