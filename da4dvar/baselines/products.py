"""Products of a sum of Kronecker products with a field, dense or by Fourier transforms along rows."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from da4dvar.variational.kernels import SumOfSeparable

DENSE = 2500  # cells up to which the matrices of space are dense


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
        lag = np.abs(clock[:, None] - clock)
        self.in_time = [(t.variance * t.in_time(lag)).astype(dtype) for t in covariance.terms]
        if self.dense:
            distance = self.distance(np.arange(len(place))[:, None], np.arange(len(place)))
            self.in_space = [t.in_space(distance).astype(dtype) for t in covariance.terms]
        else:
            cells = np.arange(len(place)).reshape(self.rows, self.columns)
            # (lag along the row, row, row)
            apart = self.distance(cells[None, :, :1], cells[:, :].T[:, None, :])
            self.padded = next_fast_len(2 * self.columns - 1, real=True)
            around = np.minimum(np.arange(self.padded), self.padded - np.arange(self.padded))
            self.spectra = []
            for t in covariance.terms:
                kernel = t.in_space(apart).astype(dtype)
                wrapped = np.where(
                    (around < self.columns)[:, None, None],
                    kernel[np.minimum(around, self.columns - 1)],
                    np.zeros((), dtype),
                )
                self.spectra.append(np.ascontiguousarray(rfft(wrapped, axis=0).real))

    def distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the distances of cells `a` and `b`."""
        total = 0.0
        for axis in self.place.T:
            total = total + np.square(axis[a] - axis[b])
        out: np.ndarray = np.sqrt(total + np.zeros(np.broadcast_shapes(a.shape, b.shape)))
        return out

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return K X."""
        if self.dense:
            parts = [(kt @ x) @ ks for kt, ks in zip(self.in_time, self.in_space, strict=True)]
            dense: np.ndarray = np.add.reduce(parts)
            return dense
        steps = len(self.clock)
        # Columns first: the transform is along the first axis, and the matrices act on the last two.
        field = np.ascontiguousarray(x.reshape(steps, self.rows, self.columns).transpose(2, 0, 1))
        total = 0.0
        for kt, spectrum in zip(self.in_time, self.spectra, strict=True):
            wave = rfft(kt @ field, self.padded, axis=0)
            total = total + (wave.real @ spectrum + 1j * (wave.imag @ spectrum))
        out: np.ndarray = irfft(total, self.padded, axis=0)[: self.columns]
        return out.transpose(1, 2, 0).reshape(steps, -1)

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
        lag = np.abs(self.clock[when][:, :, None] - self.clock[others_when][:, None]).astype(dtype)
        distance = self.distance(where[:, :, None], others_where[:, None]).astype(dtype)
        return self.covariance(distance, lag)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return a field with the covariance K."""
        out = np.zeros((len(self.clock), len(self.place)))
        for t, kt in zip(self.covariance.terms, self.in_time, strict=True):
            noise = generator.standard_normal((len(self.clock), len(self.place)))
            distance = self.distance(np.arange(len(self.place))[:, None], np.arange(len(self.place)))
            out = out + root(kt.astype("float64")) @ noise @ root(t.in_space(distance)).T
        return out


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


def root(matrix: np.ndarray) -> np.ndarray:
    """Return R with R Rᵀ = matrix, for a matrix that may have a few eigenvalues just below 0."""
    values, vectors = np.linalg.eigh(matrix)
    half: np.ndarray = vectors * np.sqrt(values.clip(0))
    return half
