"""Symmetric block-tridiagonal systems: what a Gauss-Newton step on a flow prior comes down to."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_block_tridiagonal(diagonal: Tensor, below: Tensor, right: Tensor) -> Tensor:
    """Solve M z = r for a symmetric positive definite M of blocks D₀, D₁, … with B₁, B₂, … below.

    A block Cholesky factorisation: Lₜ Lₜᵀ = Dₜ − Wₜ₋₁ᵀ Wₜ₋₁ with Wₜ = Lₜ⁻¹ Bₜ₊₁ᵀ, then one sweep
    forward and one back. The work grows with the number of blocks, not with its cube.

    Parameters
    ----------
    diagonal : Tensor, shape (batch, time, n, n)
    below : Tensor, shape (batch, time - 1, n, n)
        The block of row t + 1 and column t.
    right : Tensor, shape (batch, time, n)

    Returns
    -------
    Tensor, shape (batch, time, n)
        NaN for a sample whose M is not positive definite to the precision of its numbers.

    Examples
    --------
    >>> eye = torch.eye(2).expand(1, 3, 2, 2)
    >>> solve_block_tridiagonal(2 * eye, 0 * eye[:, 1:], torch.ones(1, 3, 2))
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    times, n = diagonal.shape[1], diagonal.shape[-1]
    # B and r share their triangular solves: the last column is r's.
    sides = torch.cat([below.mT, right[:, :-1, :, None]], dim=-1)
    factors, solved, failed = [], [], torch.zeros_like(diagonal[:, 0, 0, 0], dtype=torch.bool)
    block, rest = diagonal[:, 0], right[:, 0, :, None]
    for t in range(times):
        factor, info = torch.linalg.cholesky_ex(block)
        failed |= info > 0
        factors.append(factor)
        if t + 1 < times:
            sides[:, t, :, -1:] = rest
            both = torch.linalg.solve_triangular(factor, sides[:, t], upper=False)
            solved.append(both)
            inner = both[..., :n].mT @ both
            block = diagonal[:, t + 1] - inner[..., :n]
            rest = right[:, t + 1, :, None] - inner[..., n:]
    last = torch.linalg.solve_triangular(factors[-1], rest, upper=False)
    z = [torch.linalg.solve_triangular(factors[-1].mT, last, upper=True)]
    for t in range(times - 2, -1, -1):
        rest = solved[t][..., n:] - solved[t][..., :n] @ z[-1]
        z.append(torch.linalg.solve_triangular(factors[t].mT, rest, upper=True))
    found = torch.stack(z[::-1], dim=1).squeeze(-1)
    return torch.where(failed[:, None, None], torch.nan, found)
