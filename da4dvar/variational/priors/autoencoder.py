"""A dense autoencoder as a prior."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from da4dvar.variational.priors.pca import as_vectors


class DenseAutoencoder(nn.Module):
    """Φ(x) = D(E(x)), where E and D are dense layers with ReLU between them, and x is one vector.

    With the default widths and 28 × 28 cells, this is the autoencoder of the paper's MNIST experiment
    (section 4.1): 784-120-40-20-200-400-784, about 500,000 parameters.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    space : sequence of int
        Number of cells along each space axis; the prior accepts only states of this size.
    encoder : sequence of int
        Widths of the layers of E; the last is the width of the code, which is linear.
    decoder : sequence of int
        Widths of the hidden layers of D.

    Raises
    ------
    ValueError
        If the encoder has no layers, or a width is not positive.

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
            raise ValueError(
                f"encoder is {encoder} and decoder {decoder}, expected positive widths and a code"
            )
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
            State.

        Returns
        -------
        Tensor, shape of `x`

        Raises
        ------
        ValueError
            If the size of the states is not the one that the prior was made for.
        """
        decoded: Tensor = self.decode(self.encode(as_vectors(x, self.channels, self.space)))
        return decoded.reshape(x.shape)


def dense(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
