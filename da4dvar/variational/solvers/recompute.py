"""Recomputation: an iteration stores its inputs only and is run again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# An iteration, from the tensors of one state (None for those not yet computed) to those of the next.
Step = Callable[..., tuple[Tensor, ...]]


def recomputed(step: Step, parameters: Sequence[Tensor], *state: Tensor | None) -> tuple[Tensor, ...]:
    """s(k+1) = F(s(k), θ) with unchanged gradients, but without storing the graph of F.

    A solver with K iterations then stores K states and the graph of one iteration, at the cost of running F
    twice: the method of Griewank and Walther (2000) with a checkpoint at every iteration.

    Parameters
    ----------
    step : callable
        F, a deterministic function from the tensors of `state` to tensors. It may itself compute derivatives,
        such as the gradient of U.
    parameters : sequence of Tensor
        θ: all learned tensors that F depends on, other than the state. Other tensors are treated as constant.
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

    ``torch.utils.checkpoint`` would also work. But if F itself computes derivatives, it runs the inner
    forward pass of F a second time in the first pass, where its graph is not needed: two thirds slower here.
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
