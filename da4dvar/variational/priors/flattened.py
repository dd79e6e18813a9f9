"""States of one size as vectors, for priors that see all cells at once."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def as_vectors(x: Tensor, channels: int, space: Sequence[int]) -> Tensor:
    """States ``(batch, channel, *space)`` as vectors (batch, cell).

    Raises
    ------
    ValueError
        If the states have another size than the prior was made for.
    """
    if tuple(x.shape[1:]) != (channels, *space):
        raise ValueError(f"states have cells {tuple(x.shape[1:])}, expected {(channels, *space)}")
    return x.flatten(1)
