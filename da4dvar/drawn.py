"""Training samples by number, for a loader that may have workers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import Dataset

from da4dvar.fields.samples import Samples


@dataclass
class Drawn(Dataset):
    """Samples by number: the same number and seed give the same sample, on any worker."""

    samples: Samples
    count: int
    seed: int
    first: int = field(default=0)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng([self.seed, self.first + index])
        return self.samples.draw(generator)
