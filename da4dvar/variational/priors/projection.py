"""Training of a prior alone, as a projection of complete states onto themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def learn_projection(prior: nn.Module, batches: Iterable[Tensor], steps: int, rate: float) -> float:
    """min over the parameters of Φ of mean (x − Φ(x))², by Adam with cosine decay to zero.

    This is the first stage of the paper's results without joint learning (Table 1). Adam: Kingma and Ba
    (2015). A prior that can represent all of x, such as a U-Net, ends near the identity: its projection
    error does not measure how well it fills gaps.

    Parameters
    ----------
    prior : nn.Module
        Φ, whose parameters are changed in place.
    batches : iterable of Tensor, shape ``(batch, channel, *space)``
        Complete states, one batch per step.
    steps : int
        Number of batches, which sets the length of the cosine decay.
    rate : float
        Initial learning rate.

    Returns
    -------
    float
        Root mean square of x − Φ(x) over the last tenth of the steps.

    Raises
    ------
    ValueError
        If the prior has no learned parameters, or the projection error is not finite.

    Examples
    --------
    >>> halved = nn.Linear(3, 3)
    >>> states = torch.eye(3)
    >>> learn_projection(halved, [states] * 800, steps=800, rate=0.03) < 0.01
    True
    """
    learned = [p for p in prior.parameters() if p.requires_grad]
    if not learned:
        raise ValueError(f"there is nothing to learn in {type(prior).__name__}")
    optimiser = torch.optim.Adam(learned, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    squares: list[float] = []
    with torch.enable_grad():
        for x in batches:
            optimiser.zero_grad()
            error = (x - prior(x)).square().mean()
            error.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            schedule.step()
            squares.append(error.item())
    optimiser.zero_grad()
    last = squares[-max(1, len(squares) // 10) :]
    reached = math.sqrt(sum(last) / len(last))
    if not math.isfinite(reached):
        raise ValueError("the projection error is not finite; use a lower learning rate")
    return reached
