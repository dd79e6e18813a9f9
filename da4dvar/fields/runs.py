"""Gaps in time, as long as those of a data set, each series by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import RecipeError


class Runs:
    """Instruments that fall silent for a while, one by one.

    Parameters
    ----------
    lengths : sequence of int
        Steps of a silence; one is chosen at random for each.
    fraction : float
        Part of the cells that is observed, reached within one run.
    time : str
        The dimension that a run lies along; it hides one place of every other.
    """

    def __init__(self, lengths: Sequence[int], fraction: float = 0.9, time: str = "time") -> None:
        if not len(lengths) or min(lengths) < 1:
            raise RecipeError(f"lengths of runs are {list(lengths)}, expected whole numbers from 1 on")
        if not 0 < fraction <= 1:
            raise RecipeError(f"fraction of observed cells is {fraction}, expected above 0 and up to 1")
        self.lengths, self.fraction, self.time = tuple(map(int, lengths)), float(fraction), time

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells, an axis for each of `sizes`."""
        if self.time not in sizes:
            raise RecipeError(
                f"gaps of kind 'runs' need a dimension {self.time!r}; there are {', '.join(sizes)}"
            )
        steps = sizes[self.time]
        others = [n for d, n in sizes.items() if d != self.time]
        series = int(np.prod(others, dtype=int))
        seen = np.ones((series, steps), dtype=bool)
        wanted, left = (1 - self.fraction) * seen.size, float(seen.size)
        while seen.size - left < wanted:
            length = min(int(generator.choice(self.lengths)), steps)
            # A run may hang over an end, so that cells there are hidden as often as others.
            first = int(generator.integers(1 - length, steps)) if length < steps else 0
            row = seen[generator.integers(series), max(first, 0) : first + length]
            left -= row.sum()
            row[:] = False
        axis = list(sizes).index(self.time)
        return np.moveaxis(seen.reshape(*others, steps), -1, axis)


def gap_lengths(observed: xr.DataArray, time: str, most: int) -> np.ndarray:
    """Lengths of the gaps between observations, cell by cell, those longer than `most` left out.

    Parameters
    ----------
    observed : DataArray of bool
    time : str
    most : int

    Returns
    -------
    array of int
        A gap before the first or after the last observation of a cell does not count.
    """
    lines = observed.transpose(..., time).values.reshape(-1, observed.sizes[time])
    series, at = np.nonzero(lines)
    same = series[1:] == series[:-1]
    lengths = (at[1:] - at[:-1] - 1)[same]
    return lengths[(lengths > 0) & (lengths <= most)]
