"""An approximate inverse of a covariance matrix, of blocks of points given their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg.blas import strsm
from scipy.linalg.lapack import spotrf
from scipy.spatial import cKDTree

BLOCK = 32  # points in a block
# Ranks of the points on which a block is conditioned, among those nearest to it: under noise, the nearest
# tell the same, and farther ones tell about larger scales.
GIVEN = np.unique(np.append(np.arange(1, 41), np.geomspace(41, 240, 24).astype(int)))
BATCH = 250_000  # matrix entries that are computed at once: what a cache holds
GROWTH = 1.3


class Vecchia:
    """Wᵀ W ≈ A⁻¹, where each row of W is a point minus its prediction from points before it, standardised.

    Blocks of neighbouring points are ordered from coarse to fine, and each is conditioned on points near it
    among those of earlier blocks (Vecchia, 1988; Schäfer et al., 2021).

    Parameters
    ----------
    points : array, shape (n, axis)
        Coordinates in which points at equal distances are about equally correlated.
    systems : callable
        Maps indices of shape (row, k) to the matrices A of those points, of shape (row, k, k).

    Examples
    --------
    >>> x = np.arange(20.0)[:, None]
    >>> def systems(i):
    ...     return np.exp(-np.abs(x[i] - x[i].swapaxes(1, 2))).astype("float32")
    >>> a = systems(np.arange(20)[None])[0]
    >>> bool(np.allclose(Vecchia(x, systems)(a @ np.ones(20)), 1, atol=1e-4))
    True
    """

    def __init__(self, points: np.ndarray, systems: Callable[[np.ndarray], np.ndarray]) -> None:
        blocks = bisected(points, BLOCK)
        order = coarse_to_fine(len(blocks))
        blocks = [blocks[k] for k in order]
        sizes = np.array([len(b) for b in blocks])
        flat, starts = np.concatenate(blocks), np.cumsum([0, *sizes])
        centre = np.add.reduceat(points[flat], starts[:-1]) / sizes[:, None]
        # Indices of the points of a block and before them, of those that it is given; and rows of W.
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        first, last = 0, 1
        while first < len(blocks):
            before = flat[: starts[first]]
            ranks = GIVEN if before.size >= GIVEN[-1] else np.arange(1, 1 + min(before.size, GIVEN.size))
            near = np.empty((last - first, 0), int)
            if ranks.size:
                # A balanced tree takes twice as long to build, and is hardly faster.
                tree = cKDTree(points[before], balanced_tree=False)
                near = before[tree.query(centre[first:last], ranks.tolist())[1]]
            for n in np.unique(sizes[first:last]):
                alike = np.flatnonzero(sizes[first:last] == n)
                for some in batches(alike, (ranks.size + n) ** 2):
                    own = flat[starts[first + some][:, None] + np.arange(n)]
                    both = np.concatenate([near[some], own], 1)
                    self.parts.append((both, last_rows_of_inverse(systems(both), n)))
            first, last = last, min(len(blocks), max(last + 1, int(last * GROWTH)))
        self.where = np.concatenate([both.ravel() for both, _ in self.parts])

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Return Wᵀ W r."""
        parts = (r[both][:, None] @ half.swapaxes(1, 2) @ half for both, half in self.parts)
        each = np.concatenate([part.ravel() for part in parts])
        out = np.zeros_like(r)
        np.add.at(out, self.where, each.astype(r.dtype))
        return out


def last_rows_of_inverse(systems: np.ndarray, n: int) -> np.ndarray:
    """Return the last n rows of L⁻¹ for each system L Lᵀ, which is overwritten."""
    size = systems.shape[1]
    last = np.zeros((len(systems), size, n), systems.dtype)
    last[:, size - n + np.arange(n), np.arange(n)] = 1
    return solved_with_factor(systems, last, transposed=True).swapaxes(1, 2)


def solved_with_factor(systems: np.ndarray, right: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Return L⁻¹ B, or L⁻ᵀ B, for each system L Lᵀ in single precision, which is overwritten."""
    diagonal = np.arange(systems.shape[1])
    systems[:, diagonal, diagonal] *= np.float32(1 + 1e-6)
    out = np.empty(right.swapaxes(1, 2).shape, "float32")
    # One by one: for small matrices, the functions of NumPy for many take more than twice as long.
    for system, b, solved in zip(systems, right, out, strict=True):
        lower, failed = spotrf(system.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise np.linalg.LinAlgError("the covariances of some neighbours are not positive definite")
        solved[:] = strsm(1.0, lower, b, lower=1, trans_a=int(transposed)).T
    return out.swapaxes(1, 2)


def bisected(points: np.ndarray, most: int) -> list[np.ndarray]:
    """Return groups of at most `most` neighbouring points, by halving along the longest axis."""
    points = points.astype("float32")  # which halves the time
    # Groups of the same size, and their numbers in the order of a tree of as many levels as there are so far.
    found: list[tuple[np.ndarray, np.ndarray]] = []
    left, level = {len(points): (np.arange(len(points))[None], np.zeros(1, int))}, 0
    while left:
        halves: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for size, (groups, number) in left.items():
            if size <= most:
                found.append((groups, number << (62 - level)))
                continue
            axis = np.argmax([np.ptp(along[groups], axis=1) for along in points.T], axis=0)
            order = np.argpartition(points[groups, axis[:, None]], size // 2, axis=1)
            groups = np.take_along_axis(groups, order, axis=1)
            halves.setdefault(size // 2, []).append((groups[:, : size // 2], 2 * number))
            halves.setdefault(size - size // 2, []).append((groups[:, size // 2 :], 2 * number + 1))
        left, level = (
            {
                n: (np.concatenate([g for g, _ in h]), np.concatenate([k for _, k in h]))
                for n, h in halves.items()
            },
            level + 1,
        )
    blocks = [block for groups, _ in found for block in groups]
    return [blocks[k] for k in np.argsort(np.concatenate([number for _, number in found]))]


def coarse_to_fine(number: int) -> np.ndarray:
    """Return 0 to number − 1 in the order of their reversed bits: neighbours in turn are far apart."""
    bits = max(1, int(number - 1).bit_length())
    left, out = np.arange(2**bits), np.zeros(2**bits, int)
    for _ in range(bits):
        left, out = left >> 1, 2 * out + (left & 1)
    return out[out < number]


def batches(items: np.ndarray, entries: int) -> Iterator[np.ndarray]:
    """Yield parts of `items`, each of which has `entries` matrix entries."""
    step = max(1, BATCH // max(1, entries))
    for first in range(0, items.size, step):
        yield items[first : first + step]
