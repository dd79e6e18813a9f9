"""Convolutions and padding with one boundary rule per axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

MODES = {"zero": "constant", "reflect": "reflect", "periodic": "circular"}
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def pad(x: Tensor, width: int, boundary: Sequence[str]) -> Tensor:
    """Pad every space axis of `x` by `width` cells on both sides.

    Parameters
    ----------
    x : Tensor, shape ``(batch, channel, *space)``
        Field to pad.
    width : int
        Number of cells to add at each end.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis.

    Returns
    -------
    Tensor, shape ``(batch, channel, *space)``
        The field, longer by 2 `width` along every space axis.

    Raises
    ------
    ValueError
        If an axis is too short to be reflected or wrapped by `width` cells.

    Examples
    --------
    >>> import torch
    >>> pad(torch.tensor([[[1.0, 2.0, 3.0]]]), 1, ["periodic"])
    tensor([[[3., 1., 2., 3., 1.]]])
    """
    for rule in dict.fromkeys(boundary):
        widths: list[int] = []
        for axis, of_axis in reversed(list(enumerate(boundary))):
            here = width if of_axis == rule else 0
            size = x.shape[2 + axis]
            if here and ((rule == "reflect" and here >= size) or (rule == "periodic" and here > size)):
                raise ValueError(
                    f"cannot pad an axis of {size} cells by {width} cells ({rule}); "
                    "use a smaller kernel or a longer axis"
                )
            widths += [here, here]
        x = F.pad(x, widths, mode=MODES[rule])
    return x


def per_axis(cells: int | Sequence[int], axes: int, name: str) -> list[int]:
    """Return one number of cells per axis, given a single number or a sequence."""
    given = [cells] * axes if isinstance(cells, int) else list(cells)
    if len(given) != axes or min(given) < 1:
        raise ValueError(f"{name} is {cells!r}, expected 1 or more for each of the {axes} axes")
    return given


def whole_blocks(x: Tensor, blocks: Sequence[int]) -> Tensor:
    """Append zeros to `x` so that the length of every space axis is a multiple of its block."""
    widths: list[int] = []
    for size, block in zip(reversed(x.shape[2:]), reversed(blocks), strict=True):
        widths += [0, -size % block]
    return F.pad(x, widths) if any(widths) else x


def cropped(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the first `sizes` cells of `x` along every space axis."""
    for axis, size in enumerate(sizes, start=2):
        x = x.narrow(axis, 0, size)
    return x


class Convolution(nn.Module):
    """Convolution that preserves the shape of a field, with one boundary rule per axis.

    Parameters
    ----------
    inputs, outputs : int
        Number of input and output channels.
    kernel : int
        Length of the kernel along every axis; odd.
    boundary : sequence of {"zero", "reflect", "periodic"}
        Boundary rule of each space axis; its length is the number of axes.
    bias : bool
        Whether to add a learned bias.

    Raises
    ------
    ValueError
        If a boundary rule is unknown or the kernel is even.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, boundary: Sequence[str], bias: bool = True
    ) -> None:
        super().__init__()
        unknown = [b for b in boundary if b not in MODES]
        if unknown:
            raise ValueError(f"boundary {unknown[0]!r} is not one of {', '.join(MODES)}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}, expected an odd number above 0")
        self.boundary = tuple(boundary)
        self.width = kernel // 2
        # torch pads with zeros inside the convolution, without a copy of the field.
        self.zeros = all(b == "zero" for b in boundary)
        self.convolution = CONVOLUTIONS[len(boundary)](
            inputs, outputs, kernel, padding=self.width if self.zeros else 0, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, input, *space)`` to ``(batch, output, *space)``."""
        if self.width and not self.zeros:
            x = pad(x, self.width, self.boundary)
        convolved: Tensor = self.convolution(x)
        return convolved
