"""Optimal interpolation of all observations at once, by preconditioned conjugate gradients."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from da4dvar.baselines.coarse_space import CoarseSpace
from da4dvar.baselines.products import Kronecker
from da4dvar.baselines.vecchia import Vecchia, batches, bisected, solved_with_factor
from da4dvar.errors import DataError
from da4dvar.variational.kernels import SumOfSeparable

# Up to this number of observations, the matrix is factorised.
FEW = 1500
TOLERANCE = 5e-3  # residual, relative to the observations
# Iterations in single precision, by default, and in double precision where these have not been enough.
ITERATIONS, IN_DOUBLE = 400, 1000
STALLED = 40  # iterations in single precision without a smaller residual, after which double is tried
# Smallest nugget, as a fraction of the variance: in single precision, a smaller one is lost.
SMALLEST = 1e-4
TARGETS = 32  # estimates in a block, whose standard errors are computed from the same observations


class Analysis:
    """x̂ = K Hᵀ w with (H K Hᵀ + ε² I) w = y, for all observations y of a field at once.

    K = Σ_q K_t,q ⊗ K_s,q is never formed: its product with a field X is Σ_q K_t,q X K_s,q, and the system is
    solved by conjugate gradients. They are preconditioned by an inverse from neighbours
    (:class:`da4dvar.baselines.vecchia.Vecchia`), and for the largest scales by one for a few hundred modes
    (:class:`da4dvar.baselines.coarse_space.CoarseSpace`). Small systems are factorised instead.

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
        # The same in double precision, once that was needed.
        self._precise: Kronecker | None = None
        self._factor: tuple[np.ndarray, bool] | None = None
        self._local: Vecchia | None = None

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
        return self.product(full)

    def product(self, x: np.ndarray) -> np.ndarray:
        """Return K x, in the precision of x."""
        precise = self._precise if x.dtype == "float64" else None
        return self.operator(x) if precise is None else precise(x)

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
        if self._local is None:
            # The modes first: to find them takes memory that is free again when the neighbours need most.
            self._coarse = CoarseSpace(self.operator, self.seen, self.nugget)
            self._local = Vecchia(
                self.scaled(self.when, self.where), lambda each: self.block(self.when[each], self.where[each])
            )
        size = float(np.sqrt(np.mean(np.square(y)))) or 1.0
        w, self.iterations = np.zeros_like(y, "float32"), 0
        for dtype, most in {"float32": self.most, "float64": IN_DOUBLE}.items():
            if dtype == "float32" and self._precise is not None:
                continue
            if dtype == "float64" and self._precise is None:
                self._precise = Kronecker(self.place, self.clock, self.covariance, self.shape, dtype)
            w, left, count = conjugate_gradients(self, (y / size).astype(dtype), w.astype(dtype), most)
            self.iterations += count
            if left <= TOLERANCE:
                return size * w
        raise DataError(
            f"optimal interpolation left a residual of {left:.2g} after {self.iterations} iterations, "
            f"expected {TOLERANCE}; allow more iterations, or give a larger observation error"
        )

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """Return (H K Hᵀ + ε² I) w."""
        full = np.zeros(self.seen.shape, w.dtype)
        full[self.seen] = w
        product: np.ndarray = self.product(full)[self.seen] + w.dtype.type(self.nugget) * w
        return product

    def preconditioned(self, r: np.ndarray) -> np.ndarray:
        """Return an approximation of (H K Hᵀ + ε² I)⁻¹ r."""
        assert self._local is not None
        return self._coarse.corrected(self._local, r.astype("float32")).astype(r.dtype)

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
        tree, k = cKDTree(points[sources], balanced_tree=False), min(neighbours, sources.size)
        values = y.ravel().astype("float32")
        blocks = bisected(points, TARGETS)
        sizes = np.array([len(b) for b in blocks])
        for n in np.unique(sizes):
            for some in batches(np.flatnonzero(sizes == n), k * (k + n)):
                own = np.array([blocks[b] for b in some])
                near = sources[tree.query(points[own].mean(1), [*range(1, k + 1)])[1]]
                c = self.operator.pairs(when[near], where[near], when[own], where[own])
                right = np.concatenate([c, values[near][..., None]], 2)
                half = solved_with_factor(self.block(when[near], where[near]), right)
                explained[own] = np.square(half[..., :-1]).sum(1)
                x[own] = (half[..., -1:].swapaxes(1, 2) @ half[..., :-1])[:, 0]
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


def conjugate_gradients(
    analysis: Analysis, y: np.ndarray, w: np.ndarray, most: int
) -> tuple[np.ndarray, float, int]:
    """Return w with ‖y − A w‖ ≤ tolerance ‖y‖ if possible, ‖y − A w‖ / ‖y‖, and the number of iterations.

    The iteration begins with the given w, and returns that of the smallest residual, which is computed from w
    at last, as the one that is updated drifts away from it. In single precision, the iteration ends when the
    residual does not fall any more: where the rounding errors of products with A are larger than the nugget.
    """
    size = float(np.linalg.norm(y)) or 1.0
    best, count, stalled = w, 0, False
    r = y - analysis.matrix(w) if w.any() else y.copy()
    while (left := float(np.linalg.norm(r)) / size) > TOLERANCE and count < most and not stalled:
        w = best.copy()
        z = analysis.preconditioned(r)
        p, rz = z, dot(r, z)
        now = least = left
        since = count
        while now > 0.9 * TOLERANCE and count < most and not stalled:
            q = analysis.matrix(p)
            step = y.dtype.type(rz / dot(p, q))
            w += step * p
            r -= step * q
            z = analysis.preconditioned(r)
            old, rz = rz, dot(r, z)
            p = z + y.dtype.type(rz / old) * p
            count += 1
            now = float(np.linalg.norm(r)) / size
            if now < least:
                best, least, since = w.copy(), now, count
            stalled = y.dtype == "float32" and count - since == STALLED
        r = y - analysis.matrix(best)
    return best, left, count


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return aᵀb, summed in double precision."""
    return float(np.dot(a.astype("float64"), b))
