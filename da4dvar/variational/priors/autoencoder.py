"""A dense auto-encoder as a prior."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from da4dvar.variational.priors.pca import as_vectors


class DenseAutoencoder(nn.Module):
    """Φ(x) = D(E(x)), both of dense layers with ReLU between, x taken as one vector.

    With the widths that are the default and 28 × 28 cells, the auto-encoder of the paper's MNIST
    experiment (section 4.1): 784-120-40-20-200-400-784, some 500,000 parameters.

    Parameters
    ----------
    channels : int
        Channels of the state.
    space : sequence of int
        Cells along each space axis: it sees states of this size alone.
    encoder : sequence of int
        Widths of the layers of E; the last is that of the code, which is linear.
    decoder : sequence of int
        Widths of the hidden layers of D.

    Raises
    ------
    ValueError
        If there is no code, or a width is not positive.

    Examples
    --------
    >>> prior = DenseAutoencoder(1, [28, 28])
    >>> sum(p.numel() for p in prior.parameters())
    498844
    """

    def __init__(
        self,
        channels: int,
        space: Sequence[int],
        encoder: Sequence[int] = (120, 40, 20),
        decoder: Sequence[int] = (200, 400),
    ) -> None:
        super().__init__()
        if not encoder or min(*encoder, *decoder, 1) < 1:
            raise ValueError(f"widths are {encoder} and {decoder}, expected a code, and 1 or more of each")
        self.channels, self.space = channels, list(space)
        self.encoder, self.decoder = list(encoder), list(decoder)
        size = channels * math.prod(space)
        self.encode = dense([size, *encoder])
        self.decode = dense([encoder[-1], *decoder, size])

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x).

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space)``

        Returns
        -------
        Tensor, shape of `x`

        Raises
        ------
        ValueError
            If states have another size than the prior was made for.
        """
        decoded: Tensor = self.decode(self.encode(as_vectors(x, self.channels, self.space)))
        return decoded.reshape(x.shape)


def dense(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
