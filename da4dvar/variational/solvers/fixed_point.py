"""Fixed-point iterations."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.errors import check_least
from da4dvar.variational.cost import Cost
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution


class FixedPoint(Solver):
    """x(k+1) = y on Ω, Φ(x(k)) elsewhere: alternating projections on the data and the prior.

    Fablet et al. (2019), the paper's reference [21]. The observations are taken as exact, and U is evaluated
    only for the report.

    Parameters
    ----------
    iterations : int
        Maximum number of updates.
    tolerance : float
        A sample has converged once an iteration changes it by less than this fraction of its norm.

    Raises
    ------
    ValueError
        If `iterations` is below 1.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> mean = lambda x: x.mean(-1, keepdim=True).expand_as(x)
    >>> y = torch.tensor([[[1.0, torch.nan, 1.0]]])
    >>> FixedPoint(iterations=30)(VariationalCost(mean).given(y, y.isfinite()), torch.zeros(1, 1, 3)).x
    tensor([[[1., 1., 1.]]])
    """

    takes_y_as_state = True

    def __init__(self, iterations: int = 20, tolerance: float = 0.0) -> None:
        super().__init__()
        check_least(1, iterations=iterations)
        self.iterations, self.tolerance = iterations, tolerance

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        x, path = x0, [cost.terms(x0)]
        if watch is not None:
            watch(x)
        converged = torch.zeros(x0.shape[0], dtype=torch.bool, device=x0.device)
        for _ in range(self.iterations):
            projected = torch.where(cost.mask, cost.y, cost.prior(x))
            change = (projected - x).flatten(1).norm(dim=1)
            # A converged sample is not updated, so that its result does not depend on other samples.
            x = torch.where(per_sample(converged, x), x, projected)
            converged = converged | (change < self.tolerance * x.flatten(1).norm(dim=1))
            path.append(cost.terms(x))
            if watch is not None:
                watch(x)
            if bool(converged.all()):
                break
        return solution(x, path, converged)
