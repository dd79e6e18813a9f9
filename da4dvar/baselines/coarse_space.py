"""The largest scales of a covariance in space and time, as a correction of a local preconditioner."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from da4dvar.baselines.products import Kronecker

# Modes in time, and cells to a mode in space. Of their products, the largest are taken: one for so many
# cells, and for so many observations. A field of many cells has many scales that are large.
IN_TIME, IN_SPACE, PRODUCTS, OBSERVATIONS = 128, 80, 8, 100
FEWEST, MOST = (64, 1000), (384, 2000)  # modes in space, and products, whatever the number of cells
# Smallest share of a mode that is observed.
SHARE = 0.01
ROUNDS = 3  # of the iteration that finds the modes


class CoarseSpace:
    """(I − V Vᵀ) P (I − V Vᵀ) + V E⁻¹ Vᵀ ≈ (H K Hᵀ + ε² I)⁻¹, for a preconditioner P of small scales.

    The columns of V span H U, where U holds the products of the leading eigenvectors of Σ_q K_t,q and of
    Σ_q K_s,q with the largest variances. Under noise, a preconditioner from neighbours is far from the
    inverse on these large scales, of which many observations know a little, and nearly right on the others.
    H U is nearly an invariant subspace, so that V need not be orthogonal to the rest in the sense of the
    matrix, and E = Vᵀ (H U Λ Uᵀ Hᵀ) V + (ε² + δ) I, with Λ = Uᵀ K U and the mean variance δ of the other
    modes, stands for the product with the whole matrix.

    Parameters
    ----------
    operator : Kronecker
        K.
    seen : array of bool, shape (time, cell)
        Where there are observations, the rows of H.
    nugget : float
        ε².

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable, SumOfSeparable
    >>> smooth = SumOfSeparable((Separable(1.0, 9.0, 90.0),), nugget=0.1)
    >>> k = Kronecker(np.zeros((1, 1)), np.arange(300.0), smooth)
    >>> coarse = CoarseSpace(k, np.ones((300, 1), bool), smooth.nugget)
    >>> coarse.restricted(np.ones(300)).shape  # one mode for a hundred observations
    (3,)
    """

    def __init__(self, operator: Kronecker, seen: np.ndarray, nugget: float) -> None:
        self.seen = seen
        variance = sum(float(kt[0, 0]) for kt in operator.in_time)
        together = np.add.reduce(operator.in_time)
        ut = leading(lambda x: x @ together, seen.shape[0], IN_TIME)
        number, most = np.clip(seen.shape[1] // np.array([IN_SPACE, PRODUCTS]), FEWEST, MOST).tolist()
        us = leading(operator.along_all(), seen.shape[1], number)
        small = [
            (ut @ kt @ ut.T, operator.along_space(q, us) @ us.T) for q, kt in enumerate(operator.in_time)
        ]
        size = np.add.reduce([np.outer(np.diag(s), np.diag(t)) for t, s in small])
        most = min(most, int(seen.sum()) // OBSERVATIONS, int((size > nugget).sum()))
        # In the order of the modes in space.
        chosen = np.sort(np.argsort(-size, axis=None)[:most])
        self.s, self.t = np.unravel_index(chosen, size.shape)
        modes, self.s = np.unique(self.s, return_inverse=True)
        self.ut, self.us = ut, us[modes]
        inner = np.add.reduce(
            [t[np.ix_(self.t, self.t)] * s[np.ix_(modes, modes)][np.ix_(self.s, self.s)] for t, s in small]
        ).astype("float64")
        gram = self.gram()
        share, vectors = np.linalg.eigh(gram)
        kept = share > SHARE
        share, vectors = share[kept], vectors[:, kept]
        across = np.sqrt(share)[:, None] * vectors.T
        rest = max(0.0, variance - np.trace(inner) / seen.size)
        reduced = across @ inner @ across.T + (nugget + rest) * np.eye(len(share))
        self.basis = (vectors / np.sqrt(share)).astype(ut.dtype)
        self.inverse = np.linalg.inv(reduced).astype(ut.dtype)

    def gram(self) -> np.ndarray:
        """Return Uᵀ Hᵀ H U."""
        out = np.zeros((self.t.size, self.t.size))
        daily = np.stack([self.us[:, here] @ self.us[:, here].T for here in self.seen])
        edges = np.searchsorted(self.s, np.arange(len(self.us) + 1))
        along = [self.ut[self.t[a:b]] for a, b in itertools.pairwise(edges)]
        for i, one in enumerate(along):
            for j, other in enumerate(along[: i + 1]):
                part = (one * daily[:, i, j]) @ other.T
                out[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = part
                out[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = part.T
        return out

    def restricted(self, r: np.ndarray) -> np.ndarray:
        """Return Vᵀ r."""
        full = np.zeros(self.seen.shape, self.us.dtype)
        full[self.seen] = r
        out: np.ndarray = self.basis.T @ (self.ut @ (full @ self.us.T))[self.t, self.s]
        return out

    def extended(self, c: np.ndarray) -> np.ndarray:
        """Return V c."""
        modes = np.zeros((len(self.ut), len(self.us)), self.us.dtype)
        modes[self.t, self.s] = self.basis @ c
        out: np.ndarray = (self.ut.T @ (modes @ self.us))[self.seen]
        return out

    def corrected(self, local: Callable[[np.ndarray], np.ndarray], r: np.ndarray) -> np.ndarray:
        """Return the product of the preconditioner with r, for the function r ↦ P r."""
        if not self.inverse.size:
            return local(r)
        c = self.restricted(r)
        z = local((r - self.extended(c)).astype(r.dtype))
        out: np.ndarray = (z + self.extended(self.inverse @ c - self.restricted(z))).astype(r.dtype)
        return out


def leading(product: Callable[[np.ndarray], np.ndarray], size: int, number: int) -> np.ndarray:
    """Return approximate leading eigenvectors of a symmetric matrix, as rows, by subspace iteration.

    Parameters
    ----------
    product : callable
        Maps X of shape (row, size) to X K.
    size : int
        Size of K.
    number : int
        Number of eigenvectors, if there are as many.

    Returns
    -------
    array of float32, shape (min(number, size), size)
    """
    x = np.random.default_rng(0).standard_normal((min(number, size), size)).astype("float32")
    for _ in range(ROUNDS):
        x = whitened(whitened(product(x)))
    vectors = np.linalg.eigh((product(x) @ x.T).astype("float64"))[1][:, ::-1]
    out: np.ndarray = vectors.T.astype("float32") @ x
    return out


def whitened(x: np.ndarray) -> np.ndarray:
    """Return rows that span those of X and are about orthonormal; in single precision, apply it twice.

    With many columns, this takes less time than Householder reflections.
    """
    share, vectors = np.linalg.eigh((x @ x.T).astype("float64"))
    scales = 1 / np.sqrt(share.clip(1e-6 * share[-1]))
    out: np.ndarray = (scales[:, None] * vectors.T).astype(x.dtype) @ x
    return out
