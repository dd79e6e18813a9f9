"""Observation operators H: what an instrument would see of a state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from da4dvar.variational.boundary import Convolution


class Identity(nn.Module):
    """H(x) = x: the state itself is seen, on Ω. Paper, eq. (3)."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class LinearOperator(nn.Module):
    """H(x) = A x along the channels: each observed channel is a known mixture of the state's.

    Parameters
    ----------
    matrix : array_like, shape (observed channel, channel)

    Examples
    --------
    >>> mean = LinearOperator([[0.5, 0.5]])
    >>> mean(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 3.]]])
    """

    matrix: Tensor

    def __init__(self, matrix: Sequence[Sequence[float]] | Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.as_tensor(matrix, dtype=torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("oc,bc...->bo...", self.matrix, x)


class LearnedOperator(nn.Module):
    """H(x) = K * x + b, a convolution that is learned with the rest and starts as the identity.

    Parameters
    ----------
    channels : int
    boundary : sequence of {"zero", "reflect", "periodic"}
    kernel : int
        Odd length of K: how far the instrument smears.
    """

    def __init__(self, channels: int, boundary: Sequence[str], kernel: int = 3) -> None:
        super().__init__()
        self.channels, self.boundary, self.kernel = channels, tuple(boundary), kernel
        self.smear = Convolution(channels, channels, kernel, boundary)
        weight = self.smear.convolution.weight
        nn.init.dirac_(weight)
        nn.init.zeros_(self.smear.convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.smear(x)
