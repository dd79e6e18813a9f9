"""Principal components as a prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PCA(nn.Module):
    """Φ(x) = μ + V Vᵀ (x − μ), where V holds the leading principal components of complete states.

    Hotelling (1933). This is the projection of the paper's MNIST experiment (section 4.1). μ and V are not
    learned by gradient descent but fitted by :meth:`fit`, before which Φ is zero. They are buffers, which a
    model file stores together with the weights.

    Parameters
    ----------
    channels : int
        Number of channels of the state.
    space : sequence of int
        Number of cells along each space axis; the prior accepts only states of this size.
    components : int
        Number of principal components, the columns of V.

    Raises
    ------
    ValueError
        If the number of components is not between 1 and the size of a state.

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
            raise ValueError(f"components is {components}, expected 1 to {size}, the size of a state")
        self.channels, self.space, self.components = channels, list(space), components
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("vectors", torch.zeros(components, size))

    @property
    def fitted(self) -> bool:
        """Whether the components have been fitted."""
        return bool(self.vectors.any())

    def fit(self, states: Tensor, seed: int = 0) -> PCA:
        """Fit μ and V to complete states.

        Parameters
        ----------
        states : Tensor, shape ``(batch, channel, *space)``
            Complete states.
        seed : int
            Seed of the random projection that scikit-learn uses if the states are many and large.

        Returns
        -------
        PCA
            The prior itself.

        Raises
        ------
        ValueError
            If there are fewer states than components, or the states have gaps.
        """
        from sklearn.decomposition import PCA as Components

        vectors = as_vectors(states, self.channels, self.space).numpy()
        if len(vectors) < self.components:
            raise ValueError(
                f"got {len(vectors)} states for {self.components} components; give at least as many states"
            )
        found = Components(self.components, random_state=seed).fit(vectors)
        self.mean.copy_(torch.from_numpy(found.mean_))
        self.vectors.copy_(torch.from_numpy(found.components_))
        return self

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
        departure = as_vectors(x, self.channels, self.space) - self.mean
        return (self.mean + departure @ self.vectors.T @ self.vectors).reshape(x.shape)


def as_vectors(x: Tensor, channels: int, space: Sequence[int]) -> Tensor:
    """Flatten states ``(batch, channel, *space)`` to vectors (batch, cell).

    Raises
    ------
    ValueError
        If the states do not have the given channels and space.
    """
    if tuple(x.shape[1:]) != (channels, *space):
        raise ValueError(f"states have shape {tuple(x.shape[1:])}, expected {(channels, *space)}")
    return x.flatten(1)
