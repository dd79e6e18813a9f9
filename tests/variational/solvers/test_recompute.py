"""Tests of recomputed iterations: the gradients of torch's checkpoint, and the memory of one iteration."""

import weakref
from functools import partial

import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint
from variational.problems import domain, double

from da4dvar.testing import normal, seeded
from da4dvar.testing.tensors import Kept
from da4dvar.training.loop import EndToEnd
from da4dvar.training.plan import Training
from da4dvar.variational.cost import Cost, VariationalCost
from da4dvar.variational.model import VariationalModel
from da4dvar.variational.priors.unet import UNet
from da4dvar.variational.solvers.lstm import ConvLSTM
from da4dvar.variational.solvers.recompute import recomputed

SHAPE = (2, 1, 12)


def prior() -> UNet:
    """A prior with a bilinear branch, whose gradient is differentiable and not constant."""
    return seeded(lambda: UNet(1, ("zero",), width=3)).double()


def descended(cost: Cost, x: Tensor) -> tuple[Tensor, ...]:
    """A gradient step on U and the terms there: a function that itself computes derivatives."""
    gradient, terms = cost.gradient(x)
    return x - 0.1 * gradient, *terms


def test_a_gradient_within_is_differentiated_as_by_torch():
    """For a function that computes ∇U, all gradients equal those of torch's checkpoint."""
    found = []
    for by_torch in (True, False):
        model = VariationalCost(prior(), learn_weights=True).double()
        cost = model.given(double(*SHAPE), domain(*SHAPE))
        step, x, total = partial(descended, cost), torch.zeros(SHAPE, dtype=torch.float64), 0.0
        for _ in range(3):
            if by_torch:
                x, *terms = checkpoint(step, x, use_reentrant=False)
            else:
                x, *terms = recomputed(step, list(model.parameters()), x)
            total = total + terms[1].sum()
        (x.square().sum() + total).backward()
        found.append([p.grad for p in model.parameters()])
    assert_close(*found, rtol=1e-10, atol=1e-12)


def held(iterations: int, recompute: bool) -> int:
    """Bytes that autograd stores for the backward pass of a solve, counting each tensor once."""
    solver = seeded(lambda: ConvLSTM(1, ("zero",), width=6, iterations=iterations)).double()
    model = VariationalCost(prior()).double()
    alive: weakref.WeakSet[Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor.detach())
        alive.add(kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        cost = model.given(double(*SHAPE), domain(*SHAPE))
        solution = solver(cost, torch.zeros(SHAPE, dtype=torch.float64), recompute=recompute)
    assert solution.x.requires_grad
    storages = [kept.tensor.untyped_storage() for kept in alive]
    return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def test_an_iteration_adds_its_states_to_the_memory():
    """With recomputation, an iteration adds exactly x, h and c to the memory instead of its graph."""
    states = 8 * 12 * SHAPE[0] * (1 + 2 * 6)
    assert held(12, True) - held(2, True) == 10 * states
    assert held(12, False) - held(2, False) > 80 * states


def test_a_training_step_has_the_same_gradients():
    """`checkpoint_iterations` of the training reaches the solver and does not change the gradients."""
    target = double(*SHAPE)
    sample = {"y": target, "mask": domain(*SHAPE), "target": target, "sought": target > -9}
    found = []
    for again in (False, True):
        solver = seeded(lambda: ConvLSTM(1, ("zero",), width=3, iterations=4)).double()
        model = VariationalModel(VariationalCost(prior(), learn_weights=True).double(), solver)
        loop = EndToEnd(model, Training(checkpoint_iterations=again))
        loop.log_dict = lambda *_: None
        loop.training_step(sample | {"x0": torch.zeros_like(target)}, 0).backward()
        found.append([p.grad for p in model.parameters()])
    assert_close(*found, rtol=1e-10, atol=1e-12)


def test_mixed_precision_is_the_same_the_second_time():
    """Under autocast, the backward pass recomputes in the precision of the forward pass."""
    weight, seen = torch.nn.Parameter(normal(4, 4)), []

    def step(x: Tensor) -> tuple[Tensor, ...]:
        product = x @ weight
        seen.append(product.dtype)
        return (product,)

    with torch.autocast("cpu", torch.bfloat16):
        (out,) = recomputed(step, [weight], normal(2, 4, seed=1))
    out.float().sum().backward()
    assert seen == [torch.bfloat16] * 2
