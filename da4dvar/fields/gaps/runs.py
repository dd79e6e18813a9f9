"""Gaps in time of given lengths, independent for each series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from da4dvar.errors import RecipeError


class Runs:
    """Outages of single instruments for a number of steps.

    Parameters
    ----------
    lengths : sequence of int
        Lengths of outages in steps, from which one is drawn for each.
    fraction : float
        Fraction of the cells that is observed, to within one run.
    time : str
        Name of the time dimension, along which a run lies. A run hides a single series.

    Raises
    ------
    RecipeError
        If there are no lengths, one is below 1, or the fraction is not above 0 and up to 1.

    Examples
    --------
    >>> pattern = Runs([7, 30], fraction=0.8)
    >>> observed = pattern.draw(np.random.default_rng(0), {"station": 5, "time": 365})
    >>> float(observed.mean().round(1))
    0.8
    """

    def __init__(self, lengths: Sequence[int], fraction: float = 0.9, time: str = "time") -> None:
        if not len(lengths) or min(lengths) < 1:
            raise RecipeError(f"lengths of runs are {list(lengths)}, expected whole numbers of 1 or more")
        if not 0 < fraction <= 1:
            raise RecipeError(f"fraction of observed cells is {fraction}, expected above 0 and up to 1")
        self.lengths, self.fraction, self.time = tuple(map(int, lengths)), float(fraction), time

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells, with one axis for each entry of `sizes`.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of random numbers.
        sizes : mapping of str to int
            Number of cells along each dimension, in the order of the axes.

        Returns
        -------
        array of bool
            True where observed.

        Raises
        ------
        RecipeError
            If there is no time dimension.
        """
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
            # Runs may extend beyond an end, so that cells there are hidden as often as others.
            first = int(generator.integers(1 - length, steps)) if length < steps else 0
            row = seen[generator.integers(series), max(first, 0) : first + length]
            left -= row.sum()
            row[:] = False
        axis = list(sizes).index(self.time)
        return np.moveaxis(seen.reshape(*others, steps), -1, axis)


def gap_lengths(observed: xr.DataArray, time: str, most: int) -> np.ndarray:
    """Return the lengths of the gaps between observations of each cell, without those longer than `most`.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    time : str
        Name of the time dimension.
    most : int
        Longest gap to include, in steps.

    Returns
    -------
    array of int, shape (gap,)
        In steps. Gaps before the first and after the last observation of a cell are not included.

    Examples
    --------
    >>> gap_lengths(xr.DataArray([False, True, False, False, True, True], dims="time"), "time", most=10)
    array([2])
    """
    lines = observed.transpose(..., time).values.reshape(-1, observed.sizes[time])
    series, at = np.nonzero(lines)
    same = series[1:] == series[:-1]
    lengths: np.ndarray = (at[1:] - at[:-1] - 1)[same]
    return lengths[(lengths > 0) & (lengths <= most)]
