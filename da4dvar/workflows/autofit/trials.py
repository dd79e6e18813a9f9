"""Trials: parts of a variable in which observed points are hidden, in shapes like its gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.likeness import (
    Hardness,
    Reach,
    hardness_of,
    reach_of,
    shapes_like_gaps,
    weights_like_gaps,
)
from da4dvar.workflows.autofit.character import Character

# Fraction of the observed points that a trial hides.
HIDDEN = 0.1
# Another variable is hidden as well if it is missing at more than this fraction of the gaps.
COINCIDENT = 0.5
# Smallest side of a crop, in cells, and crops that are tried.
SIDE, TRIES = 12, 20


@dataclass(frozen=True)
class Trial:
    """A variable without its hidden points, and what was known there.

    Attributes
    ----------
    seen : DataArray
        The variable, NaN in the gaps and at the hidden points; a crop of a large variable.
    at : array of bool
        True at the hidden points of `seen`.
    truth : array, shape (point,)
        Hidden values.
    shape : array of int, shape (point,)
        Number of the hidden shape of each point.
    weight : array, shape (point,)
        Weights with which the points represent the values to be filled.
    hidden, missing : Hardness
        Hardness of all points of `seen`, and of the crop before anything was hidden.
    ranges : dict of str to slice
        Where `seen` lies in the variable; empty if it is all of it.
    """

    seen: xr.DataArray
    at: np.ndarray
    truth: np.ndarray
    shape: np.ndarray
    weight: np.ndarray
    hidden: Hardness
    missing: Hardness
    ranges: Mapping[str, slice]

    def others_in(self, others: xr.Dataset, hidden: Sequence[str]) -> xr.Dataset:
        """Return the other variables at its place, some of them without the hidden points."""
        part = others.isel({d: s for d, s in self.ranges.items() if d in others.dims})
        shown = self.seen.copy(data=~self.at)
        return part.assign({n: part[n].where(shown) for n in hidden})

    def removed_from(self, array: xr.DataArray) -> xr.DataArray:
        """Return the whole variable, in memory, without the hidden points."""
        rest = array.copy(deep=True)
        rest[dict(self.ranges)] = self.seen
        return rest


def missing_as_well(array: xr.DataArray, others: xr.Dataset, time: str) -> list[str]:
    """Return the other variables that are missing at more than half of the values to be filled.

    What is hidden from the variable must be hidden from these as well: a method that sees them at the hidden
    points would promise an error that it does not keep in the gaps.
    """
    gaps = array.isnull() & array.notnull().any(time)
    number = max(1, int(gaps.sum()))
    return [str(n) for n, other in others.items() if int((gaps & other.isnull()).sum()) > COINCIDENT * number]


def crop_of(array: xr.DataArray, character: Character, most: int, seed: int) -> dict[str, slice]:
    """Return ranges of a part with about `most` values, around a random place.

    Times are cut last, as methods need the season and the memory of the variable.

    Parameters
    ----------
    array : DataArray
        Variable.
    character : Character
        Its character.
    most : int
        Number of values in the part.
    seed : int
        Seed of the place.

    Returns
    -------
    dict of str to slice
        Empty if the variable has no more values than that.

    Examples
    --------
    >>> sst = xr.DataArray(np.zeros((100, 60, 80)), dims=("time", "lat", "lon"))
    >>> whole = Character("time", ("lat", "lon"), {"time": 100, "lat": 60, "lon": 80}, 0.5, 3, 5, False, True)
    >>> {d: s.stop - s.start for d, s in crop_of(sst, whole, 40_000, seed=0).items()}
    {'lat': 20, 'lon': 20}
    """
    generator = np.random.default_rng([seed, 7])
    sizes = {str(d): n for d, n in array.sizes.items()}
    kept = dict(sizes)
    for dim in sizes:
        if dim not in (character.time, *character.space) and np.prod(list(kept.values())) > most:
            kept[dim] = 1
    while np.prod(list(kept.values())) > most:
        sides = {d: kept[d] for d in character.space if kept[d] > SIDE}
        if not sides:
            rest = np.prod([n for d, n in kept.items() if d != character.time])
            kept[character.time] = max(50, int(most / rest)) if sizes[character.time] > 50 else 50
            break
        # Shrink all sides to that of a square with the wanted number of values.
        area = most / np.prod([n for d, n in kept.items() if d not in sides])
        side = max(SIDE, int(area ** (1 / len(sides))))
        longest = max(sides, key=lambda d: sides[d])
        kept[longest] = min(kept[longest] - 1, max(side, SIDE))
    out = {}
    for dim, size in kept.items():
        if size < sizes[dim]:
            first = int(generator.integers(sizes[dim] - size + 1))
            out[dim] = slice(first, first + size)
    return out


def trial_of(
    array: xr.DataArray,
    character: Character,
    reach: Reach,
    seed: int,
    ranges: Mapping[str, slice] = MappingProxyType({}),
) -> Trial:
    """Hide points of a variable.

    Parameters
    ----------
    array : DataArray
        Variable or crop, in memory, with NaN in the gaps.
    character : Character
        Its character.
    reach : Reach
        Its scales, the units of distances.
    seed : int
        Seed of the hidden points.
    ranges : mapping of str to slice
        Where a crop lies in the variable.

    Returns
    -------
    Trial

    Raises
    ------
    DataError
        If there are too few observations to hide some.
    """
    observed = array.notnull()
    generator = np.random.default_rng([seed, 11])
    shape = shapes_like_gaps(observed, character.time, HIDDEN, generator)
    at = shape >= 0
    hidden = hardness_of(observed & ~at, character.time, reach)
    missing = hardness_of(observed, character.time, reach)
    values = array.values
    seen = array.copy(data=np.where(at, np.nan, values))
    weight = weights_like_gaps(hidden, missing, at, shape[at])
    return Trial(seen, at, values[at].astype("float64"), shape[at], weight, hidden, missing, ranges)


def drawn(
    array: xr.DataArray, character: Character, reach: Reach | None, size: int, seed: Sequence[int]
) -> tuple[Trial | None, Reach]:
    """Hide points of a crop; return None if that fails after a first trial has succeeded.

    Parameters
    ----------
    array : DataArray
        Variable, possibly lazy.
    character : Character
        Its character.
    reach : Reach or None
        Its scales; those of the crop if there are none yet.
    size : int
        Number of values in the crop.
    seed : sequence of int
        Seed of the trial, which ends with its number.

    Returns
    -------
    Trial or None
    Reach

    Raises
    ------
    DataError
        If the first trial has too few observations to hide some.
    """
    whole = size >= array.size
    for number in range(1 if whole else TRIES):
        own = int(np.random.default_rng([*seed, number]).integers(2**31))
        ranges = crop_of(array, character, size, own)
        crop = only(array, ranges)
        scales = reach or reach_for(crop, character)
        try:
            return trial_of(crop, character, scales, own, ranges), scales
        except DataError:
            # Another crop may have more observations.
            if seed[-1] == 0 and (whole or number == TRIES - 1):
                raise
    return None, scales


def reach_for(array: xr.DataArray, character: Character) -> Reach:
    """Return the scales of a variable in memory; a station dimension has none."""
    space = character.space if len(character.space) == 2 else ()
    return reach_of(array.values.astype("float64"), tuple(map(str, array.dims)), character.time, space)


def only(array: xr.DataArray, ranges: Mapping[str, slice]) -> xr.DataArray:
    """Return a part of a variable, read into memory."""
    return array.isel({d: s for d, s in ranges.items() if d in array.dims}).load()
