"""Training samples: windows of a data set with their observations and their target."""

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

    A sample is a pair of observations and a target. There are four ways to obtain it:

    - observations and truth: the target is the truth;
    - a complete truth and gap patterns: the observations are the truth at the points that a new random
      pattern leaves;
    - observations alone: a new random pattern hides some of them, which are the target;
    - a first guess: pairs that were drawn beforehand, for which the first guess was computed.

    Parameters
    ----------
    observed : DataArray, dims ``(variable, *batch, *layout.dims)``
        Normalised observations, NaN in the gaps.
    truth : DataArray, optional
        Normalised truth on the same cells, NaN where it is unknown.
    gaps : GapPattern or sequence of GapPattern, optional
        Pattern that hides a part of `observed`, or one for each of its entries, None to hide nothing.
    layout : Layout
        Layout of a sample, which is a window.
    noise : float
        Standard deviation of the noise added to the observations, in normalised units.
    initial : {"zero", "observed", "linear"}
        Initial state; see :func:`da4dvar.fields.initial.start`.
    time : str
        Name of the time dimension.
    first_guess : DataArray, optional
        Initial state on the cells of `observed`, NaN where it is unknown.
    hidden : bool
        Whether the target is restricted to unobserved cells if there is a truth.
    covariates : Dataset, optional
        Covariates, normalised and complete, each over some of the dimensions of `observed`.
    first : sequence of int, optional
        If the entries of `observed` are sensors, the index of the first sensor of each state variable. The
        initial state is made from it, and it serves as truth if none is given.

    Raises
    ------
    DataError
        If there is neither a truth nor a pattern, a window is longer than the data, the truth has other
        cells, or the number of patterns is not that of the entries.

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
            raise DataError("there is nothing to learn from; pass a truth, or gaps to hide points with")
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
        # Views: a topography is kept once, not once for each day.
        self._covariates = [
            given[n].set_dims(cell.sizes).transpose(*order[1:]).values for n in self.covariates or ()
        ]

    def complete(self, generator: np.random.Generator, most: int) -> np.ndarray:
        """Draw complete windows of the truth without replacement.

        Parameters
        ----------
        generator : numpy.random.Generator
            Random number generator.
        most : int
            Largest number of windows.

        Returns
        -------
        array, shape ``(window, channel, *axes)``
            Normalised truth.

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
                raise DataError("the truth has gaps; leave out prior_steps, or use a complete truth")
            found.append(to_channels(window, self.layout))
        return np.stack(found)

    def draw(self, generator: np.random.Generator, tries: int = 200) -> Sample:
        """Draw one sample, whose arrays have no batch axis.

        Parameters
        ----------
        generator : numpy.random.Generator
            Random number generator.
        tries : int
            Largest number of windows to try.

        Returns
        -------
        dict
            ``y`` and ``mask`` (observations and where they are), ``x0``, ``target`` and ``sought`` (where the
            target enters the loss); ``covariates`` if there are any.

        Raises
        ------
        DataError
            If none of the windows has both an observation and a target.
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
            f"none of {tries} random windows has both an observation and a target; "
            "use larger windows, or gaps that hide another fraction of the points"
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
    """Return a list of `count` gap patterns, one for each variable or sensor.

    Raises
    ------
    DataError
        If a sequence of another length is given.
    """
    patterns: list[GapPattern | None] = list(gaps) if isinstance(gaps, Sequence) else [gaps] * count
    if len(patterns) != count:
        raise DataError(
            f"got {len(patterns)} gap patterns, expected {count}, one for each variable or sensor; "
            "pass that number, or one pattern for all"
        )
    return patterns
