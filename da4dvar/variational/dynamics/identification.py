"""Identification of dynamics from complete series."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from da4dvar.variational.priors.flow import Flow

# Number of pairs that L-BFGS stores. With the usual ten, products of different magnitudes take several times
# as many iterations.
HISTORY = 100


def learn_dynamics(flow: Flow, series: Tensor, steps: int) -> float:
    """min over the parameters of φ of mean (x(t + Δ) − Φ(x(t)))²: the best forecast over one interval Δ.

    The minimiser is L-BFGS (Liu and Nocedal, 1989) with a strong Wolfe line search, on all series at once and
    in double precision. It ends after `steps` iterations, or when no step lowers the error.

    Parameters
    ----------
    flow : Flow
        Φ, whose learned parameters are changed in place.
    series : Tensor, shape ``(batch, channel, *space, time)``
        Complete states at intervals of Δ.
    steps : int
        Maximum number of iterations.

    Returns
    -------
    float
        Root mean square of the forecast error at the end.

    Raises
    ------
    ValueError
        If the dynamics have no learned parameters, the series have fewer than two times or a value that is
        not finite, or the forecast diverges. The flow is then unchanged.

    Examples
    --------
    >>> from da4dvar.variational.dynamics.bilinear import Bilinear
    >>> decay = torch.exp(-0.1 * torch.arange(20.0)) * torch.tensor([[[1.0]], [[2.0]], [[3.0]]])
    >>> flow = Flow(Bilinear(1), step=0.1)
    >>> error = learn_dynamics(flow, decay, steps=50)
    >>> round(flow.dynamics.linear.item(), 2)  # dx/dt = -x
    -1.0
    """
    if not any(p.requires_grad for p in flow.parameters()):
        raise ValueError(f"there is nothing to learn in {type(flow.dynamics).__name__}")
    if series.shape[-1] < 2 or not series.isfinite().all():
        raise ValueError("expected complete, finite series of two or more times")
    found = copy.deepcopy(flow).double()
    learned = [p for p in found.parameters() if p.requires_grad]
    x = series.to(learned[0])
    # L-BFGS ignores a curvature below 1e-10, which small errors in their natural units can reach.
    unit = torch.finfo(torch.float32).eps * x.square().mean().sqrt()
    optimiser = torch.optim.LBFGS(
        learned,
        max_iter=steps,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )

    def misfit() -> Tensor:
        optimiser.zero_grad()
        error = ((x[..., 1:] - found.forecast(x[..., :-1])) / unit).square().mean()
        error.backward()
        return error

    optimiser.step(misfit)
    reached = float(unit) * math.sqrt(misfit().item())
    if not math.isfinite(reached):
        raise ValueError("the forecast diverges; use a shorter step or more substeps")
    flow.load_state_dict(found.state_dict())
    return reached
