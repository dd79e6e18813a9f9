"""Optimal interpolation of scattered points: all at once, in windows of time, or from neighbours."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from da4dvar.baselines.vecchia import Vecchia, batches, bisected, solved_with_factor
from da4dvar.errors import DataError
from da4dvar.variational.kernels import SumOfSeparable

# Points whose matrix is factorised (200 MB and some 4 s), and those of which it is kept in single precision
# for conjugate gradients (1.6 GB).
FEW, MOST = 5000, 20_000
TOLERANCE, ITERATIONS = 1e-3, 300  # of the residual, relative to the observations
# Smallest nugget, as a fraction of the variance: the matrices must be solvable.
SMALLEST = 1e-6
SMALLEST_SINGLE = 1e-4  # in single precision
# Estimates in a block, which share their neighbours: as many as lie closer to the centre of the block than a
# fraction NEAR of the distance to the last of these.
TARGETS, NEAR = (32, 8, 1), 0.5
# A window of time reaches past the values that it gives by the lag at which this fraction of the variance is
# left.
LEFT = 0.05
PRODUCT = 1_000_000  # entries of a matrix of covariances that are computed at once: what a cache holds


class PointAnalysis:
    """x̂ = K_gp w with (K_pp + R) w = y, for points p and the values of a grid g.

    K is computed at the points themselves, without a grid. Up to 5000 points are solved at once by a Cholesky
    factorisation. More are solved in windows of time that overlap by the memory of the covariance or, if
    these are too many as well, from the nearest points.

    Parameters
    ----------
    place : array, shape (point, axis)
        Cartesian coordinates, in the units of the lengths of the covariance.
    clock : array, shape (point,)
        Times, in the units of its durations.
    noise : array, shape (point,)
        Error variances, the diagonal of R. The nugget of the covariance is not added to them.
    covariance : SumOfSeparable
        K.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable
    >>> kernel = SumOfSeparable((Separable(1.0, 1.0, 2.0, time="gaussian"),), nugget=0.0)
    >>> points = PointAnalysis(np.zeros((2, 1)), np.array([0.0, 2.0]), np.full(2, 0.01), kernel)
    >>> points.on_grid(np.ones(2), np.zeros((1, 1)), np.arange(3.0)).round(2).ravel()
    array([0.99, 1.09, 0.99])
    """

    def __init__(
        self, place: np.ndarray, clock: np.ndarray, noise: np.ndarray, covariance: SumOfSeparable
    ) -> None:
        self.place, self.clock, self.covariance = place, clock, covariance
        self.noise = np.maximum(noise, SMALLEST * covariance.variance)

    def on_grid(
        self, y: np.ndarray, place: np.ndarray, clock: np.ndarray, neighbours: int = 200
    ) -> np.ndarray:
        """Return x̂ on a grid.

        Parameters
        ----------
        y : array, shape (point,)
            Anomalies.
        place : array, shape (cell, axis)
            Places of the cells.
        clock : array, shape (time,)
            Times of the grid.
        neighbours : int
            Number of points that are used where there are too many for all.

        Returns
        -------
        array, shape (time, cell)
        """
        out = np.empty((len(clock), len(place)))
        parts = self.windows(clock)
        if parts is None:
            when, where = np.divmod(np.arange(out.size), len(place))
            return self.local(y, place[where], clock[when], neighbours)[0].reshape(out.shape)
        for times, points in parts:
            part = self.part(points)
            out[times] = part.spread(part.inverse(y[points]), place, clock[times])
        return out

    def at(self, y: np.ndarray, place: np.ndarray, clock: np.ndarray, neighbours: int = 200) -> np.ndarray:
        """Return x̂ at some targets.

        Parameters
        ----------
        y : array, shape (point,)
            Anomalies.
        place : array, shape (target, axis)
            Places of the targets.
        clock : array, shape (target,)
            Their times.
        neighbours : int
            See :meth:`on_grid`.

        Returns
        -------
        array, shape (target,)
        """
        out = np.empty(len(clock))
        parts = self.windows(clock)
        if parts is None:
            return self.local(y, place, clock, neighbours)[0]
        for targets, points in parts:
            part = self.part(points)
            w = part.inverse(y[points])
            step = max(1, PRODUCT // max(1, points.size))
            for first in range(0, targets.size, step):
                some = targets[first : first + step]
                out[some] = w @ part.between(place[some], clock[some])
        return out

    def windows(self, clock: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Return times, and the points from which they are estimated; None if these are too many."""
        everything = np.arange(len(self.clock))
        if len(self.clock) <= MOST:
            return [(np.arange(len(clock)), everything)]
        memory = self.covariance.scales(LEFT)[1]
        order = np.argsort(clock, kind="stable")
        out, first = [], 0
        while first < len(order):
            # The longest window of times that has few enough points around it.
            low, high = first + 1, len(order)
            if self.around(clock[order[first:low]], memory).sum() > MOST:
                return None
            while low < high:
                middle = (low + high + 1) // 2
                fits = self.around(clock[order[first:middle]], memory).sum() <= MOST
                low, high = (middle, high) if fits else (low, middle - 1)
            times = order[first:low]
            out.append((times, np.flatnonzero(self.around(clock[times], memory))))
            first = low
        # Many windows of a few times take longer than neighbours.
        return out if len(out) <= max(12, len(clock) // 2) else None

    def around(self, times: np.ndarray, memory: float) -> np.ndarray:
        """Return true at the points that are not farther from some times than the memory."""
        inside: np.ndarray = (self.clock >= times.min() - memory) & (self.clock <= times.max() + memory)
        return inside

    def part(self, points: np.ndarray) -> PointAnalysis:
        """Return the analysis of some of the points."""
        if points.size == len(self.clock):
            return self
        return PointAnalysis(self.place[points], self.clock[points], self.noise[points], self.covariance)

    @cached_property
    def factor(self) -> tuple[np.ndarray, bool]:
        """Cholesky factor of K_pp + R."""
        system = self.between(self.place, self.clock)
        system[np.diag_indices(len(system))] += self.noise
        lower: tuple[np.ndarray, bool] = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
        return lower

    @cached_property
    def matrix(self) -> np.ndarray:
        """K_pp + R in single precision."""
        out = np.empty((len(self.clock), len(self.clock)), "float32")
        step = max(1, PRODUCT // len(self.clock))
        for first in range(0, len(out), step):
            rows = slice(first, first + step)
            out[rows] = self.between(self.place[rows], self.clock[rows]).T
        out[np.diag_indices(len(out))] += self.noise
        return out

    @cached_property
    def sparse(self) -> Vecchia:
        """Approximate inverse of K_pp + R, from neighbours."""
        return Vecchia(self.scaled(self.place, self.clock), self.systems)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return (K_pp + R)⁻¹ y, for at most 20,000 points."""
        if len(self.clock) > FEW:
            return self.iterated(y)
        exact: np.ndarray = cho_solve(self.factor, y, check_finite=False)
        return exact

    def approximated(self, y: np.ndarray) -> np.ndarray:
        """Return an approximation of (K_pp + R)⁻¹ y."""
        return self.sparse(y.astype("float32")).astype("float64")

    def iterated(self, y: np.ndarray) -> np.ndarray:
        """Return (K_pp + R)⁻¹ y by preconditioned conjugate gradients.

        Raises
        ------
        DataError
            If the iteration does not converge.
        """
        shape = self.matrix.shape
        system = LinearOperator(shape, lambda v: self.matrix @ v.astype("float32"), dtype=float)
        inverse = LinearOperator(shape, self.approximated, dtype=float)
        w, failed = cg(system, y, rtol=TOLERANCE, maxiter=ITERATIONS, M=inverse)
        if failed:
            left = np.linalg.norm(y - system @ w) / np.linalg.norm(y)
            raise DataError(
                f"optimal interpolation of {y.size} points left a residual of {left:.2g} after {ITERATIONS} "
                f"iterations, expected {TOLERANCE}; give larger errors of the observations (--error), or use "
                "--method neighbours"
            )
        out: np.ndarray = w
        return out

    @property
    def dtype(self) -> str:
        """Type of covariances: single precision where there are many, as conjugate gradients use it."""
        return "float64" if len(self.clock) <= FEW else "float32"

    def between(self, place: np.ndarray, clock: np.ndarray) -> np.ndarray:
        """Return K between the points and some others, of shape (point, other)."""
        apart = distances(self.place, place).astype(self.dtype, copy=False)
        return self.covariance(apart, np.abs(self.clock[:, None] - clock).astype(self.dtype, copy=False))

    def spread(self, w: np.ndarray, place: np.ndarray, clock: np.ndarray) -> np.ndarray:
        """Return K_gp w on a grid, of shape (time, cell), without the covariances of every pair."""
        out = np.zeros((len(clock), len(place)))
        lag = np.abs(clock[:, None] - self.clock).astype(self.dtype)
        along = [(t.variance * t.in_time(lag) * w).astype(self.dtype) for t in self.covariance.terms]
        step = max(1, PRODUCT // max(1, len(w)))
        for first in range(0, len(place), step):
            cells = slice(first, first + step)
            apart = distances(self.place, place[cells]).astype(self.dtype, copy=False)
            for own, term in zip(along, self.covariance.terms, strict=True):
                out[:, cells] += own @ term.in_space(apart)
        return out

    def systems(self, index: np.ndarray) -> np.ndarray:
        """Return K_pp + R of the points in each row of indices, in single precision."""
        p, t = self.place[index], self.clock[index]
        apart = np.sqrt(np.square(p[:, :, None] - p[:, None]).sum(-1)).astype("float32")
        out = self.covariance(apart, np.abs(t[:, :, None] - t[:, None]).astype("float32"))
        diagonal = np.arange(index.shape[1])
        least = SMALLEST_SINGLE * self.covariance.variance
        out[:, diagonal, diagonal] += np.maximum(self.noise[index], least).astype("float32")
        return out

    def scaled(self, place: np.ndarray, clock: np.ndarray) -> np.ndarray:
        """Return coordinates in which distances and lags of equal correlation are about equal."""
        length, duration = self.covariance.scales(0.6)
        return np.column_stack([place / length, clock / duration])

    def local(
        self, y: np.ndarray, place: np.ndarray, clock: np.ndarray, neighbours: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return estimate and standard error at some targets, from the points nearest to each.

        Parameters
        ----------
        y : array, shape (point,)
            Anomalies.
        place : array, shape (target, axis)
            Places of the targets.
        clock : array, shape (target,)
            Their times.
        neighbours : int
            Number of points. Targets that are close together share the points nearest to their centre.

        Returns
        -------
        estimate, standard_error : array, shape (target,)
        """
        targets = self.scaled(place, clock)
        tree, k = cKDTree(self.scaled(self.place, self.clock)), min(neighbours, len(y))
        x, explained = np.empty(len(targets)), np.empty(len(targets))
        values = y.astype("float32")
        groups = compact(targets, tree, k)
        sizes = np.array([len(group) for group in groups])
        for n in np.unique(sizes):
            for some in batches(np.flatnonzero(sizes == n), k * (k + n)):
                own = np.array([groups[g] for g in some])
                near = tree.query(targets[own].mean(1), [*range(1, k + 1)])[1]
                p, q = self.place[near], place[own]
                apart = np.sqrt(np.square(p[:, :, None] - q[:, None]).sum(-1)).astype("float32")
                lag = np.abs(self.clock[near][:, :, None] - clock[own][:, None]).astype("float32")
                right = np.concatenate([self.covariance(apart, lag), values[near][..., None]], 2)
                half = solved_with_factor(self.systems(near), right)
                explained[own] = np.square(half[..., :-1]).sum(1)
                x[own] = (half[..., -1:].swapaxes(1, 2) @ half[..., :-1])[:, 0]
        variance = self.covariance.variance
        return x, np.sqrt((variance - explained).clip(1e-6 * variance, variance))


def compact(targets: np.ndarray, tree: cKDTree, neighbours: int) -> list[np.ndarray]:
    """Return groups of targets that may share the points nearest to their centre."""
    left, out = np.arange(len(targets)), []
    for size in TARGETS:
        groups = [left[group] for group in bisected(targets[left], size)] if left.size else []
        if not groups:
            break
        centres = np.stack([targets[group].mean(0) for group in groups])
        reach = tree.query(centres, [neighbours])[0][:, 0]
        extent = [
            np.sqrt(np.square(targets[g] - c).sum(1).max()) for g, c in zip(groups, centres, strict=True)
        ]
        small = (np.array(extent) <= NEAR * reach) | (size == 1)
        out += [group for group, fits in zip(groups, small, strict=True) if fits]
        left = np.concatenate(
            [np.empty(0, int), *(g for g, fits in zip(groups, small, strict=True) if not fits)]
        )
    return out


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the distances of places, of shape (place of a, place of b)."""
    if not a.shape[1]:
        return np.zeros((len(a), len(b)))
    apart: np.ndarray = cdist(a, b)
    return apart
