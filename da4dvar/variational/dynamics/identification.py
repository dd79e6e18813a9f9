"""Dynamics found from complete series, before anything is observed in part."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from da4dvar.variational.priors.flow import Flow

# Pairs that L-BFGS keeps: with its usual ten, products of unequal size take several times the iterations.
HISTORY = 100


def learn_dynamics(flow: Flow, series: Tensor, steps: int) -> float:
    """min over the parameters of φ of mean (x(t + Δ) − Φ(x(t)))²: the best forecast over one Δ.

    By L-BFGS (Liu and Nocedal, 1989) with a strong Wolfe line search, on all of the series at once and in
    double precision. It ends after `steps` iterations, or where no step lowers the error.

    Parameters
    ----------
    flow : Flow
        Φ, whose learned parameters are changed in place.
    series : Tensor, shape ``(batch, channel, *space, time)``
        Complete states, Δ apart.
    steps : int
        Iterations at most.

    Returns
    -------
    float
        The root mean square of the forecast error that was reached.

    Raises
    ------
    ValueError
        If there is nothing to learn, a series holds a value that is not finite or less than two times, or
        the forecast runs away; the flow is then left as it was.

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
        raise ValueError("expected series of two times or more, complete and finite")
    found = copy.deepcopy(flow).double()
    learned = [p for p in found.parameters() if p.requires_grad]
    x = series.to(learned[0])
    # L-BFGS learns nothing from a curvature below 1e-10, which small errors in natural units come to.
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
        raise ValueError("the forecast runs away from the series; use a shorter step or more substeps")
    flow.load_state_dict(found.state_dict())
    return reached
