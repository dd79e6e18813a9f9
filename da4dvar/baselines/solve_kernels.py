"""Optimal interpolation of all observations at once, by preconditioned conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from da4dvar.baselines.products import Kronecker
from da4dvar.errors import DataError
from da4dvar.variational.kernels import SumOfSeparable

# Up to this number of observations, the matrix is factorised.
FEW = 1500
TOLERANCE = 5e-3  # residual, relative to the observations
# Iterations in single precision, by default, and in double precision where these have not been enough.
ITERATIONS, IN_DOUBLE = 400, 1000
# Observations of which a second attempt in double precision takes seconds, not many minutes.
MOST_IN_DOUBLE = 30_000
# Smallest nugget, as a fraction of the variance: in single precision, a smaller one is lost.
SMALLEST = 1e-4
# Preconditioner: observations in a block, and those nearest to a block on which it is conditioned. Standard
# errors: estimates in a block, and observations from which their error is computed.
BLOCK, GIVEN = 16, 48
TARGETS = 32
BATCH = 2_000_000  # matrix entries that are computed at once
GROWTH = 1.3


class Analysis:
    """x̂ = K Hᵀ w with (H K Hᵀ + ε² I) w = y, for all observations y of a field at once.

    K = Σ_q K_t,q ⊗ K_s,q is never formed: its product with a field X is Σ_q K_t,q X K_s,q, and the system is
    solved by conjugate gradients. The preconditioner is an approximate inverse of the Cholesky factor: a
    block of neighbouring observations is conditioned on the nearest of those before it, in an order from
    coarse to fine (Vecchia, 1988; Schäfer et al., 2021). Small systems are factorised instead.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
        Where there are observations.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells, in the units of the lengths of the covariance.
    clock : array, shape (time,)
        Times, in the units of the durations of the covariance.
    covariance : SumOfSeparable
        K and ε².
    shape : tuple of int, optional
        Rows and columns of the grid whose cells those of `place` are. A large grid that is regular along
        its rows is multiplied by fast Fourier transforms.
    iterations : int
        Largest number of iterations in single precision.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable
    >>> y = np.array([[1.0], [np.nan], [1.0]])
    >>> kernel = SumOfSeparable((Separable(1.0, 1.0, 2.0, time="gaussian"),), nugget=0.01)
    >>> one = Analysis(np.isfinite(y), np.zeros((1, 1)), np.arange(3.0), kernel)
    >>> one.estimate(y).round(2).ravel(), one.standard_error().round(2).ravel()
    (array([0.99, 1.09, 0.99]), array([0.1 , 0.19, 0.1 ]))
    """

    def __init__(
        self,
        seen: np.ndarray,
        place: np.ndarray,
        clock: np.ndarray,
        covariance: SumOfSeparable,
        shape: tuple[int, ...] | None = None,
        iterations: int = ITERATIONS,
    ) -> None:
        self.covariance, self.most = covariance, iterations
        self.nugget = max(covariance.nugget, SMALLEST * covariance.variance)
        self.seen, self.place, self.clock = seen, place, clock
        self.when, self.where = np.nonzero(seen)
        self.shape, self.operator = shape, Kronecker(place, clock, covariance, shape)
        self.iterations = 0
        self._factor: tuple[np.ndarray, bool] | None = None
        self._half: tuple[csr_matrix, csr_matrix] | None = None

    def estimate(self, y: np.ndarray) -> np.ndarray:
        """Return x̂.

        Parameters
        ----------
        y : array, shape (time, cell)
            Anomalies; only those at observations are used.

        Returns
        -------
        array of float, shape (time, cell)

        Raises
        ------
        DataError
            If the iteration does not converge.
        """
        w = self.solved(y[self.seen])
        full = np.zeros(self.seen.shape, w.dtype)
        full[self.seen] = w
        return self.operator(full)

    @property
    def few(self) -> bool:
        """Whether the system is small enough to be factorised."""
        return self.when.size <= FEW

    def solved(self, y: np.ndarray) -> np.ndarray:
        """Return w, for the observations `y` in the order of ``y[seen]``."""
        if self.few:
            if self._factor is None:
                each = np.arange(y.size)[None]
                system = self.block(self.when[each], self.where[each], "float64")[0]
                self._factor = cho_factor(system, lower=True)
            exact: np.ndarray = cho_solve(self._factor, y)
            return exact
        if self._half is None:
            self._half = self.preconditioner()
        size = float(np.sqrt(np.mean(np.square(y)))) or 1.0
        for dtype, most in {"float32": self.most, "float64": IN_DOUBLE}.items():
            if dtype == "float64" and y.size > MOST_IN_DOUBLE:
                break
            if dtype == "float64":
                self.operator = Kronecker(self.place, self.clock, self.covariance, self.shape, dtype)
            w, left, self.iterations = conjugate_gradients(self, (y / size).astype(dtype), most)
            if left <= TOLERANCE:
                return size * w
        raise DataError(
            f"optimal interpolation left a residual of {left:.2g} after {self.iterations} iterations, "
            f"expected {TOLERANCE}; allow more iterations, or give a larger observation error"
        )

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """Return (H K Hᵀ + ε² I) w."""
        full = np.zeros(self.seen.shape, w.dtype)
        full[self.when, self.where] = w
        product: np.ndarray = self.operator(full)[self.when, self.where] + w.dtype.type(self.nugget) * w
        return product

    def preconditioned(self, r: np.ndarray) -> np.ndarray:
        """Return an approximation of (H K Hᵀ + ε² I)⁻¹ r."""
        assert self._half is not None
        half, transposed = self._half
        z: np.ndarray = transposed @ (half @ r)
        return z

    def block(self, when: np.ndarray, where: np.ndarray, dtype: str = "float32") -> np.ndarray:
        """Return covariances of the observations in each row of indices, with the nugget.

        Parameters
        ----------
        when, where : array of int, shape (row, n)
            Time and cell of the observations.
        dtype : str
            Type of the result.

        Returns
        -------
        array, shape (row, n, n)
        """
        system = self.operator.pairs(when, where, when, where, dtype)
        diagonal = np.arange(when.shape[1])
        system[:, diagonal, diagonal] += system.dtype.type(self.nugget)
        return system

    def scaled(self, when: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Return coordinates in which distances and lags of equal correlation are about equal."""
        length, duration = self.covariance.scales(0.6)
        return np.column_stack([self.place[where] / length, self.clock[when] / duration])

    def preconditioner(self) -> tuple[csr_matrix, csr_matrix]:
        """Return W with Wᵀ W ≈ (H K Hᵀ + ε² I)⁻¹, and Wᵀ; each row conditions an observation on others."""
        points = self.scaled(self.when, self.where)
        blocks = bisected(points, BLOCK)
        order = coarse_to_fine(len(blocks))
        blocks = [blocks[k] for k in order]
        sizes = np.array([len(b) for b in blocks])
        centre = np.array([points[b].mean(0) for b in blocks])
        flat, starts = np.concatenate(blocks), np.cumsum([0, *sizes])
        rows, columns, entries = [], [], []
        first, last = 0, 1
        while first < len(blocks):
            before = flat[: starts[first]]
            given = min(GIVEN, before.size)
            near = np.empty((last - first, 0), int)
            if given:
                near = before[cKDTree(points[before]).query(centre[first:last], [*range(1, given + 1)])[1]]
            for n in np.unique(sizes[first:last]):
                alike = np.flatnonzero(sizes[first:last] == n)
                for some in batches(alike, (given + n) ** 2):
                    own = flat[starts[first + some][:, None] + np.arange(n)]
                    both = np.concatenate([near[some], own], 1)
                    half = last_rows_of_inverse(self.block(self.when[both], self.where[both]), n)
                    rows.append(np.repeat(own, given + n, axis=1).ravel())
                    columns.append(np.repeat(both[:, None], n, 1).ravel())
                    entries.append(half.ravel())
            first, last = last, min(len(blocks), max(last + 1, int(last * GROWTH)))
        where = np.concatenate(rows), np.concatenate(columns)
        half = csr_matrix((np.concatenate(entries), where), shape=(points.shape[0],) * 2)
        return half, half.T.tocsr()

    def standard_error(self, neighbours: int = 60) -> np.ndarray:
        """Return √(s² − cᵀ (C + ε² I)⁻¹ c), with the covariances of some neighbours.

        A small system is solved with all observations.

        Parameters
        ----------
        neighbours : int
            Number of observations.

        Returns
        -------
        array, shape (time, cell)
        """
        if not self.few:
            return self.local(np.zeros(self.seen.shape), neighbours)[1]
        when, where = self.points()
        explained = np.empty(when.size)
        self.solved(np.zeros(self.when.size))
        for some in batches(np.arange(when.size), self.when.size):
            near = self.when[None], self.where[None]
            c = self.operator.pairs(*near, when[None, some], where[None, some], "float64")[0]
            explained[some] = np.einsum("ij,ij->j", c, cho_solve(self._factor, c))
        return self.spread(explained)

    def local(self, y: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
        """Return estimate and standard error from some neighbours, without a solve for all observations.

        Neighbouring cells and times share the observations that are nearest to their centre.

        Parameters
        ----------
        y : array, shape (time, cell)
            Anomalies; only those at observations are used.
        neighbours : int
            Number of observations.

        Returns
        -------
        estimate, standard_error : array, shape (time, cell)
        """
        when, where = self.points()
        x, explained = np.empty(when.size), np.empty(when.size)
        points, sources = self.scaled(when, where), np.flatnonzero(self.seen)
        tree, k = cKDTree(points[sources]), min(neighbours, sources.size)
        values = y.ravel()
        blocks = bisected(points, TARGETS)
        sizes = np.array([len(b) for b in blocks])
        for n in np.unique(sizes):
            for some in batches(np.flatnonzero(sizes == n), k * (k + n)):
                own = np.array([blocks[b] for b in some])
                near = sources[tree.query(points[own].mean(1), [*range(1, k + 1)])[1]]
                c = self.operator.pairs(when[near], where[near], when[own], where[own])
                weights = np.linalg.solve(self.block(when[near], where[near]), c)
                x[own] = np.einsum("bkn,bk->bn", weights, values[near])
                explained[own] = np.einsum("bkn,bkn->bn", c, weights)
        return x.reshape(self.seen.shape), self.spread(explained)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return time and cell of every value of the field."""
        return np.divmod(np.arange(self.seen.size), self.seen.shape[1])

    def spread(self, explained: np.ndarray) -> np.ndarray:
        """Return the standard error where a variance of `explained` is known."""
        variance = self.covariance.variance
        left: np.ndarray = (variance - explained).clip(1e-6 * variance, variance)
        out: np.ndarray = np.sqrt(left).reshape(self.seen.shape)
        return out

    def samples(self, y: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
        """Return x_s + K Hᵀ (H K Hᵀ + ε² I)⁻¹ (y − H x_s − e_s), joint draws of the field given `y`.

        x_s and e_s are draws from the covariance without observations, and of the observation error
        (Journel and Huijbregts, 1978).

        Parameters
        ----------
        y : array, shape (time, cell)
            Anomalies.
        number : int
            Number of draws.
        seed : int
            Random seed.

        Returns
        -------
        array, shape (number, time, cell)
        """
        generator = np.random.default_rng(seed)
        out = np.empty((number, *self.seen.shape))
        for k in range(number):
            field = self.operator.draw(generator)
            error = np.sqrt(self.nugget) * generator.standard_normal(self.seen.shape)
            out[k] = field + self.estimate(np.where(self.seen, y, 0.0) - field - error)
        return out


def conjugate_gradients(analysis: Analysis, y: np.ndarray, most: int) -> tuple[np.ndarray, float, int]:
    """Return w with ‖y − A w‖ ≤ tolerance ‖y‖ if possible, ‖y − A w‖ / ‖y‖, and the number of iterations.

    The residual is computed from w before w is returned, as the one that is updated drifts away from it.
    """
    size = float(np.linalg.norm(y)) or 1.0
    w, r, count = np.zeros_like(y), y.copy(), 0
    while (left := float(np.linalg.norm(r)) / size) > TOLERANCE and count < most:
        z = analysis.preconditioned(r)
        p, rz = z, dot(r, z)
        while float(np.linalg.norm(r)) > 0.7 * TOLERANCE * size and count < most:
            q = analysis.matrix(p)
            step = y.dtype.type(rz / dot(p, q))
            w += step * p
            r -= step * q
            z = analysis.preconditioned(r)
            old, rz = rz, dot(r, z)
            p = z + y.dtype.type(rz / old) * p
            count += 1
        r = y - analysis.matrix(w)
    return w, left, count


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return aᵀb, summed in double precision."""
    return float(np.dot(a.astype("float64"), b))


def last_rows_of_inverse(system: np.ndarray, n: int) -> np.ndarray:
    """Return the last n rows of L⁻¹ for each system L Lᵀ."""
    size = system.shape[1]
    jitter = np.float32(1e-6) * system[:, :1, 0]
    diagonal = np.arange(size)
    system[:, diagonal, diagonal] += jitter
    lower = np.linalg.cholesky(system)
    ends = np.linalg.inv(lower[:, size - n :, size - n :])
    if size == n:
        return ends
    before = lower[:, size - n :, : size - n]
    left = np.linalg.solve(lower[:, : size - n, : size - n].swapaxes(1, 2), before.swapaxes(1, 2))
    return np.concatenate([-ends @ left.swapaxes(1, 2), ends], 2)


def bisected(points: np.ndarray, most: int) -> list[np.ndarray]:
    """Return groups of at most `most` neighbouring points, by halving along the longest axis."""
    out, left = [], [np.arange(len(points))]
    while left:
        group = left.pop()
        if group.size <= most:
            out.append(group)
            continue
        along = points[group, np.argmax(np.ptp(points[group], axis=0))]
        order = np.argpartition(along, group.size // 2)
        left += [group[order[group.size // 2 :]], group[order[: group.size // 2]]]
    return out


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
