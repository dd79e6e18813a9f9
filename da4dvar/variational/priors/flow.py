"""The flow of an ordinary differential equation as a prior, eqs. (6) and (7)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.dynamics.rk4 import rk4


class Flow(nn.Module):
    """Φ(x)(t) = x(t − Δ) + ∫ φ(x(u)) du from t − Δ to t, by fourth-order Runge-Kutta.

    Paper, eqs. (6) and (7). Time is the last axis. The first time has no predecessor and is returned
    unchanged, so that it does not contribute to the prior term.

    Parameters
    ----------
    dynamics : nn.Module
        φ, the right-hand side; it receives states with the time axis.
    step : float
        Δ, the time between consecutive columns of the state, in the time units of φ.
    substeps : int
        Number of Runge-Kutta steps per interval Δ.

    Raises
    ------
    ValueError
        If the step or the number of substeps is not positive.

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
        """Φ(x): the forecast of each time from the previous one.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``
            State.

        Returns
        -------
        Tensor, shape of `x`
            Forecasts; the first time is that of `x`.
        """
        return torch.cat([x[..., :1], self.forecast(x[..., :-1])], dim=-1)

    def forecast(self, x: Tensor) -> Tensor:
        """Forecast every state by one interval Δ.

        Parameters
        ----------
        x : Tensor, shape ``(batch, channel, *space, time)``
            States.

        Returns
        -------
        Tensor, shape of `x`
        """
        for _ in range(self.substeps):
            x = rk4(self.dynamics, x, self.step / self.substeps)
        return x
