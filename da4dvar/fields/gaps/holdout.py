"""Observed points withheld from training for scoring, in the shapes of the gaps of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, check_least
from da4dvar.fields.gaps.runs import Runs, gap_lengths

# Longest hidden run, as a fraction of the record. A series that is half hidden is no longer representative;
# in a field, neighbouring cells still carry information.
LONGEST = 0.25
LONGEST_OF_FIELDS = 0.5
# Errors under one cloud are correlated: scores, and intervals even more, need many independent shapes.
SHAPES = 40
SMALLEST = 1 / 16
GOLDEN = (5**0.5 - 1) / 2
# Fraction of the observed points hidden at once when a model learns from observations alone.
HIDDEN = 0.15


def hidden_points(
    observed: xr.DataArray,
    time: str,
    fraction: float,
    seed: int | Sequence[int],
    lengths: Sequence[int] = (),
) -> xr.DataArray:
    """Choose observed points to hide, in shapes like those of the gaps of the variable.

    In a field of two or more spatial dimensions, points are hidden where other times are not observed, as if
    the clouds had moved, for as long as the gaps of the variable last. This is done in boxes that are small
    enough to give about 40 of them, spread evenly over time. In series, runs of steps are hidden, one series
    at a time, with the lengths of the gaps.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    time : str
        Name of the time dimension.
    fraction : float
        Approximate fraction of the observed points to hide.
    seed : int or sequence of int
        Random seed.
    lengths : sequence of int, optional
        Lengths of the hidden runs, for series and fields. By default those of the gaps of the variable.

    Returns
    -------
    DataArray of bool
        True where a point is observed and hidden, with the dimensions of `observed`.

    Raises
    ------
    DataError
        If fewer than 20 points can be hidden, or `fraction` is not above 0 and below 0.5.

    Examples
    --------
    >>> observed = xr.DataArray(np.arange(400) % 5 > 0, dims="time")
    >>> hidden = hidden_points(observed, "time", 0.1, seed=0)
    >>> bool((hidden & ~observed).any()), 0.08 < float(hidden.sum() / observed.sum()) < 0.12
    (False, True)
    """
    if not 0 < fraction < 0.5:
        raise DataError(f"the fraction to hide is {fraction}, expected above 0 and below 0.5")
    generator = np.random.default_rng(seed)
    if not len(lengths) and observed.ndim > 2 and observed.sizes[time] > 1:
        hidden = _shapes(observed, time, fraction, generator)
    else:
        hidden = _runs(observed, time, fraction, generator, lengths)
    if int(hidden.sum()) < 20:
        raise DataError(
            f"variable {observed.name!r} has {int(observed.sum())} observed points, too few to hide some and "
            "learn from the rest; use a baseline (da4dvar baseline --method linear)"
        )
    return hidden


@dataclass(frozen=True)
class Holdout:
    """Observed points withheld from training, for the test and for validation.

    Parameters
    ----------
    test, validation : float
        Fraction of the observed points of a variable, for each of `lengths`; 0 for none.
    lengths : sequence of int
        Lengths in steps of the blocks that are hidden in each series. If empty, the shapes of the gaps of the
        data are used.
    seed : int
        Random seed.

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
        """Return the points withheld for the test, by kind of block.

        Parameters
        ----------
        ds : Dataset
            Observations, NaN in the gaps.
        time : str
            Name of the time dimension.

        Returns
        -------
        dict of str to Dataset of bool
            True where hidden: ``all``, or ``blocks of n`` for each of `lengths`.

        Raises
        ------
        DataError
            If there are too few observed points.
        """
        return self._points(ds, time, self.test, self.seed)

    def taken(self, ds: xr.Dataset, time: str) -> tuple[xr.Dataset, xr.Dataset]:
        """Split a data set into the points that remain and those withheld for the test.

        Parameters
        ----------
        ds : Dataset
            Observations, NaN in the gaps.
        time : str
            Name of the time dimension.

        Returns
        -------
        rest, test : Dataset
            Copies of `ds`, each NaN at the points of the other.

        Raises
        ------
        DataError
            If there are too few observed points.
        """
        return apart(ds, self.tests(ds, time))

    def validations(self, ds: xr.Dataset, time: str) -> dict[str, xr.Dataset]:
        """Return the points withheld for validation, by kind of block.

        Parameters
        ----------
        ds : Dataset
            Observations without the points of the test.
        time : str
            Name of the time dimension.

        Returns
        -------
        dict of str to Dataset of bool
            See :meth:`tests`.

        Raises
        ------
        DataError
            If there are too few observed points.
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
    """Split a data set into the points that remain and those taken out.

    Parameters
    ----------
    ds : Dataset
        Data set to split.
    points : mapping of str to Dataset of bool
        For each kind, true at the points to take out.

    Returns
    -------
    rest, taken : Dataset
        Copies of `ds`, each NaN at the points of the other.

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
    """Return run lengths distributed like the gap lengths of a variable: their quantiles."""
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
    # All lengths, not quantiles: the few longest gaps contain many of the missing points.
    found = gap_lengths(observed, time, max(1, int(LONGEST_OF_FIELDS * len(seen))))
    lengths = np.sort(found) if found.size else np.ones(1, dtype=int)
    usual = seen.sum() * (1 - seen.mean()) / len(seen)
    part = float(np.clip(wanted / max(SHAPES * usual * np.mean(lengths), 1), SMALLEST, 1))
    box = [math.ceil(n * part ** (1 / (seen.ndim - 1))) for n in seen.shape[1:]]
    # At most half of the wanted points at once; otherwise a single cloud could provide all of them.
    most = max(1, int(0.5 * wanted / max(usual * part, 1)))
    begin = generator.random()
    for number in range(100 * len(seen)):
        if hidden.sum() >= wanted:
            break
        steps = min(int(generator.choice(lengths)), most)
        places = len(seen) - steps + 1
        # A low-discrepancy sequence spreads any number of shapes evenly over time.
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
        # In small portions: runs are drawn in cells, but the hidden points are counted where observed.
        kept = Runs(lengths, 1 - fraction / 4, time).draw(generator, sizes)
        hidden |= observed.values & ~kept
    return observed.copy(data=hidden)
