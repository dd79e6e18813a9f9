"""A pretended second device, so that a machine without a GPU shows what would fail on one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

FACTORIES = {
    torch.arange, torch.as_tensor, torch.empty, torch.eye, torch.full, torch.linspace, torch.logspace,
    torch.ones, torch.rand, torch.randint, torch.randn, torch.randperm, torch.tensor, torch.zeros,
    torch.tril_indices, torch.triu_indices, torch.from_numpy, torch.scalar_tensor,
}  # fmt: skip
# An index may be on the processor, and a copy goes from one device to another.
BETWEEN = {Tensor.__getitem__, Tensor.__setitem__, Tensor.copy_}


class Elsewhere(TorchFunctionMode):
    """Tensors that were moved to a device are elsewhere; those made without one are at home.

    Raises AssertionError where a GPU would: where tensors of both places meet, where random numbers are drawn
    on a device by a generator of the processor, and where a tensor that is elsewhere becomes an array. Of a
    tensor that was made with a device, it is not known which; it goes with both.
    """

    def __enter__(self) -> Elsewhere:
        # It is in C, and asks no mode.
        self.from_numpy = torch.from_numpy
        torch.from_numpy = lambda array: placed(self.from_numpy(array), HOME)
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        torch.from_numpy = self.from_numpy

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        places = {place_of(t) for t in tensors} - {None}
        place = places.pop() if len(places) == 1 else AWAY if places else None
        if func in FACTORIES and "device" in kwargs:
            assert "generator" not in kwargs, "a generator of the processor draws elsewhere"
            place = None
        elif func in FACTORIES:
            place = place or HOME
        elif func is Tensor.to:
            others = [a for a in args[1:] if isinstance(a, Tensor)]
            moved = any(isinstance(a, str | torch.device) for a in (*args[1:], *kwargs.values()))
            place = place_of(others[0]) if others else AWAY if moved else place
        elif func is Tensor.cpu:
            place = HOME
        elif func in (Tensor.numpy, Tensor.__array__):
            assert place != AWAY, "an array of a tensor that is elsewhere"
        elif func not in BETWEEN and AWAY in map(place_of, tensors):
            for tensor in tensors:
                shapes = [tuple(t.shape) for t in tensors]
                assert place_of(tensor) != HOME or tensor.ndim == 0, (
                    f"{func.__name__} of tensors on two devices, of shapes {shapes}"
                )
        found = func(*args, **kwargs)
        if func in (Tensor.to, Tensor.cpu) and found is args[0]:
            # Nothing was copied, as there is one device in truth.
            found = found.view(found.shape)
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and place is not None:
                placed(leaf, place)
        return found


HOME, AWAY = "the processor", "a device"


def place_of(tensor: Tensor) -> str | None:
    """Return where a tensor is; None if that is not known."""
    return getattr(tensor, "place", None)


def placed(tensor: Tensor, place: str) -> Tensor:
    """Return a tensor marked with the place where it is."""
    tensor.place = place
    return tensor


def away(module: nn.Module) -> nn.Module:
    """Return a module whose parameters and buffers are elsewhere."""
    for tensor in (*module.parameters(), *module.buffers()):
        placed(tensor, AWAY)
    return module
