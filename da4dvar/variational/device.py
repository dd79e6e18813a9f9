"""The device that computes: a processor or a GPU, and how many windows its memory is enough for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from da4dvar.errors import DataError

DEVICES = ("auto", "cpu", "cuda")
# Windows solved at once unless a number is given. A GPU is idle with fewer; where these do not fit, Halving
# finds how many do.
BATCH = {"cpu": 16, "cuda": 256}

Solve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def device_of(name: str) -> torch.device:
    """Return the device of a name; "auto" is a GPU if there is one.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        Name.

    Returns
    -------
    torch.device

    Raises
    ------
    DataError
        If the name is unknown, or there is no GPU.

    Examples
    --------
    >>> device_of("cpu")
    device(type='cpu')
    """
    if name not in DEVICES:
        raise DataError(f"device is {name!r}, expected {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise DataError(
            "device is 'cuda', but torch finds no GPU; use 'auto' or 'cpu', or install the build of torch "
            "for the GPU of this machine"
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def batch_of(given: int | None, device: torch.device) -> int:
    """Return the number of windows solved at once: the one that was given, or that of the device.

    Examples
    --------
    >>> batch_of(None, torch.device("cpu")), batch_of(3, torch.device("cpu"))
    (16, 3)
    """
    return BATCH[device.type] if given is None else given


def exactly(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which convolutions in float32 are computed in float32.

    On a GPU, torch otherwise rounds their input to TF32, with ten significant bits in place of 23.

    Parameters
    ----------
    device : torch.device
        Device of the convolutions.

    Returns
    -------
    context manager
    """
    if device.type != "cuda":
        return nullcontext()
    found: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, allow_tf32=False
    )
    return found


class Halving:
    """Solution of windows in parts that the memory of a GPU is enough for, which is found by trying.

    When memory runs out, half of the windows are tried, and later calls begin with the number that fitted.

    Attributes
    ----------
    most : int or None
        Largest number of windows solved at once; None as long as memory was enough.

    Examples
    --------
    >>> def solve(windows):
    ...     if len(windows) > 3:
    ...         raise torch.OutOfMemoryError
    ...     return windows, windows.T
    >>> halving = Halving()
    >>> x, _ = halving(solve, np.ones((10, 2)))
    >>> x.shape, halving.most
    ((10, 2), 3)
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def __call__(self, solve: Solve, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return estimates and cost terms of windows; see :func:`da4dvar.fields.windows.grid.overlap_add`.

        Raises
        ------
        DataError
            If the memory is not enough for a single window.
        """
        found: list[tuple[np.ndarray, np.ndarray]] = []
        first = 0
        while first < len(windows):
            part = windows[first : first + (self.most or len(windows))]
            try:
                found.append(solve(part))
                first += len(part)
            except torch.OutOfMemoryError as error:
                if len(part) == 1:
                    raise DataError(
                        "the memory of the GPU is not enough for one window; use device 'cpu'"
                    ) from error
                self.most = (len(part) + 1) // 2
                # Unused blocks of other sizes would stand in the way of the smaller ones.
                torch.cuda.empty_cache()
        estimates, costs = zip(*found, strict=True)
        return np.concatenate(estimates), np.concatenate(costs, axis=1)
