"""Derivatives along a direction, by forward differentiation."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TypeVar

import torch
from torch import Tensor

Output = TypeVar("Output", Tensor, tuple[Tensor, ...])

# torch counts the levels of forward differentiation for all threads together: two at a time fail.
_ONE_AT_A_TIME = RLock()


def derivative_along(function: Callable[[Tensor], Output], at: Tensor, direction: Tensor) -> Output:
    """f′(x) d.

    Parameters
    ----------
    function : callable
        f, of one tensor, with one or several results.
    at : Tensor
        x.
    direction : Tensor, shape of `at`
        d.

    Returns
    -------
    Tensor or tuple of Tensor, shape of f(x)

    Examples
    --------
    >>> derivative_along(torch.square, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5]))
    tensor([2., 2.])
    """
    with _ONE_AT_A_TIME:
        found: Output = torch.func.jvp(function, (at,), (direction,))[1]
    return found
