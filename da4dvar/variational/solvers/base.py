"""What every solver takes and gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.cost import Cost, Terms

# Is told every iterate, x(0) first.
Watch = Callable[[Tensor], None]


@dataclass
class Solution:
    """A minimiser of U, and the way to it.

    Attributes
    ----------
    x : Tensor, shape ``(batch, channel, *space)``
        The estimate: the last iterate, unless the solver says otherwise.
    observation, prior : Tensor, shape (iteration + 1, batch)
        Both weighted terms of U, from x(0) to the last iterate.
    iterations : int
        Updates made.
    converged : Tensor of bool, shape (batch,)
        Whether the solver's own test of convergence was met; never for a fixed number of learned
        updates, which has no such test.
    """

    x: Tensor
    observation: Tensor
    prior: Tensor
    iterations: int
    converged: Tensor

    @property
    def cost(self) -> Tensor:
        """U along the iterations, shape (iteration + 1, batch)."""
        return self.observation + self.prior


class Solver(nn.Module, ABC):
    """Γ: from an initial state to a minimiser of U. The answer for a sample is its own alone.

    Attributes
    ----------
    iterations : int
    recomputes : bool
        Whether `forward` takes ``recompute=True``: in training the graph of an iteration is not kept but
        made again, so that memory does not grow with their number; the gradients are the same.
    """

    iterations: int
    recomputes: ClassVar[bool] = False

    @abstractmethod
    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        """Minimise `cost` from `x0`, shape ``(batch, channel, *space)``; `watch` is told every iterate."""


def solution(x: Tensor, path: Sequence[Terms], converged: Tensor | None = None) -> Solution:
    """A `Solution` from the terms met on the way, in their order."""
    observation = torch.stack([terms.observation for terms in path])
    prior = torch.stack([terms.prior for terms in path])
    if converged is None:
        converged = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
    return Solution(x, observation, prior, len(path) - 1, converged)


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape (batch,) shaped to multiply a field of shape (batch, channel, *space)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
