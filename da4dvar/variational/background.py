"""The background term of U: a normal distribution of the first state of a window."""

from __future__ import annotations

import torch
from torch import Tensor


class Background:
    """‖x(t₀) − x_b‖²_B = (x(t₀) − x_b)ᵀ B⁻¹ (x(t₀) − x_b): what is known of the first state beforehand.

    It is a term of U for a cost that is −2 log p, such as one with λ_o = 1/σ² for the variance σ² of the
    observation error. Time is the last axis of the state.

    Parameters
    ----------
    mean : Tensor, shape ``(batch, channel, *space)``
        x_b.
    covariance : Tensor, shape (batch, n, n)
        B, for the n components of a state.

    Raises
    ------
    torch.linalg.LinAlgError
        If B is not positive definite.

    Examples
    --------
    >>> known = Background.isotropic(torch.zeros(1, 1, 2), std=0.5)
    >>> known.term(torch.tensor([[[[1.0, 9.0], [2.0, 9.0]]]]))  # (1² + 2²) / 0.5² at the first time
    tensor([20.])
    """

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        factor = torch.linalg.cholesky(covariance)
        identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        self.mean, self.covariance = mean, covariance
        self.root = torch.linalg.solve_triangular(factor, identity, upper=False)

    @classmethod
    def isotropic(cls, mean: Tensor, std: float) -> Background:
        """Return a background whose errors are independent, with the same standard deviation.

        Parameters
        ----------
        mean : Tensor, shape ``(batch, channel, *space)``
            x_b.
        std : float
            Standard deviation of the error of every component.

        Returns
        -------
        Background
        """
        n = mean[0].numel()
        return cls(mean, std**2 * torch.eye(n).to(mean).expand(len(mean), n, n))

    def __getitem__(self, samples: Tensor) -> Background:
        """Return the background of a subset of the samples."""
        return self._of(self.mean[samples], self.covariance[samples], self.root[samples])

    def to(self, like: Tensor) -> Background:
        """Return the background with the data type and the device of a tensor."""
        return self._of(self.mean.to(like), self.covariance.to(like), self.root.to(like))

    @classmethod
    def _of(cls, mean: Tensor, covariance: Tensor, root: Tensor) -> Background:
        made = cls.__new__(cls)
        made.mean, made.covariance, made.root = mean, covariance, root
        return made

    @property
    def precision(self) -> Tensor:
        """B⁻¹, shape (batch, n, n)."""
        precision: Tensor = self.root.mT @ self.root
        return precision

    def residual(self, x: Tensor) -> Tensor:
        """L⁻¹ (x(t₀) − x_b) with B = L Lᵀ.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``
            States.

        Returns
        -------
        Tensor, shape (batch, n)
        """
        departure = (x[..., 0] - self.mean).flatten(1)
        residual: Tensor = (self.root @ departure[..., None]).squeeze(-1)
        return residual

    def term(self, x: Tensor) -> Tensor:
        """‖x(t₀) − x_b‖²_B.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``
            States.

        Returns
        -------
        Tensor, shape (batch,)
        """
        term: Tensor = self.residual(x).square().sum(1)
        return term
