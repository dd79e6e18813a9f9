"""A covariance in space and time as a prior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from da4dvar.variational.kernels import SumOfSeparable, covariance_of

# Rows of the largest matrix that is decomposed, in about a minute.
MOST = 4096
# Smallest eigenvalue relative to the variance: single precision resolves no smaller one.
SMALLEST = 1e-6


class Covariance(nn.Module):
    """Φ(x) = x − L⁻¹ x with L Lᵀ = B, so that ‖x − Φ(x)‖² = xᵀ B⁻¹ x: a Gaussian with the covariance B.

    B = Σ_q s_q² K_t,q ⊗ K_s,q is the covariance of :class:`~da4dvar.variational.kernels.SumOfSeparable`,
    without its nugget ε². With λ_o = 1/ε² and λ_p = 1, U is the cost of 3D-Var, and its minimiser is the
    estimate of optimal interpolation,

        x̂ = arg min ‖H(x) − y‖² / ε² + xᵀ B⁻¹ x = B Hᵀ (H B Hᵀ + ε² I)⁻¹ y,

    for a background of zero: the scaling of a model subtracts the mean or the season. B and ε² are in the
    squared units of the data or of the normalised state; as both terms scale alike, x̂ is the same.

    L⁻¹ amplifies what B considers unlikely, so that U is badly conditioned in x. Minimise it with
    :class:`~da4dvar.variational.solvers.control_variable.ControlVariable`, which solves for L⁻¹ x.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    space : sequence of int
        Number of cells along each space axis; the prior accepts only states of this size.
    covariance : SumOfSeparable or dict
        B, or the table that describes it. Up to two terms are exact for windows of up to 4096 cells and 4096
        times; more terms require windows of up to 4096 values.
    place : array, shape (cell, axis), optional
        Cartesian coordinates of the cells in the order of the axes, in the units of the lengths; by default
        a grid of unit spacing.
    clock : array, shape (time,), optional
        Times, in the units of the durations; by default steps of one. A single time is for states without a
        time axis.
    time_axis : int
        Axis of ``(channel, *space)`` along which time runs; 0 if time is folded into the channels. If a state
        has a multiple of the values at these times and cells, its channels begin with the variables, which
        are independent of each other and have the same covariance.

    Raises
    ------
    ValueError
        If the coordinates do not fit the state, the variance is zero, or the matrices are too large.
    DataError
        If `covariance` is not the table of a covariance.

    Notes
    -----
    L is a root of the sum of two terms: matrices K₁ and K₂ have K₁ = G D Gᵀ and K₂ = G (I − D) Gᵀ with a
    diagonal D and G Gᵀ = K₁ + K₂, in time and in space (Golub and Van Loan, 2013, section 8.7). The roots are
    rotated such that L⁻¹ x is on the grid of x. Eigenvalues below 10⁻⁶ of the variance are raised to it.

    Examples
    --------
    >>> from da4dvar.variational.kernels import Separable
    >>> term = Separable(variance=4.0, length=1.0, duration=2.0, time="gaussian")
    >>> prior = Covariance(channels=3, space=[1], covariance=SumOfSeparable((term,), nugget=0.01))
    >>> x = torch.tensor([[[1.0], [1.2], [1.1]]])
    >>> matrix = 4 * np.exp(-np.square(np.subtract.outer(range(3), range(3))) / 8)
    >>> expected = x.flatten().numpy() @ np.linalg.solve(matrix, x.flatten().numpy())
    >>> bool(np.isclose(float((x - prior(x)).square().sum()), expected, rtol=1e-4))
    True
    """

    def __init__(
        self,
        channels: int,
        space: Sequence[int],
        covariance: Mapping[str, Any] | SumOfSeparable,
        place: np.ndarray | Sequence[Sequence[float]] | None = None,
        clock: np.ndarray | Sequence[float] | None = None,
        time_axis: int = 0,
    ) -> None:
        super().__init__()
        sizes = [channels, *space]
        if not 0 <= time_axis < len(sizes):
            raise ValueError(f"time_axis is {time_axis}, expected 0 to {len(sizes) - 1}")
        if not 0 < math.prod(sizes) <= MOST**2:
            raise ValueError(f"a state has {math.prod(sizes)} values, expected 1 to {MOST**2}")
        # As a table, which a recipe or a model file can hold.
        self.covariance = covariance.table() if isinstance(covariance, SumOfSeparable) else dict(covariance)
        self.channels, self.space, self.time_axis = channels, list(space), time_axis
        self.clock = np.arange(float(sizes[time_axis])) if clock is None else np.asarray(clock, "float64")
        axes = [*space[: max(0, time_axis - 1)], *space[time_axis:]]
        grid = np.stack(np.meshgrid(*map(np.arange, axes), indexing="ij"), -1) if axes else np.empty((1, 0))
        self.place = np.asarray(grid.reshape(-1, len(axes)) if place is None else place, "float64")
        if self.clock.ndim != 1 or self.place.ndim != 2:
            raise ValueError(
                f"clock and place have {self.clock.ndim} and {self.place.ndim} dimensions, "
                "expected times, and rows of coordinates"
            )
        if not (np.isfinite(self.clock).all() and np.isfinite(self.place).all()):
            raise ValueError("a time or a coordinate is not finite, expected numbers")
        times, cells = len(self.clock), len(self.place)
        whole = cells == math.prod(space) if time_axis == 0 else times == sizes[time_axis]
        if not whole or not cells or math.prod(sizes) % (times * cells):
            raise ValueError(
                f"got {times} times along axis {time_axis} and {cells} cells, "
                f"which do not make up a state of shape {tuple(sizes)}"
            )
        self.root = Root(covariance_of(self.covariance), self.place, self.clock)

    def state(self, v: Tensor) -> Tensor:
        """L v.

        Parameters
        ----------
        v : Tensor, shape ``(batch, channel, *space)``
            Control variable; for standard normal numbers, L v has the covariance B.

        Returns
        -------
        Tensor, shape of `v`
        """
        return self._applied(v, forward=True)

    def control(self, x: Tensor) -> Tensor:
        """L⁻¹ x.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape of `x`
        """
        return self._applied(x, forward=False)

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x).

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape of `x`

        Raises
        ------
        ValueError
            If the size of the states is not the one that the prior was made for.
        """
        return x - self.control(x)

    def _applied(self, x: Tensor, forward: bool) -> Tensor:
        """L x or L⁻¹ x, by products with matrices of time and space."""
        if tuple(x.shape[1:]) != (self.channels, *self.space):
            raise ValueError(
                f"states have shape {tuple(x.shape[1:])}, expected {(self.channels, *self.space)}"
            )
        time, space, scale = self.root.on(x)
        moved = x.movedim(self.time_axis + 1, -1) if self.time_axis else x
        if self.time_axis:
            grid = moved.reshape(len(x), -1, len(self.place), len(self.clock)).mT
        else:
            grid = moved.reshape(len(x), -1, len(self.clock), len(self.place))
        field = grid.reshape(*grid.shape[:2], *scale.shape)
        # Eight significant bits of mixed precision are too few for a matrix that has a wide spectrum.
        with torch.autocast(x.device.type, enabled=False):
            if forward:
                field = time.rotation.mT @ field @ space.rotation
                field = time.half @ (scale * field) @ space.half.mT
            else:
                field = time.inverse @ field @ space.inverse.mT
                field = time.rotation @ (field / scale) @ space.rotation.mT
        grid = field.reshape(grid.shape)
        if self.time_axis:
            return grid.mT.reshape(moved.shape).movedim(-1, self.time_axis + 1)
        return grid.reshape(x.shape)


class Factors(NamedTuple):
    """G and G⁻¹ = Rᵀ C^(−1/2) of G = C^(1/2) R, with G Gᵀ = C = K₁ + K₂, K₁ = G D Gᵀ and a rotation R."""

    half: Tensor
    inverse: Tensor
    rotation: Tensor


class Root:
    """L = (G_t ⊗ G_s) d^(1/2) (R_t ⊗ R_s)ᵀ, with d = s₁² D_t ⊗ D_s + s₂² (I − D_t) ⊗ (I − D_s).

    It is computed when it is first used, and shared by copies.

    Parameters
    ----------
    covariance : SumOfSeparable
        B.
    place, clock : array
        See :class:`Covariance`.

    Raises
    ------
    ValueError
        If the variance is zero, or a matrix would have more than 4096 rows.
    """

    def __init__(self, covariance: SumOfSeparable, place: np.ndarray, clock: np.ndarray) -> None:
        if not covariance.variance > 0:
            raise ValueError("the variances of the covariance are 0, expected one above 0")
        terms, several = covariance.terms, len(covariance.terms) > 2
        rows = len(clock) * len(place) if several else max(len(clock), len(place))
        if rows > MOST:
            size = f"{len(clock)} times and {len(place)} cells"
            raise ValueError(
                f"a covariance of {len(terms)} terms needs a matrix of {rows} rows for {size}, expected at "
                f"most {MOST}; use smaller windows{', or a covariance of two terms' * several}"
            )
        self.covariance, self.place, self.clock = covariance, place, clock
        self.made: dict[Any, tuple[Factors, Factors, Tensor]] = {}

    def __deepcopy__(self, memo: Any) -> Root:
        return self

    def on(self, x: Tensor) -> tuple[Factors, Factors, Tensor]:
        """Return the factors of time and space, and √d, in the data type and on the device of a tensor."""
        first, key = (torch.float64, torch.device("cpu")), (x.dtype, x.device)
        if first not in self.made:
            self.made[first] = self._decomposed()
        if key not in self.made:
            time, space, scale = self.made[first]
            self.made[key] = (
                Factors(*(m.to(x) for m in time)),
                Factors(*(m.to(x) for m in space)),
                scale.to(x),
            )
        return self.made[key]

    def _decomposed(self) -> tuple[Factors, Factors, Tensor]:
        terms = self.covariance.terms
        lag, distance = np.subtract.outer(self.clock, self.clock), cdist(*[padded(self.place)] * 2)
        variances = [term.variance for term in terms]
        in_time, in_space = [t.in_time(np.abs(lag)) for t in terms], [t.in_space(distance) for t in terms]
        if len(terms) > 2:
            both = zip(variances, in_time, in_space, strict=True)
            whole = np.add.reduce([variance * np.kron(kt, ks) for variance, kt, ks in both])
            variances = [self.covariance.variance]
            in_time, in_space = [np.ones((1, 1))], [whole / variances[0]]
        (time, shares), (space, cells) = diagonalised(in_time), diagonalised(in_space)
        # Without a second term, its variance is zero.
        first, second = [*variances, 0.0][:2]
        scale = first * np.outer(shares, cells) + second * np.outer(1 - shares, 1 - cells)
        return time, space, torch.from_numpy(np.sqrt(scale.clip(SMALLEST * (first + second))))


def padded(place: np.ndarray) -> np.ndarray:
    """Return coordinates with a further axis of zeros, as a series has none."""
    return np.column_stack([place, np.zeros(len(place))])


def diagonalised(matrices: Sequence[np.ndarray]) -> tuple[Factors, np.ndarray]:
    """Return the factors of one or two correlation matrices, and the diagonal of D."""
    values, vectors = np.linalg.eigh(sum(matrices))
    values = values.clip(SMALLEST)
    half, inverse = (vectors * values**power @ vectors.T for power in (0.5, -0.5))
    share, rotation = np.ones(len(values)), np.eye(len(values))
    if len(matrices) > 1:
        share, rotation = np.linalg.eigh(inverse @ matrices[0] @ inverse)
    made = (half @ rotation, rotation.T @ inverse, rotation)
    return Factors(*map(torch.from_numpy, made)), share.clip(0, 1)
