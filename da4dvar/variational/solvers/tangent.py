"""The tangent linear model of a flow at every time, computed along few directions by its sparsity."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.variational.priors.flow import Flow

# Samples of which Jacobians are computed at a time.
SAMPLES = 4


class Tangent:
    """Forecasts Φ(x)(t) and their Jacobians A(t) = ∂Φ/∂x(t).

    The derivatives k′ of the four Runge-Kutta stages follow from those of φ by the chain rule,
    k₂′ = φ′(x + Δ k₁ / 2) (I + Δ k₁′ / 2) and so on. Rows of φ′ without a common component share a gradient,
    and columns of A that do not act on a common component a direction (Curtis, Powell and Reid, 1974): with
    40 components, Lorenz-96 needs 4 gradients and 14 directions. The sparsity pattern is found once, from φ′
    at random states.

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
        acts = (self._transposed(states, identity) != 0).any(-1).any(1)
        self.group_of_tendency = groups(acts.T)
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
        v = self.directions.T[..., None, None]
        for _ in range(self.flow.substeps):
            k1 = phi(x)
            x2 = torch.add(x, k1, alpha=step / 2)
            k2 = phi(x2)
            x3 = torch.add(x, k2, alpha=step / 2)
            k3 = phi(x3)
            x4 = torch.add(x, k3, alpha=step)
            first, second, third, fourth = self._slopes(torch.cat([x, x2, x3, x4])).chunk(4, dim=2)
            v1 = self._pushed(first, v)
            v2 = self._pushed(second, torch.add(v, v1, alpha=step / 2))
            v3 = self._pushed(third, torch.add(v, v2, alpha=step / 2))
            v4 = self._pushed(fourth, torch.add(v, v3, alpha=step))
            x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + phi(x4))
            v = torch.add(v, v1.add_(v2.add_(v3), alpha=2).add_(v4), alpha=step / 6)
        each = v.flatten(0, 1).flatten(1).T.contiguous()
        # Where a column of the Jacobian is non-zero, the other columns of its group are zero. Gathering is
        # four times faster than indexing.
        each = each.gather(1, self.positions.expand(len(each), -1))
        return x, each.view(len(x), x.shape[-1], *self.pattern.shape).mul_(self.pattern)

    def _slopes(self, x: Tensor) -> Tensor:
        """The non-zero elements of each row of φ′(x), shape (column, n, batch, time)."""
        slopes = self._transposed(x, self.directions_of_tendency).transpose(1, 2)
        return slopes[self.group_of_tendency, self.columns] * self.present

    def _pushed(self, slopes: Tensor, v: Tensor) -> Tensor:
        """φ′(x) v for the slopes of `x` and directions `v` of shape (n, direction, batch, time)."""
        pushed = slopes[0][:, None] * v.index_select(0, self.columns[0])
        for column, slope in zip(self.columns[1:], slopes[1:], strict=True):
            pushed.addcmul_(slope[:, None], v.index_select(0, column))
        return pushed

    def _transposed(self, x: Tensor, each: Tensor) -> Tensor:
        """φ′(x)ᵀ d for each direction d, shape (direction, batch, n, time).

        As the gradient of a sum: the first use of forward differentiation loads the library's compiler, which
        takes seconds, and it has one state for all threads.
        """
        # Times do not interact, so that one direction serves all of them.
        along = each.reshape(len(each), 1, *self.shape, 1).expand(-1, len(x), *x.shape[1:]).flatten(0, 1)
        at = x.repeat(len(each), *[1] * (x.ndim - 1)).requires_grad_()
        with torch.enable_grad():
            product = (self.flow.dynamics(at) * along).sum()
        # A tendency that does not depend on the state, such as 0, has no gradient.
        found = torch.autograd.grad(product, at)[0] if product.requires_grad else torch.zeros_like(at)
        return found.reshape(len(each), len(x), self.size, x.shape[-1])


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
