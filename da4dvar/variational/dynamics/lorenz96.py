"""The Lorenz-96 system."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Lorenz96(nn.Module):
    """dxⱼ/dt = (xⱼ₊₁ − xⱼ₋₂) xⱼ₋₁ − xⱼ + F with periodic j. Lorenz (1996), eq. (1).

    Parameters
    ----------
    forcing : float
        F; the system is chaotic for 8, where errors double in 0.42 time units.
    axis : int
        Axis of the components j; a negative number counts from the end.
    learn : bool
        Whether F is a learned parameter, which starts at `forcing`.

    Examples
    --------
    >>> Lorenz96(axis=-1)(torch.full((40,), 8.0)).abs().max()  # xⱼ = F is a fixed point
    tensor(0.)
    """

    def __init__(self, forcing: float = 8.0, axis: int = -2, learn: bool = False) -> None:
        super().__init__()
        self.forcing, self.axis, self.learn = forcing, axis, learn
        self.learned = nn.Parameter(torch.tensor(forcing, dtype=torch.float64)) if learn else None

    def forward(self, x: Tensor) -> Tensor:
        """dx/dt, per unit of model time.

        Parameters
        ----------
        x : Tensor, shape ``(..., component, time)``, or with the components along another `axis`
            States.

        Returns
        -------
        Tensor, shape of `x`
        """
        ahead = torch.roll(x, -1, self.axis)
        behind = torch.roll(x, 1, self.axis)
        behind2 = torch.roll(x, 2, self.axis)
        forcing = self.forcing if self.learned is None else self.learned.to(x.dtype)
        return (ahead - behind2) * behind - x + forcing
