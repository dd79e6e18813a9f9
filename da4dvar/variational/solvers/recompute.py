"""Recomputation: an iteration that keeps what goes in to it, and is run again when it is differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# An iteration: from the tensors that are passed along, None where there is none yet, to the next ones.
Step = Callable[..., tuple[Tensor, ...]]


def recomputed(step: Step, parameters: Sequence[Tensor], *state: Tensor | None) -> tuple[Tensor, ...]:
    """s(k+1) = F(s(k), θ) with the same gradients in s(k) and θ, and no graph of F between the two passes.

    A solver of K iterations then holds K states and the graph of one iteration, for the price of running F
    twice. Griewank and Walther (2000), with a checkpoint at every iteration.

    Parameters
    ----------
    step : callable
        F: takes the tensors of `state`, and gives tensors back. Deterministic; it may differentiate within
        itself, as the gradient of U does.
    parameters : sequence of Tensor
        θ: all that F depends on beside the state and that is learned. Others are held constant.
    *state : Tensor or None
        s(k).

    Returns
    -------
    tuple of Tensor
        s(k+1).

    Examples
    --------
    >>> a, x = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    >>> (y,) = recomputed(lambda x: (a * x.square(),), [a], x)
    >>> torch.autograd.grad(y, [a, x])
    (tensor(4.), tensor(12.))
    """
    learned = [p for p in parameters if p.requires_grad]
    apply: Callable[..., tuple[Tensor, ...]] = _Recomputed.apply
    return apply(step, len(state), *state, *learned)


class _Recomputed(torch.autograd.Function):
    """F without its graph.

    ``torch.utils.checkpoint`` would do, but where F differentiates within itself it runs F's inner forward
    pass once more in the first pass, whose graph is not needed there at all: two thirds slower here.
    """

    @staticmethod
    def forward(ctx: Any, step: Step, count: int, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        ctx.step, ctx.count = step, count
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        device = next(t.device.type for t in tensors if t is not None)
        ctx.precision = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
        return step(*tensors[:count])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *wanted: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
        device, dtype, mixed = ctx.precision
        with torch.enable_grad(), torch.autocast(device, dtype, enabled=mixed):
            state = [
                None if t is None else t.detach().requires_grad_(needs)
                for t, needs in zip(tensors[: ctx.count], needed, strict=False)
            ]
            ahead = ctx.step(*state)
        given = [(a, g) for a, g in zip(ahead, wanted, strict=True) if g is not None and a.requires_grad]
        inputs = [t for t, needs in zip((*state, *tensors[ctx.count :]), needed, strict=True) if needs]
        found = iter(
            torch.autograd.grad([a for a, _ in given], inputs, [g for _, g in given], allow_unused=True)
        )
        return (None, None, *(next(found) if needs else None for needs in needed))
