"""Loss of the end-to-end training, eq. (9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from da4dvar.variational.model import VariationalModel


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean of `values` over the cells in `where` for each sample.

    Parameters
    ----------
    values : Tensor, shape (batch, ...)
        Values; those outside `where` are ignored, even if they are NaN.
    where : Tensor of bool, same shape
        Cells to average over.

    Returns
    -------
    Tensor, shape (batch,)
        Mean of each sample; 0 for a sample without cells in `where`.

    Examples
    --------
    >>> values = torch.tensor([[1.0, 3.0, torch.nan], [torch.nan, torch.nan, torch.nan]])
    >>> mean_over(values, values.isfinite())
    tensor([2., 0.])
    """
    count = where.flatten(1).sum(1).clamp(min=1)
    return torch.where(where, values, 0.0).flatten(1).sum(1) / count


def reconstruction_loss(
    model: VariationalModel,
    sample: Mapping[str, Tensor],
    nu: Sequence[float],
    observation_fit: float = 0.0,
    recompute: bool = False,
) -> tuple[Tensor, Tensor]:
    """ν₁ ‖x − x̂‖² + ν₂ ‖x − Φ(x)‖² + ν₃ ‖x̂ − Φ(x̂)‖², as means over cells. Paper, eq. (9).

    The first two terms are means over the cells where the truth x is sought. The second term needs a truth
    that is known nearly everywhere, and is zero for samples with less than 90 % of the truth. So is
    ‖H(x) − y‖² on Ω, which `observation_fit` adds.

    Parameters
    ----------
    model : VariationalModel
        Model that reconstructs the samples.
    sample : mapping of str to Tensor, shape ``(batch, channel, *space)``
        ``y``, ``mask`` (Ω), ``x0``, ``target`` (x) and ``sought`` (where x enters the loss); ``covariates``
        if the model takes any.
    nu : (float, float, float)
        ν₁, ν₂ and ν₃.
    observation_fit : float
        Weight of the misfit of the observation operator at the truth.
    recompute : bool
        Recompute the solver iterations for their gradients instead of storing their graph.

    Returns
    -------
    loss : Tensor, scalar
        Mean loss of the samples, in squared normalised units.
    error : Tensor, shape (batch,)
        Mean square error of each sample.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> from da4dvar.variational.solvers.fixed_point import FixedPoint
    >>> x = torch.ones(1, 1, 4)
    >>> seen = torch.tensor([[[True, False, True, False]]])
    >>> sample = {"y": x, "mask": seen, "x0": x, "target": x, "sought": seen | True}
    >>> model = VariationalModel(VariationalCost(torch.zeros_like), FixedPoint())
    >>> reconstruction_loss(model, sample, (1.0, 0.0, 0.0))  # the observed half is exact, the other half 0
    (tensor(0.5000), tensor([0.5000]))
    """
    covariates = sample.get("covariates")
    solution = model(sample["y"], sample["mask"], sample["x0"], covariates=covariates, recompute=recompute)
    sought, target = sample["sought"], sample["target"]
    error = mean_over((solution.x - target).square(), sought)
    complete = (sought.flatten(1).float().mean(1) >= 0.9).to(error.dtype)
    # A term with zero weight is not computed: Φ takes time, and 0 times an infinite term is NaN.
    loss = nu[0] * error if nu[0] else torch.zeros_like(error)
    if nu[1]:
        residual = target - model.cost.projected(target, covariates)
        loss = loss + nu[1] * complete * mean_over(residual.square(), sought)
    if nu[2]:
        residual = solution.x - model.cost.projected(solution.x, covariates)
        loss = loss + nu[2] * residual.square().flatten(1).mean(1)
    if observation_fit:
        misfit = model.cost.observation(target) - sample["y"]
        loss = loss + observation_fit * complete * mean_over(misfit.square(), sample["mask"])
    return loss.mean(), error.detach()
