"""The Jacobian of a flow at every time, with as few directions as its sparsity allows."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.variational.priors.flow import Flow

# Numbers to a chunk of directions: what stays in a processor's cache.
CHUNK = 2**17


class Tangent:
    """Jacobians A(t) = ∂Φ/∂x(t) of a flow, shape (batch, time, n, n).

    Components that act on no component in common share a direction: Lorenz-96 needs 14 of them for its
    40 components. Curtis, Powell and Reid (1974). Which act on which is seen from the Jacobian at states
    drawn at random, once.

    Parameters
    ----------
    flow : Flow
    like : Tensor, shape (batch, channel, *space, time)
        Says the shape, data type and device of the states.
    """

    def __init__(self, flow: Flow, like: Tensor) -> None:
        self.flow, self.shape = flow, like.shape[1:-1]
        self.size = self.shape.numel()
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(1, *self.shape, 4, generator=generator).to(like)
        every = torch.eye(self.size, dtype=like.dtype, device=like.device)
        self.pattern = (self._along(states, every) != 0).any(-1).any(1).T
        self.group = self._groups()
        self.directions = torch.zeros(int(self.group.max()) + 1, self.size).to(like)
        self.directions[self.group, torch.arange(self.size)] = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """The Jacobians at the states `x`, shape (batch, channel, *space, time)."""
        # (group, batch, row, time) to (column, batch, row, time): what is not of a column is zero there.
        columns = self._along(x, self.directions)[self.group]
        columns = columns * self.pattern.T.to(x.dtype)[:, None, :, None]
        return columns.permute(1, 3, 2, 0).contiguous()

    def _along(self, x: Tensor, directions: Tensor) -> Tensor:
        """A(t) d for every direction d and time t, shape (direction, batch, n, time)."""

        def along(direction: Tensor) -> Tensor:
            # Times do not act on each other: one direction serves all of them.
            tangent = direction.reshape(1, *self.shape, 1).expand_as(x)
            return torch.func.jvp(self.flow.forecast, (x,), (tangent,))[1]

        chunk = max(1, CHUNK // x.numel())
        columns = torch.func.vmap(along, chunk_size=chunk)(directions)
        return columns.reshape(len(directions), x.shape[0], self.size, x.shape[-1])

    def _groups(self) -> Tensor:
        """A group for each column, so that no two columns of a group meet in a row."""
        counts = self.pattern.T.to(torch.float32) @ self.pattern.to(torch.float32)
        meet = (counts > 0).cpu()
        groups: list[int] = []
        for column in range(self.size):
            taken = {groups[other] for other in range(column) if meet[column, other]}
            groups.append(next(g for g in range(self.size) if g not in taken))
        return torch.tensor(groups, device=self.pattern.device)
