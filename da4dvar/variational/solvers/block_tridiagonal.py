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

    Examples
    --------
    >>> eye = torch.eye(2).expand(1, 3, 2, 2)
    >>> solve_block_tridiagonal(2 * eye, 0 * eye[:, 1:], torch.ones(1, 3, 2))
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    times = diagonal.shape[1]
    factors, couplings, forward = [], [], []
    block, rest = diagonal[:, 0], right[:, 0, :, None]
    for t in range(times):
        factor = torch.linalg.cholesky(block)
        part = torch.linalg.solve_triangular(factor, rest, upper=False)
        factors.append(factor)
        forward.append(part)
        if t + 1 < times:
            coupling = torch.linalg.solve_triangular(factor, below[:, t].mT, upper=False)
            couplings.append(coupling)
            block = diagonal[:, t + 1] - coupling.mT @ coupling
            rest = right[:, t + 1, :, None] - coupling.mT @ part
    solved = [torch.linalg.solve_triangular(factors[-1].mT, forward[-1], upper=True)]
    for t in range(times - 2, -1, -1):
        rest = forward[t] - couplings[t] @ solved[-1]
        solved.append(torch.linalg.solve_triangular(factors[t].mT, rest, upper=True))
    return torch.stack(solved[::-1], dim=1).squeeze(-1)
