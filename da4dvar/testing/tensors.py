"""Contracts of the parts that take tensors: priors and solvers."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from da4dvar.variational.cost import VariationalCost
from da4dvar.variational.solvers.base import Solution, Solver

Made = TypeVar("Made")
in_both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(make: Callable[[], Made], seed: int = 0) -> Made:
    """Call a function with torch's global generator seeded, and restore the generator.

    Parameters
    ----------
    make : callable
        Function without arguments, which may draw from torch's global generator.
    seed : int
        Seed of the generator.

    Returns
    -------
    object
        Result of `make`.

    Examples
    --------
    >>> layers = [seeded(lambda: nn.Linear(1, 1)) for _ in range(2)]
    >>> bool(layers[0].weight == layers[1].weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers that depend only on shape and seed.

    Parameters
    ----------
    *shape : int
        Shape of the tensor.
    seed : int
        Seed of the draw.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> bool((normal(2, 3) == normal(2, 3)).all())
    True
    """
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(contract: PriorContract | SolverContract, x: Tensor) -> Tensor | None:
    """Return covariates for the states of a contract, equal for all samples; None if it has none."""
    if not contract.covariates:
        return None
    c = normal(1, contract.covariates, *x.shape[2:], seed=5)
    return c.to(x.dtype).expand(len(x), *c.shape[1:])


class PriorContract(ABC):
    """Contract of the priors Φ: inherit it in a class named Test..., and define :meth:`make`.

    Attributes
    ----------
    shape : tuple of int
        ``(channel, *space)`` of a state of the prior.
    covariates : int
        Number of channels of its covariates.

    Examples
    --------
    >>> from da4dvar.variational.priors.unet import UNet
    >>> class TestMyPrior(PriorContract):
    ...     shape = (2, 8, 9)
    ...
    ...     def make(self):
    ...         return UNet(channels=2, boundary=("zero", "periodic"), width=3)
    >>> TestMyPrior().test_keeps_nothing_between_calls()  # one of the tests that pytest runs
    """

    shape: ClassVar[tuple[int, ...]]
    covariates: ClassVar[int] = 0

    @abstractmethod
    def make(self) -> nn.Module:
        """Return a new prior, with newly drawn weights if it has any.

        Returns
        -------
        nn.Module
        """

    def states(self) -> Tensor:
        """Return states for the prior; a class may override this.

        Returns
        -------
        Tensor, shape ``(batch, *shape)``
        """
        return normal(3, *self.shape)

    def estimate(self, prior: nn.Module, x: Tensor) -> Tensor:
        """Φ(x), or Φ(x, c) with the same c for all samples."""
        estimate: Tensor = prior(x, given(self, x)) if self.covariates else prior(x)
        return estimate

    @in_both_precisions
    def test_keeps_shape_and_dtype(self, dtype: torch.dtype) -> None:
        """Φ(x) has the shape and dtype of x, and equal values in both precisions."""
        x = self.states()
        estimate = self.estimate(seeded(self.make).to(dtype), x.to(dtype))
        assert (estimate.shape, estimate.dtype) == (x.shape, dtype)
        assert_close(estimate.float(), self.estimate(seeded(self.make), x), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("size", [0.0, 1.0])
    def test_has_finite_gradients_of_two_orders(self, size: float) -> None:
        """‖x − Φ(x)‖² is twice differentiable in x, as training requires, also at 0."""
        prior, x = seeded(self.make), (size * self.states()).requires_grad_()
        term = (x - self.estimate(prior, x)).square().sum()
        (gradient,) = torch.autograd.grad(term, x, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), x)
        assert gradient.isfinite().all()
        assert second.isfinite().all()

    def test_a_state_does_not_depend_on_its_neighbours(self) -> None:
        """Φ(x) of a state does not depend on the other states in its batch."""
        prior, x = seeded(self.make), self.states()
        assert_close(self.estimate(prior, x), torch.cat([self.estimate(prior, state[None]) for state in x]))

    def test_keeps_nothing_between_calls(self) -> None:
        """Φ(x) is the same before and after a call with other states; x is not modified."""
        prior, x = seeded(self.make), self.states()
        before, first = x.clone(), self.estimate(prior, x)
        self.estimate(prior, x.flip(0) + 1)
        assert_close(self.estimate(prior, x), first)
        assert torch.equal(x, before)

    def test_comes_back_from_its_state_dict(self) -> None:
        """A prior that loads the state dict of another gives the same Φ(x)."""
        prior, other, x = seeded(self.make), seeded(self.make, seed=1), self.states()
        other.load_state_dict(prior.state_dict())
        assert_close(self.estimate(other, x), self.estimate(prior, x))


class Neighbour(nn.Module):
    """Φ(x) = a x(previous cell) with a learned factor a: a small prior in any number of dimensions.

    Examples
    --------
    >>> Neighbour()(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1.6000, 0.8000]]], grad_fn=<MulBackward0>)
    """

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.8))

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x) for states of shape ``(batch, channel, *space)``."""
        return self.a * torch.roll(x, 1, -1)


class SolverContract(ABC):
    """Contract of the solvers Γ: inherit it in a class named Test..., and define :meth:`make`.

    Attributes
    ----------
    shape : tuple of int
        ``(channel, *space)`` of a state of the solver.
    covariates : int
        Number of channels of its covariates.

    Examples
    --------
    >>> from da4dvar.variational.solvers.fixed_point import FixedPoint
    >>> class TestMySolver(SolverContract):
    ...     shape = (2, 8)
    ...
    ...     def make(self):
    ...         return FixedPoint(iterations=3)
    >>> TestMySolver().test_nan_outside_the_domain_is_harmless()  # one of the tests that pytest runs
    """

    shape: ClassVar[tuple[int, ...]]
    covariates: ClassVar[int] = 0

    @abstractmethod
    def make(self) -> Solver:
        """Return a new solver with at least two iterations, with newly drawn weights if it has any.

        Returns
        -------
        Solver
        """

    def make_cost(self) -> VariationalCost:
        """Return the cost to minimise; a class overrides this if its solver needs a special prior.

        Returns
        -------
        VariationalCost
        """
        return VariationalCost(Neighbour(), learn_weights=True)

    def problem(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples of several magnitudes, with NaN outside Ω; the last has no observation.

        Returns
        -------
        y, mask, x0 : Tensor, shape ``(batch, *shape)``
            Observations, Ω as a tensor of bool, and x(0).
        """
        sizes = torch.logspace(0, 1, 4).reshape(-1, *[1] * len(self.shape))
        mask = normal(4, *self.shape, seed=1) > 0
        mask[-1] = False
        y = torch.where(mask, sizes * normal(4, *self.shape), torch.nan)
        return y, mask, sizes * normal(4, *self.shape, seed=2)

    def solve(self, y: Tensor, mask: Tensor, x0: Tensor, solver: Solver | None = None) -> Solution:
        """Return the solution, with gradients unless they are disabled by the caller."""
        solver, cost = solver or seeded(self.make), self.make_cost().to(x0.dtype)
        found: Solution = solver.to(x0.dtype)(cost.given(y, mask, given(self, x0)), x0)
        return found

    @in_both_precisions
    @torch.no_grad()
    def test_solution_has_its_fields(self, dtype: torch.dtype) -> None:
        """x has the shape of x(0); the terms have one row for x(0) and one for each iteration."""
        y, mask, x0 = self.problem()
        y, x0 = y.to(dtype), x0.to(dtype)
        solution = self.solve(y, mask, x0)
        assert (solution.x.shape, solution.x.dtype) == (x0.shape, dtype)
        assert (solution.converged.shape, solution.converged.dtype) == ((len(x0),), torch.bool)
        start = self.make_cost().to(dtype).given(y, mask).terms(x0)
        for path, first in ((solution.observation, start.observation), (solution.prior, start.prior)):
            assert (path.shape, path.dtype) == ((solution.iterations + 1, len(x0)), dtype)
            assert_close(path[0], first)

    @torch.no_grad()
    def test_a_sample_does_not_depend_on_its_neighbours(self) -> None:
        """Rule 1: estimate, terms and convergence of a sample do not depend on the rest of its batch."""
        together = self.solve(*self.problem())
        for k, sample in enumerate(zip(*self.problem(), strict=True)):
            alone = self.solve(*(tensor[None] for tensor in sample))
            assert_close(alone.x[0], together.x[k], rtol=1e-4, atol=1e-4)
            assert_close(alone.cost[:, 0], together.cost[: len(alone.cost), k], rtol=1e-4, atol=1e-4)
            assert alone.converged[0] == together.converged[k]

    @torch.no_grad()
    def test_nan_outside_the_domain_is_harmless(self) -> None:
        """Rule 2: NaN in y outside Ω has the effect of any other number, even if Ω is empty."""
        y, mask, x0 = self.problem()
        solution = self.solve(y, mask, x0)
        assert solution.x.isfinite().all()
        assert solution.cost.isfinite().all()
        assert_close(solution.x, self.solve(torch.where(mask, y, 7.0), mask, x0).x)

    @torch.no_grad()
    def test_inference_keeps_no_graph(self) -> None:
        """Rules 3 and 4: the solver runs under no_grad, and its solution holds no graph."""
        solution = self.solve(*self.problem())
        for value in (solution.x, solution.observation, solution.prior):
            assert not value.requires_grad
            assert value.grad_fn is None

    @torch.no_grad()
    def test_memory_of_inference_does_not_grow_with_iterations(self) -> None:
        """Rule 4: the graph of an iteration is freed before the next one."""
        few, many = seeded(self.make), seeded(self.make)
        few.iterations, many.iterations = 2, 6
        kept = [most_kept(partial(self.solve, *self.problem(), solver)) for solver in (few, many)]
        assert kept[1] <= kept[0]

    @torch.no_grad()
    def test_every_iterate_can_be_watched(self) -> None:
        """The watch is called with one state for each row of the terms, beginning with x(0)."""
        y, mask, x0 = self.problem()
        seen: list[Tensor] = []
        solution = seeded(self.make)(self.make_cost().given(y, mask, given(self, x0)), x0, seen.append)
        assert torch.equal(seen[0], x0)
        assert len(seen) == solution.iterations + 1

    def test_inference_mode_is_refused(self) -> None:
        """Rule 3: inference_mode, which rules out derivatives, raises an error that names no_grad."""
        problem, solver = self.problem(), seeded(self.make)
        with pytest.raises(RuntimeError, match="no_grad"), torch.inference_mode():
            self.solve(*problem, solver=solver)

    def test_training_computes_the_same(self) -> None:
        """Rule 5: the estimate is the same with and without gradients."""
        trained = self.solve(*self.problem())
        with torch.no_grad():
            assert_close(trained.x.detach(), self.solve(*self.problem()).x)

    @torch.no_grad()
    def test_keeps_nothing_between_calls(self) -> None:
        """Rule 6: the solution of a problem is the same before and after solving another one."""
        solver = seeded(self.make)
        first = self.solve(*self.problem(), solver=solver)
        y, mask, x0 = (tensor.flip(0) for tensor in self.problem())
        self.solve(y, mask, x0, solver)
        again = self.solve(*self.problem(), solver=solver)
        assert_close((again.x, again.cost), (first.x, first.cost))

    @pytest.mark.parametrize("training", [False, True])
    def test_leaves_its_input_as_it_was(self, training: bool) -> None:
        """x(0) is not modified."""
        y, mask, x0 = self.problem()
        with torch.set_grad_enabled(training):
            self.solve(y, mask, x0)
        assert torch.equal(x0, self.problem()[2])
        assert not x0.requires_grad

    def test_gradients_reach_all_that_is_learned(self) -> None:
        """The weights of the solver, of the prior and of U receive a gradient from the estimate."""
        y, mask, x0 = self.problem()
        solver, model = seeded(self.make), self.make_cost()
        solver(model.given(y, mask, given(self, x0)), x0).x.square().sum().backward()
        for name, parameter in [*solver.named_parameters(), *model.named_parameters()]:
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
                assert parameter.grad.any(), name

    def test_iterations_that_are_run_again_have_the_same_gradients(self) -> None:
        """With and without `recompute`, the gradients are the same in float64."""
        y, mask, x0 = (t.double() if t.is_floating_point() else t for t in self.problem())
        found = []
        for recompute in (False, True):
            solver, model = seeded(self.make).double(), self.make_cost().double()
            if not solver.recomputes:
                pytest.skip("this solver keeps the graph of all its iterations")
            solved = solver(model.given(y, mask, given(self, x0)), x0, recompute=recompute)
            (solved.x.square().sum() + solved.cost.sum()).backward()
            found.append([p.grad for p in (*solver.parameters(), *model.parameters())])
        assert_close(found[0], found[1], rtol=1e-10, atol=1e-10)


class Kept:
    """Tensor that autograd keeps for a backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def most_kept(run: Callable[[], object]) -> int:
    """Return the maximum number of tensors that autograd keeps at one time during `run`."""
    alive: weakref.WeakSet[Kept] = weakref.WeakSet()
    most = 0

    def pack(tensor: Tensor) -> Kept:
        nonlocal most
        kept = Kept(tensor.detach())  # an output with its own graph would never be freed
        alive.add(kept)
        most = max(most, len(alive))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return most
