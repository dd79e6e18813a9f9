"""Symmetric block-tridiagonal systems, the form of a Gauss-Newton step on a flow prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def solve_block_tridiagonal(
    diagonal: Tensor, tangent: Tensor, weight: float, right: Tensor, first: Tensor | None = None
) -> Tensor:
    """Solve M z = r, where M has blocks diag(dₜ) + w Aₜᵀ Aₜ on the diagonal and −w Aₜ below it.

    The method is a block Cholesky factorisation, Lₜ Lₜᵀ = diag(dₜ) + w Aₜᵀ Aₜ − Wₜ₋₁ᵀ Wₜ₋₁ with
    Wₜ = −w Vₜ and Vₜ = Lₜ⁻¹ Aₜᵀ, followed by a forward and a backward sweep. Its cost grows linearly,
    not cubically, with the number of blocks. Each block of M is formed where it is used, so that it stays in
    the cache of the processor.

    Parameters
    ----------
    diagonal : Tensor, shape (batch, time, n)
        d.
    tangent : Tensor, shape (batch, time - 1, n, n)
        A, from each time to the next; the last block of M has no such term.
    weight : float
        w.
    right : Tensor, shape (batch, time, n, k)
        r, k right-hand sides.
    first : Tensor, shape (batch, n, n), optional
        Symmetric matrix that is added to the first block of M.

    Returns
    -------
    Tensor, shape (batch, time, n, k)
        z; NaN for a sample whose M is not positive definite in the precision of the data type.

    Examples
    --------
    >>> standing = torch.zeros(1, 2, 2, 2)
    >>> solve_block_tridiagonal(2 * torch.ones(1, 3, 2), standing, 1.0, torch.ones(1, 3, 2, 1))[..., 0]
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    factors, solved, failed = eliminated(diagonal, tangent, weight, right, first)
    return _swept_back(factors, solved, [sides[..., -right.shape[-1] :] for sides in solved], weight, failed)


def draws_block_tridiagonal(
    diagonal: Tensor, tangent: Tensor, weight: float, first: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """Return the function z = L⁻ᵀ ξ with M = L Lᵀ, so that z has the covariance M⁻¹ if ξ is white noise.

    M is factorised once; each draw costs a backward sweep.

    Parameters
    ----------
    diagonal, tangent, weight, first
        See :func:`solve_block_tridiagonal`.

    Returns
    -------
    callable
        Maps ξ, shape (batch, time, n), to z, of the same shape; NaN for a sample whose M is not positive
        definite in the precision of the data type.

    Examples
    --------
    >>> draw = draws_block_tridiagonal(4 * torch.ones(1, 2, 1), torch.zeros(1, 1, 1, 1), 1.0)
    >>> draw(torch.ones(1, 2, 1)).flatten()
    tensor([0.5000, 0.5000])
    """
    factors, solved, failed = eliminated(diagonal, tangent, weight, diagonal[..., None][..., :0], first)
    return lambda noise: _swept_back(factors, solved, noise[..., None].unbind(1), weight, failed).squeeze(-1)


def _swept_back(
    factors: Sequence[Tensor],
    solved: Sequence[Tensor],
    right: Sequence[Tensor],
    weight: float,
    failed: Tensor,
) -> Tensor:
    """Return z(t) = L(t)⁻ᵀ (r(t) + w V(t) z(t + 1)), from the last time to the first."""
    n = factors[0].shape[-1]
    z = [torch.linalg.solve_triangular(factors[-1].mT, right[-1], upper=True)]
    for t in range(len(factors) - 2, -1, -1):
        rest = torch.baddbmm(right[t], solved[t][..., :n], z[-1], alpha=weight)
        z.append(torch.linalg.solve_triangular(factors[t].mT, rest, upper=True))
    return torch.where(failed[:, None, None, None], torch.nan, torch.stack(z[::-1], dim=1))


def inverse_block_tridiagonal(
    diagonal: Tensor, tangent: Tensor, weight: float, first: Tensor | None = None
) -> Tensor:
    """Blocks of M⁻¹ on the diagonal, with M as in :func:`solve_block_tridiagonal`.

    With Gₜ = Lₜ⁻ᵀ Wₜ, Σₜ = (Lₜ Lₜᵀ)⁻¹ + Gₜ Σₜ₊₁ Gₜᵀ, from the last block to the first (Rauch, Tung and
    Striebel, 1965).

    Parameters
    ----------
    diagonal, tangent, weight, first
        See :func:`solve_block_tridiagonal`.

    Returns
    -------
    Tensor, shape (batch, time, n, n)
        Σ; NaN for a sample whose M is not positive definite in the precision of the data type.

    Examples
    --------
    >>> inverse_block_tridiagonal(torch.ones(1, 2, 1), torch.ones(1, 1, 1, 1), 1.0).flatten().round()
    tensor([1., 2.])
    """
    n = diagonal.shape[2]
    factors, solved, failed = eliminated(diagonal, tangent, weight, diagonal[..., None][..., :0], first)
    identity = torch.eye(n).to(diagonal).expand(len(diagonal), n, n)
    blocks: list[Tensor] = []
    for factor, sides in zip(factors[::-1], solved[::-1], strict=True):
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        block = inverse.mT @ inverse
        if blocks:
            gain = weight * (inverse.mT @ sides[..., :n])
            block = block + gain @ blocks[-1] @ gain.mT
        blocks.append(block)
    return torch.where(failed[:, None, None, None], torch.nan, torch.stack(blocks[::-1], dim=1))


def eliminated(
    diagonal: Tensor, tangent: Tensor, weight: float, right: Tensor, first: Tensor | None
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return Lₜ, [Vₜ, Lₜ⁻¹ rₜ] and which samples failed; see :func:`solve_block_tridiagonal`."""
    times, n = diagonal.shape[1:]
    block, rest = torch.diag_embed(diagonal[:, 0]), right[:, 0]
    if first is not None:
        block += first
    factors, solved, failed = [], [], torch.zeros_like(diagonal[:, 0, 0], dtype=torch.bool)
    for t in range(times):
        if t + 1 < times:
            here = tangent[:, t]
            block = torch.baddbmm(block, here.mT, here, alpha=weight)
            # The triangular solves of A and r are combined, in an order of memory that is overwritten.
            sides = torch.cat([here, rest.mT], dim=1).mT
        else:
            sides = rest.mT.contiguous().mT
        factor, info = torch.linalg.cholesky_ex(block)
        failed |= info > 0
        torch.linalg.solve_triangular(factor, sides, upper=False, out=sides)
        factors.append(factor)
        solved.append(sides)
        if t + 1 < times:
            v = sides[..., :n].mT
            block = torch.diag_embed(diagonal[:, t + 1]).baddbmm_(v, v.mT, alpha=-(weight**2))
            rest = torch.baddbmm(right[:, t + 1], v, sides[..., n:], alpha=weight)
    return factors, solved, failed
