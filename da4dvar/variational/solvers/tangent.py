"""The tangent linear model of a flow at every time, computed along few directions by its sparsity."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.variational.priors.flow import Flow

# Samples of which Jacobians are computed at a time.
SAMPLES = 16


class Tangent:
    """Forecasts Φ(x)(t) and their Jacobians A(t) = ∂Φ/∂x(t).

    The derivatives k′ of the four Runge-Kutta stages follow from those of φ by the chain rule,
    k₂′ = φ′(x + Δ k₁ / 2) (I + Δ k₁′ / 2) and so on. Components that do not act on a common component
    share a direction (Curtis, Powell and Reid, 1974): with 40 components, Lorenz-96 needs 4 directions for
    φ′ and 14 for A. The sparsity pattern is found once, from φ′ at random states.

    Parameters
    ----------
    flow : Flow
        Φ.
    like : Tensor, shape ``(batch, channel, *space, time)``
        A tensor with the shape, data type and device of the states.
    """

    def __init__(self, flow: Flow, like: Tensor) -> None:
        self.flow, self.shape = flow, like.shape[1:-1]
        self.size = self.shape.numel()
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(1, *self.shape, 4, generator=generator).to(like)
        identity = torch.eye(self.size).to(like)
        acts = (self._along(states, identity) != 0).any(-1).any(1).T
        self.group_of_tendency = groups(acts)
        self.directions_of_tendency = directions(self.group_of_tendency, like)
        # The non-zero columns of each row of φ′; rows with fewer are filled up with others, times zero.
        columns = acts.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        self.columns = columns[:, : max(1, int(acts.sum(1).max()))].T
        self.present = acts.gather(1, self.columns.T).T[..., None, None].to(like.dtype)
        # Each of the four stages of a step extends the influence of a component by one application of φ′.
        stage = (acts | (identity != 0)).float()
        self.pattern = torch.linalg.matrix_power(stage, 4 * flow.substeps) > 0
        self.group = groups(self.pattern)
        self.directions = directions(self.group, like)
        # The direction that holds each element of A.
        rows = torch.arange(self.size, device=like.device)[:, None] * len(self.directions)
        self.positions = (rows + self.group).flatten()

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the forecasts and Jacobians for states `x` of shape ``(batch, channel, *space, time)``.

        Returns
        -------
        forecast : Tensor, shape of `x`
            Φ(x)(t).
        jacobian : Tensor, shape (batch, time, n, n)
            A(t), for the n components of a state.
        """
        parts = [self._of_few(part) for part in x.split(SAMPLES)]
        forecasts, jacobians = zip(*parts, strict=True)
        return torch.cat(forecasts), torch.cat(jacobians)

    def _of_few(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the forecasts and Jacobians of so few samples that their directions stay in the cache."""
        step, phi = self.flow.step / self.flow.substeps, self.flow.dynamics
        v = self.directions.T[..., None, None].expand(-1, -1, x.shape[0], x.shape[-1])
        for _ in range(self.flow.substeps):
            k1, v1 = phi(x), self._pushed(x, v)
            at = x + step / 2 * k1
            k2, v2 = phi(at), self._pushed(at, v + step / 2 * v1)
            at = x + step / 2 * k2
            k3, v3 = phi(at), self._pushed(at, v + step / 2 * v2)
            at = x + step * k3
            k4, v4 = phi(at), self._pushed(at, v + step * v3)
            x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            v = v + step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        # Where a column of the Jacobian is non-zero, the other columns of its group are zero.
        each = v.flatten(0, 1).flatten(1).T.contiguous().index_select(1, self.positions)
        return x, each.view(len(x), x.shape[-1], *self.pattern.shape).mul_(self.pattern)

    def _pushed(self, x: Tensor, v: Tensor) -> Tensor:
        """φ′(x) v for directions `v` of shape (n, direction, batch, time)."""
        slopes = self._along(x, self.directions_of_tendency).transpose(1, 2)
        rows = torch.arange(self.size, device=x.device)
        slopes = slopes[self.group_of_tendency[self.columns], rows] * self.present
        pushed = slopes[0][:, None] * v.index_select(0, self.columns[0])
        for column, slope in zip(self.columns[1:], slopes[1:], strict=True):
            pushed.addcmul_(slope[:, None], v.index_select(0, column))
        return pushed

    def _along(self, x: Tensor, each: Tensor) -> Tensor:
        """φ′(x) d for each direction d, shape (direction, batch, n, time)."""

        def along(direction: Tensor) -> Tensor:
            # Times do not interact, so that one direction serves all of them.
            tangent = direction.reshape(1, *self.shape, 1).expand_as(x)
            pushed: Tensor = torch.func.jvp(self.flow.dynamics, (x,), (tangent,))[1]
            return pushed

        return torch.func.vmap(along)(each).reshape(len(each), x.shape[0], self.size, x.shape[-1])


def groups(pattern: Tensor) -> Tensor:
    """Assign each column of a sparsity pattern to a group without two non-zeros in a row."""
    meet = ((pattern.T.float() @ pattern.float()) > 0).cpu()
    found: list[int] = []
    for column in range(pattern.shape[1]):
        taken = {found[other] for other in range(column) if meet[column, other]}
        found.append(next(g for g in range(column + 1) if g not in taken))
    return torch.tensor(found, device=pattern.device)


def directions(group: Tensor, like: Tensor) -> Tensor:
    """One direction per group: the sum of the unit vectors of its columns."""
    each = torch.zeros(int(group.max()) + 1, len(group)).to(like)
    each[group, torch.arange(len(group), device=group.device)] = 1.0
    return each
