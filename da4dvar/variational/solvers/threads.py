"""Independent pieces of work on several threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


def on_threads(work: Callable[[Tensor], Result], parts: Sequence[Tensor]) -> list[Result]:
    """Return the work on each part, without gradients, each part on one thread.

    Operations on many small matrices are slower on two threads than on one, because the threads wait for each
    other in every operation. Therefore, each thread is given whole parts.

    Parameters
    ----------
    work : callable
        Function of one part.
    parts : sequence of Tensor
        The parts, of which as many are worked on at a time as torch has threads.

    Returns
    -------
    list
        The results, in the order of the parts.
    """

    def quietly(part: Tensor) -> Result:
        with torch.no_grad():  # a thread starts with gradients
            return work(part)

    threads = torch.get_num_threads()
    if threads == 1:
        return [quietly(part) for part in parts]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(quietly, parts))
    finally:
        torch.set_num_threads(threads)
