"""Observed points hidden from everything, to score with: in the shapes of the data's own gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, check_least
from da4dvar.fields.gaps.runs import Runs, gap_lengths

if TYPE_CHECKING:
    pass

# Longer runs say little: half of a series hidden is another series. Of a field, neighbours still tell.
LONGEST = 0.25
LONGEST_OF_FIELDS = 0.5
# Errors under one cloud are alike: a score, and an interval even more, needs many of them.
SHAPES = 40
SMALLEST = 1 / 16
GOLDEN = (5**0.5 - 1) / 2
# Part of the observed points that is hidden at a time, where a model learns from observations alone.
HIDDEN = 0.15


def hidden_points(
    observed: xr.DataArray,
    time: str,
    fraction: float,
    seed: int | Sequence[int],
    lengths: Sequence[int] = (),
) -> xr.DataArray:
    """Some of the observed points of a variable, chosen as its gaps would.

    A field over two dimensions or more, for as long as its gaps last, loses what is not seen at other times,
    as if its clouds had moved: in boxes, so small that there are some 40 of these, spread evenly over the
    time. Series, one by one, lose runs of steps, as long as their gaps.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    time : str
        The dimension of time.
    fraction : float
        Part of the observed points that is hidden, about.
    seed : int or sequence of int
        Of the choice.
    lengths : sequence of int, optional
        Lengths of runs, for any variable; those of its gaps if not given.

    Returns
    -------
    DataArray of bool
        True where a point is observed and hidden; dimensions as they came.

    Raises
    ------
    DataError
        If there are fewer than 20 points to hide, or the part is not above 0 and below 0.5.

    Examples
    --------
    >>> observed = xr.DataArray(np.arange(400) % 5 > 0, dims="time")
    >>> hidden = hidden_points(observed, "time", 0.1, seed=0)
    >>> bool((hidden & ~observed).any()), 0.08 < float(hidden.sum() / observed.sum()) < 0.12
    (False, True)
    """
    if not 0 < fraction < 0.5:
        raise DataError(f"the part to hide is {fraction}, expected above 0 and below 0.5")
    generator = np.random.default_rng(seed)
    if not len(lengths) and observed.ndim > 2 and observed.sizes[time] > 1:
        hidden = _shapes(observed, time, fraction, generator)
    else:
        hidden = _runs(observed, time, fraction, generator, lengths)
    if int(hidden.sum()) < 20:
        raise DataError(
            f"variable {observed.name!r} has {int(observed.sum())} observed points, too few to hide some and "
            "learn from the others; use a baseline (da4dvar baseline --method linear)"
        )
    return hidden


@dataclass(frozen=True)
class Holdout:
    """Which observed points are kept from a training: some for the test, some to choose by.

    Parameters
    ----------
    test, validation : float
        Part of the observed points of a variable, for each of `lengths`; none with 0.
    lengths : sequence of int
        Steps of the blocks that are hidden, series by series; in the shapes of the data's own gaps if empty.
    seed : int
        Of the choice.

    Examples
    --------
    >>> ds = xr.Dataset({"t2m": ("time", np.arange(1000.0))})
    >>> rest, test = Holdout(test=0.1, lengths=[5]).taken(ds, "time")
    >>> int(rest.t2m.count() + test.t2m.count()), int(test.t2m.count()) >= 100
    (1000, True)
    """

    test: float = 0.05
    validation: float = 0.05
    lengths: Sequence[int] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_least(0, seed=self.seed)

    def tests(self, ds: xr.Dataset, time: str) -> dict[str, xr.Dataset]:
        """The points kept for the test, by what they were hidden as.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.
        time : str
            The dimension of time.

        Returns
        -------
        dict of str to Dataset of bool
            True where hidden: ``all``, or ``blocks of n`` for each of `lengths`.

        Raises
        ------
        DataError
            If there are too few points to hide some.
        """
        return self._points(ds, time, self.test, self.seed)

    def taken(self, ds: xr.Dataset, time: str) -> tuple[xr.Dataset, xr.Dataset]:
        """What is left without the points of the test, and those points alone.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.
        time : str
            The dimension of time.

        Returns
        -------
        rest, test : Dataset
            As `ds`, NaN where a point is in the other.

        Raises
        ------
        DataError
            If there are too few points to hide some.
        """
        return apart(ds, self.tests(ds, time))

    def validations(self, ds: xr.Dataset, time: str) -> dict[str, xr.Dataset]:
        """The points kept for the validation, by what they were hidden as.

        Parameters
        ----------
        ds : Dataset
            What is left without the points of the test.
        time : str
            The dimension of time.

        Returns
        -------
        dict of str to Dataset of bool
            See :meth:`tests`.

        Raises
        ------
        DataError
            If there are too few points to hide some.
        """
        return self._points(ds, time, self.validation, self.seed + 1)

    def _points(self, ds: xr.Dataset, time: str, part: float, seed: int) -> dict[str, xr.Dataset]:
        out = {}
        for kind in [[n] for n in self.lengths] or [[]]:
            hidden = {
                name: hidden_points(ds[name].notnull(), time, part, [seed, number, *kind], kind)
                if part
                else ds[name].isnull() & False
                for number, name in enumerate(ds.data_vars)
            }
            out[f"blocks of {kind[0]}" if kind else "all"] = xr.Dataset(hidden)
        return out


def apart(ds: xr.Dataset, points: Mapping[str, xr.Dataset]) -> tuple[xr.Dataset, xr.Dataset]:
    """A data set without some of its points, and those points alone.

    Parameters
    ----------
    ds : Dataset
    points : mapping of str to Dataset of bool
        True for the points to take out, of any kind.

    Returns
    -------
    rest, taken : Dataset
        As `ds`, NaN where a point is in the other.

    Examples
    --------
    >>> ds = xr.Dataset({"t2m": ("time", [1.0, 2.0])})
    >>> rest, taken = apart(ds, {"all": ds > 1.5})
    >>> rest.t2m.values, taken.t2m.values
    (array([ 1., nan]), array([nan,  2.]))
    """
    rest, kept = ds.copy(), ds.copy()
    for name in ds.data_vars:
        hidden = np.any([p[name].values for p in points.values()], axis=0)
        rest[name] = ds[name].copy(data=np.where(hidden, np.nan, ds[name].values))
        kept[name] = ds[name].copy(data=np.where(hidden, ds[name].values, np.nan))
    return rest, kept


def own_lengths(observed: xr.DataArray, time: str, number: int = 20) -> list[int]:
    """Lengths of runs that are spread like those of a variable's gaps: its quantiles."""
    most = max(1, int(LONGEST * observed.sizes[time]))
    found = gap_lengths(observed, time, most)
    if not found.size:
        return [1]
    quantiles = np.quantile(found, (np.arange(number) + 0.5) / number, method="nearest")
    return [int(q) for q in quantiles]


def _shapes(
    observed: xr.DataArray, time: str, fraction: float, generator: np.random.Generator
) -> xr.DataArray:
    order = (time, *sorted((d for d in observed.dims if d != time), key=str))
    seen = observed.transpose(*order).values
    wanted = fraction * seen.sum()
    hidden = np.zeros_like(seen)
    # All of them, not quantiles: the few longest gaps hold many of the missing points.
    found = gap_lengths(observed, time, max(1, int(LONGEST_OF_FIELDS * len(seen))))
    lengths = np.sort(found) if found.size else np.ones(1, dtype=int)
    usual = seen.sum() * (1 - seen.mean()) / len(seen)
    part = float(np.clip(wanted / max(SHAPES * usual * np.mean(lengths), 1), SMALLEST, 1))
    box = [math.ceil(n * part ** (1 / (seen.ndim - 1))) for n in seen.shape[1:]]
    # No more than half of what is wanted at once, or a single cloud would be all of it.
    most = max(1, int(0.5 * wanted / max(usual * part, 1)))
    begin = generator.random()
    for number in range(100 * len(seen)):
        if hidden.sum() >= wanted:
            break
        steps = min(int(generator.choice(lengths)), most)
        places = len(seen) - steps + 1
        # A sequence of low discrepancy: however many there are, they are spread evenly.
        first, other = int((begin + number * GOLDEN) % 1 * places), int(generator.integers(places))
        corner = [int(generator.integers(n - b + 1)) for n, b in zip(seen.shape[1:], box, strict=True)]
        cells = tuple(slice(c, c + b) for c, b in zip(corner, box, strict=True))
        at, there = (slice(first, first + steps), *cells), (slice(other, other + steps), *cells)
        hidden[at] |= seen[at] & ~seen[there]
    return xr.DataArray(hidden, dims=order, coords=observed.coords).transpose(*observed.dims)


def _runs(
    observed: xr.DataArray,
    time: str,
    fraction: float,
    generator: np.random.Generator,
    lengths: Sequence[int],
) -> xr.DataArray:
    lengths = list(lengths) or own_lengths(observed, time)
    sizes = {str(d): n for d, n in observed.sizes.items()}
    hidden = np.zeros(observed.shape, dtype=bool)
    wanted = fraction * int(observed.sum())
    while hidden.sum() < wanted:
        # In small portions: what is hidden is counted in observed points, what is drawn in cells.
        kept = Runs(lengths, 1 - fraction / 4, time).draw(generator, sizes)
        hidden |= observed.values & ~kept
    return observed.copy(data=hidden)
