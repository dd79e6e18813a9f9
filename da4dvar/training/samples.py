"""Training samples: windows of a data set, with what is seen of them and what is to be found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.channels import Entries, to_channels
from da4dvar.fields.gaps.patterns import GapPattern
from da4dvar.fields.inputs import inputs_of
from da4dvar.layout import Layout

Sample = dict[str, np.ndarray]


@dataclass
class Samples:
    """Windows drawn at random from normalised data.

    There are four ways to learn, and all come down to a pair (seen, sought):

    - observations and truth: seen are the observations, sought is the truth;
    - a complete truth and gap patterns: seen is the truth under a pattern drawn anew;
    - observations alone: seen are those left by a pattern drawn anew, sought are the others;
    - a first guess: as many pairs as were drawn beforehand, for which it was made.

    Parameters
    ----------
    observed : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised, NaN in the gaps.
    truth : DataArray, optional
        The same, complete but for cells that have no truth.
    gaps : GapPattern or sequence of GapPattern, optional
        What hides a part of `observed`; or one for each of its entries, None where nothing is hidden.
    layout : Layout
        Of a sample, a window.
    noise : float
        Standard deviation of the noise added to what is seen, in normalised units.
    initial : {"zero", "observed", "linear"}
        The initial state; see :func:`da4dvar.fields.initial.start`.
    time : str
        The dimension of time.
    first_guess : DataArray, optional
        Like `observed`: the initial state, NaN where there is none.
    hidden : bool
        Whether the truth is sought only where it is not seen.
    covariates : Dataset, optional
        Normalised and complete, each over some of the dimensions of `observed`.
    first : sequence of int, optional
        Where the entries of `observed` are sensors, the first one of each variable of the state: x(0) is made
        of it, and it is the truth if there is none.

    Raises
    ------
    DataError
        If there is nothing to learn from, a window is longer than the data, the truth has other cells, or
        there are more or fewer patterns than entries.

    Examples
    --------
    >>> from da4dvar.fields.gaps.patterns import Random
    >>> x = xr.DataArray(np.ones((1, 30, 4)), dims=("variable", "time", "lat"))
    >>> layout = Layout(["sst"], axes=["lat"], channels=["time"], window={"time": 5})
    >>> sample = Samples(x, x, Random(0.5), layout).draw(np.random.default_rng(0))
    >>> {name: array.shape for name, array in sample.items() if name in ("y", "sought")}
    {'y': (5, 4), 'sought': (5, 4)}
    """

    observed: xr.DataArray
    truth: xr.DataArray | None
    gaps: GapPattern | Sequence[GapPattern | None] | None
    layout: Layout
    noise: float = 0.0
    initial: str = "zero"
    time: str = "time"
    first_guess: xr.DataArray | None = None
    hidden: bool = False
    covariates: xr.Dataset | None = None
    first: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.truth is None and self.gaps is None:
            raise DataError("there is nothing to learn from: give a truth, or gaps to hide points with")
        self._patterns = None if self.gaps is None else one_each(self.gaps, self.observed.sizes["variable"])
        for dim, cells in self.layout.window.items():
            if self.observed.sizes[dim] < cells:
                raise DataError(
                    f"a window has {cells} cells along {dim!r}, but the data have "
                    f"{self.observed.sizes[dim]}; use a smaller window or more data"
                )
        batch = [d for d in self.observed.dims if d not in ("variable", *self.layout.dims)]
        order = ("variable", *batch, *self.layout.dims)
        self._batch = [self.observed.sizes[d] for d in batch]
        self._observed = self.observed.transpose(*order).values.astype("float32")
        self._of_state = slice(None) if self.first is None else list(self.first)
        self._truth = None
        if self.truth is not None:
            got, wanted = dict(self.truth.sizes), {d: self.observed.sizes[d] for d in order}
            if self.first is not None:
                wanted["variable"] = len(self.first)
            if got != wanted:
                raise DataError(
                    f"the truth has cells {got}, but the observations {wanted}; "
                    "select the same times and places of both"
                )
            self._truth = self.truth.transpose(*order).values.astype("float32")
        self._first = None
        if self.first_guess is not None:
            self._first = self.first_guess.transpose(*order).values.astype("float32")
        cell = xr.Variable(order[1:], np.empty(self._observed.shape[1:]))
        given = {} if self.covariates is None else self.covariates.variables
        self._own = {str(n): [str(d) for d in given[n].dims] for n in self.covariates or ()}
        # Views: a topography is kept once, not once a day.
        self._covariates = [
            given[n].set_dims(cell.sizes).transpose(*order[1:]).values for n in self.covariates or ()
        ]

    def complete(self, generator: np.random.Generator, most: int) -> np.ndarray:
        """Windows of the truth, each another one.

        Parameters
        ----------
        generator : numpy.random.Generator
            What chance is taken from.
        most : int
            How many, if there are as many.

        Returns
        -------
        array, shape ``(window, channel, *axes)``

        Raises
        ------
        DataError
            If a window has gaps.
        """
        cells = self._observed.shape[1 + len(self._batch) :]
        wanted = [self.layout.window.get(d, n) for d, n in zip(self.layout.dims, cells, strict=True)]
        shape = (*self._batch, *(n - w + 1 for n, w in zip(cells, wanted, strict=True)))
        places = math.prod(shape)
        truth = self._observed[self._of_state] if self._truth is None else self._truth
        chosen = np.unravel_index(generator.choice(places, min(most, places), replace=False), shape)
        found = []
        for place in zip(*chosen, strict=True):
            starts = place[len(self._batch) :]
            cut = [slice(int(s), int(s) + w) for s, w in zip(starts, wanted, strict=True)]
            window = truth[(slice(None), *place[: len(self._batch)], *cut)]
            if not np.isfinite(window).all():
                raise DataError("the truth has gaps; leave prior_steps out, or give a truth that is complete")
            found.append(to_channels(window, self.layout))
        return np.stack(found)

    def draw(self, generator: np.random.Generator, tries: int = 200) -> Sample:
        """One sample; arrays have the shape of a tensor without its batch axis.

        Parameters
        ----------
        generator : numpy.random.Generator
            What chance is taken from.
        tries : int
            Windows to look at.

        Returns
        -------
        dict
            ``y`` and ``mask`` (what is seen), ``x0``, ``target`` and ``sought`` (where the target
            counts); ``covariates`` if there are some.

        Raises
        ------
        DataError
            If no window with something seen and something sought is met in `tries`.
        """
        for _ in range(tries):
            at = self._anywhere(generator)
            seen = self._observed[at].copy()
            truth = seen[self._of_state] if self._truth is None else self._truth[at]
            if self._patterns is not None:
                sizes = dict(zip(self.layout.dims, seen.shape[1:], strict=True))
                kept = np.stack(
                    [
                        np.ones(one.shape, bool) if gaps is None else gaps.draw(generator, sizes)
                        for one, gaps in zip(seen, self._patterns, strict=True)
                    ]
                )
                seen = np.where(kept, seen, np.nan)
            sought = np.isfinite(truth)
            if self._truth is None or self.hidden:
                sought &= ~np.isfinite(seen[self._of_state])
            if sought.any() and np.isfinite(seen).any():
                first = None if self._first is None else self._first[at]
                covariates = [c[at[1:]] for c in self._covariates]
                return self._arrays(seen, truth, sought, first, covariates, generator)
        raise DataError(
            f"{tries} windows drawn at random had nothing to learn from; "
            "use larger windows, or gaps that hide another part of the points"
        )

    def _anywhere(self, generator: np.random.Generator) -> tuple[int | slice, ...]:
        at: list[int | slice] = [slice(None)]
        at += [int(generator.integers(n)) for n in self._batch]
        for axis, dim in enumerate(self.layout.dims, start=1 + len(self._batch)):
            cells = self.layout.window.get(dim, self._observed.shape[axis])
            first = int(generator.integers(self._observed.shape[axis] - cells + 1))
            at.append(slice(first, first + cells))
        return tuple(at)

    def _arrays(
        self,
        seen: np.ndarray,
        truth: np.ndarray,
        sought: np.ndarray,
        first: np.ndarray | None,
        covariates: Sequence[np.ndarray],
        generator: np.random.Generator,
    ) -> Sample:
        if self.noise:
            seen = seen + self.noise * generator.standard_normal(seen.shape, dtype="float32")
        entries = Entries(len(seen), self.first, first is not None, self._own)
        window = np.stack([*seen, *(() if first is None else first), *covariates]).astype("float32")[None]
        made = inputs_of(window, entries, self.layout, self.initial, self.time)
        arrays = {name: array[0] for name, array in made._asdict().items() if array is not None}
        arrays["target"] = to_channels(np.where(sought, truth, 0), self.layout)
        arrays["sought"] = to_channels(sought, self.layout)
        return arrays


def one_each(gaps: GapPattern | Sequence[GapPattern | None], count: int) -> list[GapPattern | None]:
    """A gap pattern for each of `count` variables or sensors.

    Raises
    ------
    DataError
        If there are more or fewer of them.
    """
    patterns: list[GapPattern | None] = list(gaps) if isinstance(gaps, Sequence) else [gaps] * count
    if len(patterns) != count:
        raise DataError(
            f"got {len(patterns)} gap patterns, expected {count}: one for each variable or sensor; "
            "give as many, or one pattern for all"
        )
    return patterns
