"""Memory of the solution of a window: peak = max over time of the bytes of all live tensors."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from da4dvar.fields.windows.grid import Solve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Living(TorchDispatchMode):
    """Dispatch mode that counts the bytes of live tensor storages in the memory of the process.

    The resident memory of the process would measure the same with noise, but a plan must be reproducible in
    a resumed run.

    Attributes
    ----------
    bytes, peak : int
        Bytes of live storages now, and at their maximum.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self.known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch loads its compiler, which takes over two seconds and is not used.
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu":
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        pointer, size = storage._cdata, storage.nbytes()
        if pointer in self.known:
            return

        def gone(_: weakref.ref[torch.UntypedStorage]) -> None:
            self.known.pop(pointer, None)
            self.bytes -= size

        self.known[pointer] = weakref.ref(storage, gone)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)


def window_bytes(solve: Solve, variables: int, shape: Sequence[int]) -> int:
    """Measure the peak memory of the solution of one window, by solving one that is observed everywhere.

    Parameters
    ----------
    solve : callable
        See :func:`da4dvar.fields.windows.grid.overlap_add`.
    variables : int
        Number of entries of a window, including first guess and covariates.
    shape : sequence of int
        Cells of a window along each dimension.

    Returns
    -------
    int
        Bytes.
    """
    window = np.zeros((1, variables, *shape), dtype="float32")
    living = Living()
    with living:
        solve(window)
    return living.peak + 6 * window.nbytes
