"""The interface of the solvers, and the solution that they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from da4dvar.variational.cost import Cost, Terms, VariationalCost

# Called with each iterate, starting with x(0).
Watch = Callable[[Tensor], None]


@dataclass
class Solution:
    """A minimiser of U, and the terms of U along the iterations.

    Parameters
    ----------
    x : Tensor, shape ``(batch, channel, *space)``
        The estimate: the last iterate, unless the documentation of the solver states otherwise.
    observation, prior : Tensor, shape (iteration + 1, batch)
        Both weighted terms of U, from x(0) to the last iterate.
    iterations : int
        Number of updates.
    converged : Tensor of bool, shape (batch,)
        Whether each sample met the convergence criterion of the solver; false for a solver with a fixed
        number of learned updates, which has no such criterion.

    Examples
    --------
    >>> from da4dvar.variational.cost import VariationalCost
    >>> from da4dvar.variational.solvers.gradient_descent import GradientDescent
    >>> cost = VariationalCost(torch.zeros_like).given(torch.ones(1, 1, 1), torch.ones(1, 1, 1) > 0)
    >>> with torch.no_grad():
    ...     found = GradientDescent(step=0.25)(cost, torch.zeros(1, 1, 1))
    >>> found.x, found.cost[:, 0]  # the minimum is halfway between y and the prior's 0
    (tensor([[[0.5000]]]), tensor([1.0000, 0.5000]))
    """

    x: Tensor
    observation: Tensor
    prior: Tensor
    iterations: int
    converged: Tensor

    @property
    def cost(self) -> Tensor:
        """U along the iterations, shape (iteration + 1, batch)."""
        return self.observation + self.prior


class Solver(nn.Module, ABC):
    """Γ: the map from an initial state to a minimiser of U, applied to each sample independently.

    A learned solver is eq. (8) of the paper. A new solver inherits from this class, defines `forward`, and is
    tested by :class:`da4dvar.testing.SolverContract`. Everything else that the package needs to know of a
    solver is in the attributes below, in :attr:`learned_part` and in :meth:`reweigh`. Their defaults suit a
    solver that contains neither other solvers nor weights of U, and that only uses the given cost.

    Attributes
    ----------
    iterations : int
        Maximum number of updates.
    recomputes : bool
        Whether `forward` accepts ``recompute=True``: in training, the graph of each iteration is then
        computed again instead of kept, so that memory does not grow with the number of iterations; the
        gradients are the same.
    takes_y_as_state : bool
        Whether `forward` uses y in place of the state, so that H must be the identity; a model with several
        sensors rejects such a solver.
    takes_guess_error : bool
        Whether `forward` takes the covariates of the cost as the standard error of x(0), in normalised units
        and zero where unknown. The model then needs a first guess that has one, and no other covariates.
    nested : dict of str to str
        Arguments that are parts themselves, with their sections, for recipes and model files; see
        :func:`da4dvar.config.kinds.register`. Missing if there are none.

    Examples
    --------
    >>> class Standing(Solver):
    ...     iterations = 0
    ...
    ...     def forward(self, cost, x0, watch=None):
    ...         return solution(x0, [cost.terms(x0)])
    >>> from da4dvar.variational.cost import VariationalCost
    >>> cost = VariationalCost(torch.zeros_like).given(torch.ones(1, 1, 2), torch.ones(1, 1, 2) > 0)
    >>> Standing()(cost, torch.zeros(1, 1, 2)).cost
    tensor([[2.]])
    """

    iterations: int
    recomputes: ClassVar[bool] = False
    takes_y_as_state: ClassVar[bool] = False
    takes_guess_error: ClassVar[bool] = False

    @property
    def learned_part(self) -> Solver:
        """The solver that training runs: this one, unless a solver inside it is trained alone.

        Returns
        -------
        Solver
            One of :meth:`torch.nn.Module.modules`.
        """
        return self

    def reweigh(self, factor: float) -> None:
        """Multiply every λ_o that the solver itself holds by a factor, for a different observation error.

        This does not include a cost inside the solver, which has a method `reweigh` of its own.

        Parameters
        ----------
        factor : float
            Positive factor.
        """

    def minimised(self, model: VariationalCost) -> VariationalCost:
        """Return the cost whose minimiser the solution is: the given one, unless the solver has its own.

        Parameters
        ----------
        model : VariationalCost
            Cost of the model that the solver is a part of.

        Returns
        -------
        VariationalCost
        """
        return model

    @abstractmethod
    def forward(self, cost: Cost, x0: Tensor, watch: Watch | None = None) -> Solution:
        """Minimise U from x(0).

        Parameters
        ----------
        cost : Cost
            U, for the given observations.
        x0 : Tensor, shape ``(batch, channel, *space)``
            x(0), the initial state.
        watch : callable, optional
            Called with each iterate, starting with x(0).

        Returns
        -------
        Solution
        """


def solution(x: Tensor, path: Sequence[Terms], converged: Tensor | None = None) -> Solution:
    """Return a `Solution` from an estimate and the terms of U along the iterations.

    Parameters
    ----------
    x : Tensor, shape ``(batch, channel, *space)``
        The estimate.
    path : sequence of Terms
        Terms of U, in order from x(0) to the last iterate.
    converged : Tensor of bool, shape (batch,), optional
        Whether each sample has converged; by default none has.

    Returns
    -------
    Solution

    Examples
    --------
    >>> four, one = torch.tensor([4.0]), torch.tensor([1.0])
    >>> found = solution(torch.zeros(1, 1, 3), [Terms(four, one), Terms(one, one / 2)])
    >>> found.iterations, found.cost[:, 0]
    (1, tensor([5.0000, 1.5000]))
    """
    observation = torch.stack([terms.observation for terms in path])
    prior = torch.stack([terms.prior for terms in path])
    if converged is None:
        converged = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
    return Solution(x, observation, prior, len(path) - 1, converged)


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape one value per sample to multiply a field of shape ``(batch, channel, *space)``.

    Parameters
    ----------
    values : Tensor, shape (batch,)
        One value per sample.
    like : Tensor, shape ``(batch, channel, *space)``
        A field with the number of axes to match.

    Returns
    -------
    Tensor, shape (batch, 1, ...)

    Examples
    --------
    >>> per_sample(torch.tensor([1.0, 2.0]), torch.zeros(2, 3, 8)).shape
    torch.Size([2, 1, 1])
    """
    return values.reshape(-1, *[1] * (like.ndim - 1))
