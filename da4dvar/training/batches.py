"""Batches of numbered samples: step k uses samples k B to (k + 1) B − 1, shared among N processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import Dataset, Sampler

from da4dvar.training.buffered import BufferedSamples
from da4dvar.training.samples import Samples


@dataclass
class Drawn(Dataset[dict[str, np.ndarray]]):
    """Samples by number: the same number and seed give the same sample in any process."""

    samples: Samples | BufferedSamples
    count: int
    seed: int
    first: int = field(default=0)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng([self.seed, self.first + index])
        if isinstance(self.samples, BufferedSamples):
            return self.samples.draw(self.first + index, generator)
        return self.samples.draw(generator)


class Share(Sampler[list[int]]):
    """Share of process r of N in each batch: its samples r, r + N, r + 2 N and so on.

    Parameters
    ----------
    count : int
        Total number of samples.
    batch : int
        Number of samples in a batch, over all processes.
    process, processes : int
        r and N.

    Examples
    --------
    >>> list(Share(10, 4, process=1, processes=2))
    [[1, 3], [5, 7], [9]]
    """

    def __init__(self, count: int, batch: int, process: int = 0, processes: int = 1) -> None:
        self.count, self.batch, self.process, self.processes = count, batch, process, processes

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, self.count, self.batch):
            last = min(first + self.batch, self.count)
            numbers = list(range(first + self.process, last, self.processes))
            if numbers:
                yield numbers
