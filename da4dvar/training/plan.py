"""How a model is trained: the numbers of a training, checked before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from da4dvar.config.types import parse_bytes
from da4dvar.errors import DataError, RecipeError, nearest

# A slip of the finger in these is a wait without end.
MOST = {"steps": 10**9, "batch": 10**5, "validation_samples": 10**6, "draws": 10**4, "rate": 1e3}
KINDS_OF_DEVICE = ("auto", "cpu", "cuda")
# As an interpolation names them, and as Lightning does.
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


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
        Updates over which the rate rises.
    weight_decay : float
        Of AdamW (Loshchilov and Hutter, 2019).
    clip : float
        Largest norm of the gradient of the loss.
    nu : (float, float, float)
        ν₁, ν₂ and ν₃ of eq. (9).
    prior_steps : int
        Updates of the prior alone on complete windows of the truth before the joint training; principal
        components are fitted without any. See :func:`da4dvar.training.prior.learn_prior`.
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
        Of samples, gaps and noise.
    device : {"auto", "cpu", "cuda"}
        Where to train; how many of them share a batch is the argument `devices` of a training.
    precision : {"float32", "bfloat16", "float16"}
        Precision of convolutions and matrix products; weights, state and cost stay in float32.
    checkpoint_iterations : bool
        Keep the states between the solver's iterations but not what is within one, which is run again for
        its gradients: the same gradients, the memory of one iteration, and about 1.4 times the time.
    buffer : str or int, optional
        Memory for training data, as "2GiB": lazy data that are larger are read in blocks of consecutive
        times, from which samples are drawn, a buffer of blocks after the other. Everything is read if not
        given.

    Raises
    ------
    RecipeError
        If a number makes no sense.

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

    def __post_init__(self) -> None:
        for name in ("batch", "rate", "clip", "validate_every", "validation_samples", "draws"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected above 0")
        for name in ("steps", "prior_steps", "prior_rate", "observation_rate", "observation_fit"):
            if not (getattr(self, name) or 0) >= 0:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected 0 or more")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise RecipeError(f"train: {name} is {getattr(self, name)}, expected up to {most}")
        if len(self.nu) != 3:
            raise RecipeError(f"train: nu has {len(self.nu)} numbers, expected 3")
        if not all(0 <= weight < math.inf for weight in self.nu):
            raise RecipeError(f"train: nu is {self.nu}, expected numbers from 0 on")
        if not all(count > 0 for count in self.iterations):
            raise RecipeError(f"train: iterations are {self.iterations}, expected numbers above 0")
        for name, known in (("device", KINDS_OF_DEVICE), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise RecipeError(f"train: {name} is {getattr(self, name)!r}; {nearest('', map(str, known))}")
        _ = self.buffer_bytes  # which refuses what is no size

    @property
    def buffer_bytes(self) -> int:
        """The buffer in bytes, 0 if there is none."""
        if self.buffer is None:
            return 0
        try:
            return parse_bytes(str(self.buffer))
        except DataError as error:
            raise RecipeError(f"train: buffer is {self.buffer!r}, expected a size such as '2GiB'") from error
