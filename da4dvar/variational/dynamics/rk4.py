"""One step of the classical fourth-order Runge-Kutta scheme."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def rk4(dynamics: Callable[[Tensor], Tensor], x: Tensor, step: float) -> Tensor:
    """x(t + Δ) for dx/dt = φ(x), with a local error of order Δ⁵. Kutta (1901); the paper, eq. (7).

    Parameters
    ----------
    dynamics : callable
        φ, which preserves the shape of the state.
    x : Tensor
        x(t), the state.
    step : float
        Δ, in the time units of φ.

    Returns
    -------
    Tensor, shape of `x`

    Examples
    --------
    >>> import torch
    >>> rk4(lambda x: -x, torch.ones(1, dtype=torch.float64), 0.1).item()  # exp(-0.1) = 0.904837418
    0.9048375
    """
    k1 = dynamics(x)
    k2 = dynamics(x + step / 2 * k1)
    k3 = dynamics(x + step / 2 * k2)
    k4 = dynamics(x + step * k3)
    return x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
