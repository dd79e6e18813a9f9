"""The flow of an ordinary differential equation as a prior, eqs. (6) and (7)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.dynamics.rk4 import rk4


class Flow(nn.Module):
    """Φ(x)(t) = x(t − Δ) + ∫ φ(x(u)) du from t − Δ to t, by fourth-order Runge-Kutta.

    Paper, eqs. (6) and (7). Time is the last axis. The first time has nothing before it and is
    kept, so that it adds nothing to the prior term.

    Parameters
    ----------
    dynamics : nn.Module
        φ, the right-hand side; it acts on a state with the time axis still there.
    step : float
        Δ, the time from one column of the state to the next, in the units of φ.
    substeps : int
        Runge-Kutta steps to an interval Δ.

    Raises
    ------
    ValueError
        If the step or the number of them is not positive.

    Examples
    --------
    >>> from da4dvar.variational.dynamics.lorenz96 import Lorenz96
    >>> prior = Flow(Lorenz96(), step=0.05)
    >>> x = torch.full((1, 1, 40, 5), 8.0)  # the fixed point of Lorenz-96
    >>> bool(torch.allclose(prior(x), x))
    True
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"dynamics": "dynamics"}

    def __init__(self, dynamics: nn.Module, step: float, substeps: int = 1) -> None:
        super().__init__()
        if step <= 0 or substeps < 1:
            raise ValueError(f"step is {step} and substeps {substeps}, expected both above 0")
        self.dynamics, self.step, self.substeps = dynamics, step, substeps

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x): each time as forecast from the one before.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``

        Returns
        -------
        Tensor, shape of `x`
            The first time is that of `x`.
        """
        return torch.cat([x[..., :1], self.forecast(x[..., :-1])], dim=-1)

    def forecast(self, x: Tensor) -> Tensor:
        """Each state a time Δ later.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``

        Returns
        -------
        Tensor, shape of `x`
        """
        for _ in range(self.substeps):
            x = rk4(self.dynamics, x, self.step / self.substeps)
        return x
