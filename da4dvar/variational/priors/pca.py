"""Principal components as a prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PCA(nn.Module):
    """Φ(x) = μ + V Vᵀ (x − μ), V the leading principal components of complete states.

    Hotelling (1933); the projection of the paper's MNIST experiment (section 4.1). μ and V are fitted, not
    learned by descent: they are buffers, which a model file keeps beside the weights. Until :meth:`fit`, Φ
    is zero.

    Parameters
    ----------
    channels : int
        Channels of the state.
    space : sequence of int
        Cells along each space axis: it sees states of this size alone.
    components : int
        Columns of V.

    Raises
    ------
    ValueError
        If there are more components than numbers in a state, or none.

    Examples
    --------
    >>> states = torch.arange(12.0).reshape(4, 1, 3)  # all on one line
    >>> prior = PCA(1, [3], components=1).fit(states)
    >>> bool(torch.allclose(prior(states), states, atol=1e-5))
    True
    """

    mean: Tensor
    vectors: Tensor

    def __init__(self, channels: int, space: Sequence[int], components: int = 50) -> None:
        super().__init__()
        size = channels * math.prod(space)
        if not 1 <= components <= size:
            raise ValueError(f"components is {components}, expected from 1 to {size}, the size of a state")
        self.channels, self.space, self.components = channels, list(space), components
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("vectors", torch.zeros(components, size))

    @property
    def fitted(self) -> bool:
        """Whether there are components yet."""
        return bool(self.vectors.any())

    def fit(self, states: Tensor, seed: int = 0) -> PCA:
        """Find μ and V in complete states.

        Parameters
        ----------
        states : Tensor, shape ``(batch, channel, *space)``
        seed : int
            Of the random projection that scikit-learn takes where states are many and large.

        Returns
        -------
        PCA
            Itself.

        Raises
        ------
        ValueError
            If there are fewer states than components, or they are incomplete.
        """
        from sklearn.decomposition import PCA as Components

        vectors = as_vectors(states, self.channels, self.space).numpy()
        if len(vectors) < self.components:
            raise ValueError(f"there are {len(vectors)} states for {self.components} components; give more")
        found = Components(self.components, random_state=seed).fit(vectors)
        self.mean.copy_(torch.from_numpy(found.mean_))
        self.vectors.copy_(torch.from_numpy(found.components_))
        return self

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
        departure = as_vectors(x, self.channels, self.space) - self.mean
        return (self.mean + departure @ self.vectors.T @ self.vectors).reshape(x.shape)


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
