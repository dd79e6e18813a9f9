"""Observation of a gridded state at points that lie on no grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from da4dvar.variational.linear_weights import linear_weights
from da4dvar.variational.observation import Observation


class AtPoints(Observation):
    """H(x) = W x, the linear interpolation of a state in space and time to points.

    The observations y and their mask have the shape ``(batch, 1, point)``. The misfit of each point is
    divided by its error relative to the smallest one, so that λ_o is the weight of the most accurate points.

    Parameters
    ----------
    axes : sequence of array
        Coordinates along the axes of the state, channels first, such as times, latitudes and longitudes. A
        state whose channels are one variable at one time has a first axis with a single entry.
    at : array, shape (point, axis)
        Coordinates of the points.
    error : array_like, shape (point,), optional
        Standard deviations of the errors; by default all are alike.
    periods : sequence of float or None, optional
        Period of each axis, such as 360 for longitudes around the globe.

    Raises
    ------
    ValueError
        If a point is outside the grid, an axis is not monotonic, or an error is not above 0.

    Examples
    --------
    >>> times, places = np.array([0.0, 1.0]), np.array([0.0, 10.0, 20.0])
    >>> observed = AtPoints([times, places], np.array([[0.5, 5.0], [1.0, 20.0]]))
    >>> x = torch.arange(6.0).reshape(1, 2, 3)
    >>> observed(x)
    tensor([[[2., 5.]]])
    """

    keeps_channels = False

    def __init__(
        self,
        axes: Sequence[np.ndarray],
        at: np.ndarray,
        error: Sequence[float] | np.ndarray | None = None,
        periods: Sequence[float | None] | None = None,
    ) -> None:
        super().__init__()
        matrix, inside = linear_weights(axes, at, periods)
        if not inside.all():
            raise ValueError(
                f"{(~inside).sum()} of {inside.size} points are outside the grid; leave them out"
            )
        sigma = np.ones(len(at)) if error is None else np.asarray(error, float)
        if sigma.shape != (len(at),) or not ((sigma > 0) & np.isfinite(sigma)).all():
            raise ValueError(f"got errors of shape {sigma.shape}, expected {len(at)} numbers above 0")
        entries = matrix.tocoo()
        dtype = torch.get_default_dtype()
        self.number = len(at)
        # Indices and weights in place of a sparse tensor, whose derivatives exist on fewer devices.
        self.register_buffer("row", torch.as_tensor(entries.row, dtype=torch.long))
        self.register_buffer("column", torch.as_tensor(entries.col, dtype=torch.long))
        self.register_buffer("weight", torch.as_tensor(entries.data, dtype=dtype))
        self.register_buffer("root", torch.as_tensor(sigma.min(initial=np.inf) / sigma, dtype=dtype))

    row: Tensor
    column: Tensor
    weight: Tensor
    root: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """W x.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape ``(batch, 1, point)``
        """
        parts = x.flatten(1)[:, self.column] * self.weight.to(x.dtype)
        out = x.new_zeros(len(x), self.number).index_add(1, self.row, parts)
        return out.unsqueeze(1)

    def weighted(self, misfit: Tensor) -> Tensor:
        """Multiply the misfit of each point by the smallest error over its own.

        Parameters
        ----------
        misfit : Tensor, shape ``(batch, 1, point)``
            H(x) − y.

        Returns
        -------
        Tensor, shape of `misfit`
        """
        return misfit * self.root.to(misfit.dtype)


class Joined(Observation):
    """H(x) = [H₁(x), …, H_K(x)], observations of different shapes, such as those of a grid and of points.

    The observations y and their mask have the shape ``(batch, 1, value)``, with the values of each operator
    flattened and one after another; :meth:`packed` makes them.

    Parameters
    ----------
    operators : sequence of Observation
        H_k.
    shapes : sequence of tuple of int
        Shape of each H_k(x), without the batch.
    errors : sequence of float, optional
        Standard deviation of the (smallest) error of each; by default all are alike.

    Raises
    ------
    ValueError
        If there is not one shape and one error above 0 for each operator.

    Examples
    --------
    >>> from da4dvar.variational.observation import Identity
    >>> points = AtPoints([np.array([0.0]), np.array([0.0, 1.0])], np.array([[0.0, 0.5]]))
    >>> both = Joined([Identity(), points], shapes=[(1, 2), (1, 1)], errors=[1.0, 2.0])
    >>> both(torch.tensor([[[2.0, 4.0]]]))
    tensor([[[2., 4., 3.]]])
    >>> both.packed([torch.tensor([[[2.0, torch.nan]]]), torch.tensor([[[3.5]]])])
    tensor([[[2.0000,    nan, 3.5000]]])
    """

    keeps_channels = False

    def __init__(
        self,
        operators: Sequence[Observation],
        shapes: Sequence[tuple[int, ...]],
        errors: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        errors = [1.0] * len(operators) if errors is None else list(errors)
        same = len(operators) == len(shapes) == len(errors) > 0
        if not same or not all(0 < e < np.inf for e in errors):
            raise ValueError(
                f"got {len(shapes)} shapes and the errors {errors} for {len(operators)} operators, "
                "expected a shape and a number above 0 for each"
            )
        self.operators, self.shapes, self.errors = nn.ModuleList(operators), list(shapes), errors

    def forward(self, x: Tensor) -> Tensor:
        """Return the observations by all operators, flattened.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``
            State.

        Returns
        -------
        Tensor, shape ``(batch, 1, value)``
        """
        return self.packed([h(x) for h in self.operators])

    def packed(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the observations of each operator, or their masks, as one tensor.

        Parameters
        ----------
        parts : sequence of Tensor
            Observations or masks, batch first.

        Returns
        -------
        Tensor, shape ``(batch, 1, value)``
        """
        return torch.cat([part.flatten(1) for part in parts], 1).unsqueeze(1)

    def weighted(self, misfit: Tensor) -> Tensor:
        """Multiply the misfit of each operator by the smallest error over its own, and by its own weights.

        Parameters
        ----------
        misfit : Tensor, shape ``(batch, 1, value)``
            H(x) − y.

        Returns
        -------
        Tensor, shape of `misfit`
        """
        operators = (h for h in self.operators if isinstance(h, Observation))
        parts = misfit.split([math.prod(shape) for shape in self.shapes], 2)
        scaled = [
            h.weighted(part.unflatten(2, shape).squeeze(1)) * (min(self.errors) / error)
            for h, part, shape, error in zip(operators, parts, self.shapes, self.errors, strict=True)
        ]
        return self.packed(scaled)
