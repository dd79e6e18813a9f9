"""The Lorenz-63 system."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Lorenz63(nn.Module):
    """dx/dt = σ(y − x), dy/dt = x(ρ − z) − y, dz/dt = xy − βz. Lorenz (1963), eqs. (25)-(27).

    Parameters
    ----------
    sigma, rho, beta : float
        σ, ρ and β.
    axis : int
        Axis of the three components; a negative number counts from the end.
    learn : bool
        Whether σ, ρ and β are learned parameters, which start at the given values.

    Examples
    --------
    >>> Lorenz63(axis=-1)(torch.tensor([1.0, 2.0, 3.0]))
    tensor([10., 23., -6.])
    """

    def __init__(
        self,
        sigma: float = 10.0,
        rho: float = 28.0,
        beta: float = 8 / 3,
        axis: int = -2,
        learn: bool = False,
    ) -> None:
        super().__init__()
        self.sigma, self.rho, self.beta, self.axis, self.learn = sigma, rho, beta, axis, learn
        start = torch.tensor([sigma, rho, beta], dtype=torch.float64)
        self.learned = nn.Parameter(start) if learn else None

    def forward(self, x: Tensor) -> Tensor:
        """dx/dt, per unit of model time.

        Parameters
        ----------
        x : Tensor, shape ``(..., 3, time)``, or with the components along another `axis`
            States.

        Returns
        -------
        Tensor, shape of `x`
        """
        sigma, rho, beta = (
            (self.sigma, self.rho, self.beta) if self.learned is None else self.learned.to(x.dtype).unbind()
        )
        x, y, z = x.unbind(self.axis)
        return torch.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z], self.axis)
