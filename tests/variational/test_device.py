"""Tensors are made where those of the input are, and windows that memory is not enough for are halved."""

import pickle

import numpy as np
import pytest
import torch
from elsewhere import AWAY, Elsewhere, away, place_of, placed
from torch import nn
from variational import test_contracts

from da4dvar.errors import DataError
from da4dvar.testing import SolverContract, normal, seeded
from da4dvar.variational.device import Halving, device_of

CONTRACTS = {name: made for name, made in vars(test_contracts).items() if name.startswith("Test")}
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def solved(contract, move):
    """Return a function that computes the gradient of Φ(x), or the estimate of a solver."""
    made = move(seeded(contract.make))
    y, mask, x0 = contract.problem() if isinstance(contract, SolverContract) else [contract.states()] * 3
    c = normal(len(y), contract.covariates, *y.shape[2:], seed=5) if contract.covariates else None
    y, mask, x0, c = (None if t is None else move(t) for t in (y, mask, x0, c))
    if isinstance(contract, SolverContract):
        given = move(contract.make_cost()).given(y, mask, c)
        return lambda: torch.no_grad()(made)(given, x0).x
    x0.requires_grad_()
    return lambda: torch.autograd.grad((made(x0) if c is None else made(x0, c)).square().sum(), x0)[0]


def elsewhere(thing):
    """Mark a module or a tensor as one on another device."""
    return away(thing) if isinstance(thing, nn.Module) else placed(thing, AWAY)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_kind_stays_on_the_device_of_its_input(name):
    """Priors with their gradients, and solvers."""
    run = solved(CONTRACTS[name](), elsewhere)
    with Elsewhere():
        assert place_of(run()) in (AWAY, None)


@pytest.mark.parametrize("wrong", [
    lambda x: x + torch.ones(3),
    lambda x: torch.where(x > 0, x, torch.arange(3.0)),
    lambda x: torch.cat([x, torch.from_numpy(np.ones(3, "float32"))]),
    lambda x: torch.eye(3) @ x,
    lambda x: x.numpy(),
    lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
], ids=["sum", "where", "numpy", "product", "array", "generator"])  # fmt: skip
def test_a_tensor_without_its_device_is_found(wrong):
    """What the test above would see."""
    with Elsewhere(), pytest.raises(AssertionError, match=r"device|elsewhere"):
        wrong(placed(torch.zeros(3, device="cpu"), AWAY))


@on_a_gpu
@pytest.mark.parametrize("name", CONTRACTS)
def test_every_kind_gives_the_same_on_a_gpu(name):
    """Up to rounding."""
    here, there = (solved(CONTRACTS[name](), lambda thing, d=d: thing.to(d))() for d in ("cpu", "cuda"))
    torch.testing.assert_close(here, there.cpu(), rtol=1e-3, atol=1e-3)


def limited(most, tried):
    """A solution for which the memory is enough for some windows."""

    def solve(windows):
        tried.append(len(windows))
        if len(windows) > most:
            raise torch.OutOfMemoryError
        return 2 * windows, np.stack([windows[:, 0], windows[:, 1]])

    return solve


@pytest.mark.parametrize("most", [1, 3, 20, 50])
def test_windows_are_halved_until_memory_is_enough(most):
    """The result is that of all at once, and the number found is used from then on."""
    windows, tried, halving = np.arange(100.0).reshape(50, 2), [], Halving()
    x, costs = halving(limited(most, tried), windows)
    assert (x == 2 * windows).all()
    assert (costs == windows.T).all()
    again: list[int] = []
    halving(limited(most, again), windows)
    assert max(again) == min(most, max(n for n in tried if n <= most))


def test_one_window_that_is_too_large_is_one_line():
    """It says what to do, and other errors pass."""
    with pytest.raises(DataError, match="not enough for one window; use device 'cpu'"):
        Halving()(limited(0, []), np.ones((4, 2)))
    with pytest.raises(ZeroDivisionError):
        Halving()(lambda windows: 1 / 0, np.ones((4, 2)))


def test_a_number_that_was_found_goes_to_workers():
    """Halving is pickled with the network."""
    halving = Halving()
    halving(limited(3, []), np.ones((8, 2)))
    assert pickle.loads(pickle.dumps(halving)).most == halving.most == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_one_line():
    """For what needs one; auto is then the processor."""
    with pytest.raises(DataError, match="torch finds no GPU; use 'auto' or 'cpu'"):
        device_of("cuda")
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")


def test_an_unknown_device_is_one_line():
    """With the known ones."""
    with pytest.raises(DataError, match="device is 'tpu', expected auto, cpu or cuda"):
        device_of("tpu")
