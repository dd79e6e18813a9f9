"""Gradient descent with a fixed step."""

from __future__ import annotations

import torch
from torch import Tensor

from da4dvar.errors import check_least
from da4dvar.variational.cost import Cost
from da4dvar.variational.solvers.base import Solution, Solver, Watch, per_sample, solution


class GradientDescent(Solver):
    """x(k+1) = x(k) − s ∇U(x(k)): the fixed-step gradient descent, FSGD, of the paper's Table 2.

    Parameters
    ----------
    step : float
        s. As U is a sum over cells, a step of 100 for a mean over 8000 cells corresponds to 0.0125 here.
    iterations : int
        Maximum number of updates.
    tolerance : float
        A sample has converged once its gradient norm is at most this fraction of the initial one.
    keep : {"last", "best"}
        Which iterate is the estimate: the last, or the one of lowest U, which is finite even if the step is
        so long that the descent diverges.

    Raises
    ------
    ValueError
        If the step is not positive, `iterations` is negative, or `keep` is unknown.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> y = torch.tensor([[[2.0, torch.nan]]])
    >>> cost = VariationalCost(torch.zeros_like, prior_weight=3.0).given(y, y.isfinite())
    >>> with torch.no_grad():
    ...     found = GradientDescent(step=0.1, iterations=50)(cost, torch.ones(1, 1, 2))
    >>> found.x.round(decimals=3)  # 2 / (1 + 3) where observed, else the prior's 0
    tensor([[[0.5000, 0.0000]]])
    """

    def __init__(
        self, step: float, iterations: int = 1500, tolerance: float = 0.0, keep: str = "last"
    ) -> None:
        super().__init__()
        if step <= 0:
            raise ValueError(f"step is {step}, expected a number above 0")
        check_least(0, iterations=iterations)
        if keep not in ("last", "best"):
            raise ValueError(f"keep is {keep!r}, expected 'last' or 'best'")
        self.step, self.iterations, self.tolerance, self.keep = step, iterations, tolerance, keep

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        x, path = x0, []
        best, lowest = x0, torch.full(x0.shape[:1], torch.inf, dtype=x0.dtype, device=x0.device)
        converged = torch.zeros(x0.shape[0], dtype=torch.bool, device=x0.device)
        first = None
        for k in range(self.iterations + 1):
            if k < self.iterations:
                gradient, terms = cost.gradient(x)
            else:
                terms = cost.terms(x)
            path.append(terms)
            if watch is not None:
                watch(x)
            lower = terms.total < lowest
            lowest = torch.where(lower, terms.total, lowest)
            best = torch.where(per_sample(lower, x), x, best)
            if k == self.iterations:
                break
            norm = gradient.flatten(1).norm(dim=1)
            first = norm if first is None else first
            converged = converged | (norm <= self.tolerance * first)
            if bool(converged.all()):
                break
            # A converged sample is not updated, so that its result does not depend on other samples.
            x = torch.where(per_sample(converged, x), x, x - self.step * gradient)
        return solution(x if self.keep == "last" else best, path, converged)
