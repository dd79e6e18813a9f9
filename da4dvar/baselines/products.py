"""Products of a sum of Kronecker products with a field, dense or by Fourier transforms along rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from da4dvar.variational.kernels import SumOfSeparable

DENSE = 2500  # cells up to which the matrices of space are dense
MOST_LOOKED_UP = 50_000_000  # entries of a table of correlations
SHORT = 600  # length of rows up to which a product with the matrix of the transform is faster than an FFT


class Kronecker:
    """K X = Σ_q s_q² K_t,q X K_s,q, for fields X of shape (time, cell).

    Parameters
    ----------
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    clock : array, shape (time,)
        Times.
    covariance : SumOfSeparable
        The terms q.
    shape : tuple of int, optional
        Rows and columns of the grid. If it is large, and distances along a row do not depend on where the
        row begins, K_s is a convolution along rows.
    dtype : str
        Type of the matrices.
    """

    def __init__(
        self,
        place: np.ndarray,
        clock: np.ndarray,
        covariance: SumOfSeparable,
        shape: tuple[int, ...] | None = None,
        dtype: str = "float32",
    ) -> None:
        self.place, self.clock, self.covariance = place.astype("float64"), clock, covariance
        self.dense = shape is None or len(place) <= DENSE
        self.rows, self.columns = shape or (1, len(place))
        self.dtype = dtype
        lag = np.abs(clock[:, None] - clock)
        self.in_time = [t.variance * cut(t.in_time(lag), dtype) for t in covariance.terms]
        if self.dense:
            distance = self.distance(np.arange(len(place))[:, None], np.arange(len(place)))
            self.in_space = [cut(t.in_space(distance), dtype) for t in covariance.terms]
        else:
            cells = np.arange(len(place)).reshape(self.rows, self.columns)
            # (lag along the row, row, row)
            apart = self.distance(cells[None, :, :1], cells[:, :].T[:, None, :])
            self.padded = next_fast_len(2 * self.columns - 1, real=True)
            self.spectra, kernels = [], []
            for t in covariance.terms:
                kernel = cut(t.in_space(apart), dtype)
                wrapped = np.zeros((self.padded, self.rows, self.rows), dtype)
                wrapped[: self.columns] = kernel
                wrapped[self.padded - self.columns + 1 :] = kernel[:0:-1]
                self.spectra.append(np.ascontiguousarray(rfft(wrapped, axis=0).real))
                kernels.append(kernel)
            if self.padded <= SHORT:
                each, size = np.eye(self.columns, dtype=dtype), len(self.spectra[0])
                wave = rfft(each, self.padded, axis=0)
                self.forward = np.concatenate([wave.real, wave.imag])
                pure = np.eye(size, dtype=dtype)
                both = np.concatenate([pure, 1j * pure], 1).astype(wave.dtype)
                self.backward = irfft(both, self.padded, axis=0)[: self.columns]
        # Correlations in space to be looked up: that of cells i and j is the entry left_i + right_j.
        self.tables: list[np.ndarray] = []
        cell = np.arange(len(place))
        if self.dense:
            self.tables, self.left, self.right = self.in_space, cell * len(place), cell
        elif 2 * apart.size <= MOST_LOOKED_UP:
            self.tables = [np.concatenate([kernel[:0:-1], kernel]) for kernel in kernels]
            (row, column), square = np.divmod(cell, self.columns), self.rows**2
            self.left = (column + self.columns - 1) * square + row * self.rows
            self.right = row - column * square

    def distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the distances of cells `a` and `b`."""
        total = 0.0
        for axis in self.place.T:
            total = total + np.square(axis[a] - axis[b])
        out: np.ndarray = np.sqrt(total + np.zeros(np.broadcast_shapes(a.shape, b.shape)))
        return out

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return K X."""
        first, *others = (self.along_space(q, kt @ x) for q, kt in enumerate(self.in_time))
        for other in others:
            first += other
        return first

    def along_space(self, q: int, x: np.ndarray) -> np.ndarray:
        """Return X K_s,q, for any number of rows of X."""
        return self._product(x, (self.in_space if self.dense else self.spectra)[q])

    def along_all(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return X ↦ X Σ_q K_t,q(0) K_s,q, in the time of one term."""
        each = self.in_space if self.dense else self.spectra
        total = np.add.reduce([kt[0, 0] * ks for kt, ks in zip(self.in_time, each, strict=True)])
        return lambda x: self._product(x, total)

    def _product(self, x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Return the product of X with a dense matrix of space, or with the spectra of one."""
        if self.dense:
            dense: np.ndarray = x @ matrix
            return dense
        # Wave numbers first: the matrices between rows are different for each.
        rows, size = x.reshape(-1, self.columns), len(matrix)
        if self.padded <= SHORT:
            waves = self.forward @ rows.T
        else:
            wave = rfft(rows.T, self.padded, axis=0)
            waves = np.concatenate([wave.real, wave.imag])
        waves = (waves.reshape(2, size, -1, self.rows) @ matrix).reshape(2 * size, -1)
        if self.padded <= SHORT:
            out: np.ndarray = waves.T @ self.backward.T
        else:
            complete = waves[:size] + 1j * waves[size:]
            out = irfft(complete, self.padded, axis=0)[: self.columns].T
        return out.reshape(x.shape)

    def pairs(
        self,
        when: np.ndarray,
        where: np.ndarray,
        others_when: np.ndarray,
        others_where: np.ndarray,
        dtype: str = "float32",
    ) -> np.ndarray:
        """Return the covariances between points of each row of indices.

        Parameters
        ----------
        when, where : array of int, shape (row, n)
            Time and cell of the points.
        others_when, others_where : array of int, shape (row, m)
            Time and cell of the others.
        dtype : str
            Type in which they are computed.

        Returns
        -------
        array, shape (row, n, m)
        """
        if dtype == self.dtype and self.tables:
            # Computing exponentials takes ten times as long.
            lag = (when * len(self.clock))[:, :, None] + others_when[:, None]
            apart = self.left[where][:, :, None] + self.right[others_where][:, None]
            total = np.zeros(lag.shape, dtype)
            for kt, ks in zip(self.in_time, self.tables, strict=True):
                total += kt.take(lag) * ks.take(apart)
            return total
        lag = np.abs(self.clock[when][:, :, None] - self.clock[others_when][:, None]).astype(dtype)
        distance = self.distance(where[:, :, None], others_where[:, None]).astype(dtype)
        return self.covariance(distance, lag)


def regular(place: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether distances along the rows of a grid do not depend on where a row begins."""
    if len(shape) != 2 or min(shape) < 2:
        return False
    grid = place.reshape(*shape, -1)
    begin, later = (
        np.linalg.norm(grid[:, None, k : k + 2] - grid[None, :, k : k + 1], axis=-1)
        for k in (0, shape[1] - 2)
    )
    return bool(np.allclose(begin, later, rtol=1e-3, atol=1e-3 * begin[0, 0, 1]))


def cut(correlation: np.ndarray, dtype: str) -> np.ndarray:
    """Return a correlation with 0 in place of what no precision holds.

    The products of such numbers are too small to be normal, and a processor is slow with these.
    """
    return np.where(correlation < 1e-12, 0.0, correlation).astype(dtype)
