"""A right-hand side that is learned: every product of two components, and nothing else known."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bilinear(nn.Module):
    """φᵢ(x) = bᵢ + Σⱼ Aᵢⱼ xⱼ + Σⱼₖ Qᵢⱼₖ xⱼ xₖ, all learned: the neural ODE of eqs. (6)-(7).

    On a periodic system every component obeys the same law, so that j and k run over the
    neighbours within `reach` and b, A and Q are the same for all i.

    Parameters
    ----------
    components : int
        Length of the state along `axis`.
    reach : int, optional
        Neighbours on either side that act on a component of a periodic system; without it the
        system is not periodic and every component acts on every other.
    axis : int
        The axis of the components, counted from the end.
    """

    pairs: Tensor

    def __init__(self, components: int, reach: int | None = None, axis: int = -2) -> None:
        super().__init__()
        self.components, self.reach, self.axis = components, reach, axis
        inputs = components if reach is None else 2 * reach + 1
        outputs = components if reach is None else 1
        self.register_buffer("pairs", torch.triu_indices(inputs, inputs))
        self.constant = nn.Parameter(torch.zeros(outputs))
        self.linear = nn.Parameter(0.01 * torch.randn(outputs, inputs))
        self.quadratic = nn.Parameter(0.01 * torch.randn(outputs, self.pairs.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[self.axis] != self.components:
            raise ValueError(f"the state has {x.shape[self.axis]} components, expected {self.components}")
        x = x.movedim(self.axis, -1)
        if self.reach is None:
            inputs = x
        else:
            shifts = range(self.reach, -self.reach - 1, -1)
            inputs = torch.stack([torch.roll(x, s, -1) for s in shifts], dim=-1)
        products = inputs[..., self.pairs[0]] * inputs[..., self.pairs[1]]
        tendency = inputs @ self.linear.T + products @ self.quadratic.T + self.constant
        if self.reach is not None:
            tendency = tendency.squeeze(-1)
        return tendency.movedim(-1, self.axis)
