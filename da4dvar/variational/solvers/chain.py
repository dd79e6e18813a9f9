"""Two solvers in sequence, with restarts of the samples that fail."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

import torch
from torch import Tensor

from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.solvers.base import Solution, Solver, Watch


class Chain(Solver):
    """Start a second solver from the solution of the first, optionally on a different cost.

    For example, ``Chain(ConvLSTM(...), LevenbergMarquardt(), VariationalCost(Flow(...), prior_weight=1e5))``
    is a learned solver followed by Levenberg-Marquardt on the true dynamics.

    If U has several minima, a solver may end in the wrong one. The value of U shows this: if λ_o is the
    inverse variance of the observation error, U is close to the number of observations at the right minimum.
    Samples whose U exceeds `accept` times that number are solved again. In each restart the first solver is
    given, alternately, a part of the observations or perturbed observations, and the second solver
    continues from its result on all observations. The solution of lowest U is kept.

    Parameters
    ----------
    first, second : Solver
        The solvers, in order.
    cost : VariationalCost, optional
        Cost that the second solver minimises; by default that of the first.
    weights : (float, float), optional
        λ_o and λ_p of the cost that the second solver minimises, with the prior and H of the first; an
        alternative to `cost`.
    restarts : int
        Maximum number of restarts of a sample that is not accepted.
    accept : float
        Highest accepted value of U per observation.
    withheld : float
        Fraction of the observations withheld from the first solver in the first, third, … restart.
    perturbation : float
        Standard deviation of the noise added to y in the second, fourth, … restart, in the units of y.

    Raises
    ------
    ValueError
        If both `cost` and `weights` are given, or a number is out of range.

    Notes
    -----
    The terms along the iterations are those of the cost that each solver minimised. Only the last terms of
    a restart are kept, and `watch` is not called for its iterates. To train a chain, train its first solver.

    Examples
    --------
    >>> from da4dvar.variational.solvers.fixed_point import FixedPoint
    >>> from da4dvar.variational.solvers.gradient_descent import GradientDescent
    >>> y = torch.tensor([[[1.0, torch.nan]]])
    >>> cost = VariationalCost(torch.zeros_like).given(y, y.isfinite())
    >>> with torch.no_grad():
    ...     found = Chain(FixedPoint(1), GradientDescent(step=0.1, iterations=20))(cost, torch.zeros(1, 1, 2))
    >>> found.x.round(decimals=2), found.iterations  # from y to the minimum of U
    (tensor([[[0.5000, 0.0000]]]), 21)
    """

    nested: ClassVar[dict[str, str | list[str]]] = {"first": "solver", "second": "solver", "cost": "cost"}

    def __init__(
        self,
        first: Solver,
        second: Solver,
        cost: VariationalCost | None = None,
        weights: tuple[float, float] | None = None,
        restarts: int = 0,
        accept: float = 1.12,
        withheld: float = 0.3,
        perturbation: float = 1.0,
    ) -> None:
        super().__init__()
        if cost is not None and weights is not None:
            raise ValueError(
                "got both a cost and weights for the second solver, expected at most one of them"
            )
        if weights is not None and (len(weights) != 2 or min(weights) <= 0):
            raise ValueError(f"weights is {weights}, expected two numbers above 0")
        if restarts < 0 or min(accept, withheld, perturbation) <= 0 or withheld >= 1:
            raise ValueError(
                f"restarts {restarts}, accept {accept}, withheld {withheld}, perturbation {perturbation}: "
                "expected restarts 0 or more, the others above 0, and withheld below 1"
            )
        self.first, self.second, self.cost = first, second, cost
        self.weights = None if weights is None else (float(weights[0]), float(weights[1]))
        self.restarts, self.accept = restarts, accept
        self.withheld, self.perturbation = withheld, perturbation

    @property
    def iterations(self) -> int:  # type: ignore[override]
        """Updates of both solvers, without restarts."""
        return self.first.iterations + self.second.iterations

    @property
    def learned_part(self) -> Solver:
        """That of the first solver; see :attr:`da4dvar.variational.solvers.base.Solver.learned_part`."""
        return self.first.learned_part

    def reweigh(self, factor: float) -> None:
        """Multiply λ_o of the second solver; see :meth:`da4dvar.variational.solvers.base.Solver.reweigh`."""
        if self.weights is not None:
            self.weights = (factor * self.weights[0], self.weights[1])

    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        best = self._run(cost, cost, x0, watch)
        highest = self.accept * cost.mask.flatten(1).sum(1)
        for restart in range(self.restarts):
            left = (best.cost[-1] > highest).nonzero().squeeze(1)
            if not len(left):
                break
            part = cost.part(left)
            again = self._run(self._changed(part, restart), part, x0[left])
            lower = again.cost[-1] < best.cost[-1, left]
            replace(best, left[lower], again, lower)
        return best

    def _changed(self, cost: Cost, restart: int) -> Cost:
        """The cost that the first solver minimises in a restart."""
        # One draw for all samples, so that a solution does not depend on which other samples failed.
        generator = torch.Generator().manual_seed(restart)
        shape = cost.y.shape[1:]
        if restart % 2 == 0:
            kept = torch.rand(shape, generator=generator) >= self.withheld
            return cost.of(cost.model, mask=cost.mask & kept.to(cost.mask.device))
        noise = torch.randn(shape, generator=generator).to(cost.y)
        return cost.of(cost.model, cost.y + self.perturbation * noise)

    def _run(self, seen: Cost, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        """Run the first solver on the cost `seen`, then the second on its own cost with all observations."""
        begun = self.first(seen, x0, watch)
        rest = None if watch is None else skipping_first(watch)
        ended = self.second(cost.of(self._second_model(cost.model)), begun.x, rest)
        return Solution(
            ended.x,
            torch.cat([begun.observation, ended.observation[1:]]),
            torch.cat([begun.prior, ended.prior[1:]]),
            begun.iterations + ended.iterations,
            ended.converged,
        )

    def minimised(self, model: VariationalCost) -> VariationalCost:
        """See :meth:`da4dvar.variational.solvers.base.Solver.minimised`."""
        return self.second.minimised(self._second_model(model))

    def _second_model(self, model: VariationalCost) -> VariationalCost:
        if self.weights is None:
            return model if self.cost is None else self.cost
        other = VariationalCost(model.prior, model.observation, model.rho, *self.weights)
        return other.to(model.log_weights.device)


def skipping_first(watch: Watch) -> Watch:
    """Return a `watch` that skips the first iterate, which is the last of the previous solver."""
    calls = count()
    return lambda x: watch(x) if next(calls) else None


def replace(best: Solution, at: Tensor, other: Solution, rows: Tensor) -> None:
    """Replace the samples `at` by the samples `rows` of another solution, with its last terms only."""
    best.x[at] = other.x[rows]
    best.observation[-1, at] = other.observation[-1, rows]
    best.prior[-1, at] = other.prior[-1, rows]
    best.converged[at] = other.converged[rows]
