"""Gap patterns: which cells of a complete field an instrument would have seen.

Every pattern has one method, ``draw(generator, sizes)``: an array of bool, true where observed,
with an axis for each entry of ``sizes``, in that order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, RecipeError
from da4dvar.layout import Layout


class GapPattern(Protocol):
    """What draws the observed cells of a field: any object with this one method.

    Examples
    --------
    >>> class EveryOther:
    ...     def draw(self, generator, sizes):
    ...         return np.indices(tuple(sizes.values())).sum(0) % 2 == 0
    >>> pattern: GapPattern = EveryOther()
    >>> pattern.draw(np.random.default_rng(0), {"lat": 2, "lon": 3})
    array([[ True, False,  True],
           [False,  True, False]])
    """

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells, an axis for each of `sizes`.

        Parameters
        ----------
        generator : numpy.random.Generator
            What chance is taken from.
        sizes : mapping of str to int
            Cells along each dimension, in the order of the axes.

        Returns
        -------
        array of bool
            True where observed.

        Raises
        ------
        RecipeError
            If a dimension is missing that the pattern needs, or is too short for it.
        """
        ...


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise RecipeError(f"fraction of observed cells is {fraction}, expected above 0 and up to 1")


def _check_dims(wanted: tuple[str, ...], sizes: Mapping[str, int], pattern: str) -> None:
    for dim in wanted:
        if dim not in sizes:
            raise RecipeError(
                f"gaps of kind {pattern!r} need a dimension {dim!r}; there are {', '.join(sizes)}"
            )


class Random:
    """Cells seen independently of each other.

    Parameters
    ----------
    fraction : float
        Part of the cells that is observed.

    Raises
    ------
    RecipeError
        If the fraction is not above 0 and up to 1.

    Examples
    --------
    >>> observed = Random(0.3).draw(np.random.default_rng(0), {"lat": 100, "lon": 100})
    >>> float(observed.mean().round(2))
    0.3
    """

    def __init__(self, fraction: float) -> None:
        _check_fraction(fraction)
        self.fraction = fraction

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        return generator.random(tuple(sizes.values())) < self.fraction


class Blocks:
    """All seen but for boxes of one size, thrown until few enough cells are left.

    Parameters
    ----------
    fraction : float
        Part of the cells that is observed, reached within one block.
    size : mapping of str to int
        Cells of a block along a dimension; a dimension without one is hidden whole.

    Raises
    ------
    RecipeError
        If the fraction is not above 0 and up to 1, or a block has no cells.

    Examples
    --------
    >>> observed = Blocks(0.8, {"lat": 5}).draw(np.random.default_rng(0), {"lat": 50, "lon": 2})
    >>> bool((observed[:, 0] == observed[:, 1]).all())  # without a size along lon, both are hidden at once
    True
    """

    def __init__(self, fraction: float, size: Mapping[str, int]) -> None:
        _check_fraction(fraction)
        for dim, cells in size.items():
            if cells < 1:
                raise RecipeError(f"blocks have {cells} cells along {dim!r}, expected 1 or more")
        self.fraction, self.size = fraction, dict(size)

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        _check_dims(tuple(self.size), sizes, "blocks")
        observed = np.ones(tuple(sizes.values()), dtype=bool)
        left = observed.size
        # Of none at all, nothing is thrown.
        while left / max(1, observed.size) > self.fraction:
            box = []
            for dim, cells in sizes.items():
                length = min(self.size.get(dim, cells), cells)
                # A block may hang over an edge, so that cells there are hidden as often as others.
                start = generator.integers(1 - length, cells) if length < cells else 0
                box.append(slice(max(start, 0), start + length))
            left -= int(np.count_nonzero(observed[tuple(box)]))
            observed[tuple(box)] = False
        return observed


class Tracks:
    """Straight lines across the field, a few at each time, like those under a satellite.

    Parameters
    ----------
    fraction : float
        Part of the cells that is observed, on average.
    time : str
        The dimension along which tracks are drawn anew.
    along, across : str
        The dimensions of the field: a track has one cell in every row of `along`.
    slope : (float, float)
        Least and most cells of `across` that a track moves in a row, to either side.

    Raises
    ------
    RecipeError
        If the fraction is not above 0 and up to 1, or the slopes are no range.

    Examples
    --------
    >>> sizes = {"time": 200, "lat": 32, "lon": 32}
    >>> float(Tracks(0.05).draw(np.random.default_rng(0), sizes).mean().round(2))
    0.05
    """

    def __init__(
        self,
        fraction: float,
        time: str = "time",
        along: str = "lat",
        across: str = "lon",
        slope: tuple[float, float] = (0.2, 0.6),
    ) -> None:
        _check_fraction(fraction)
        if len(slope) != 2 or not 0 <= slope[0] <= slope[1]:
            raise RecipeError(f"slope of tracks is {slope}, expected the least and the most, from 0 up")
        self.fraction, self.time, self.along, self.across = fraction, time, along, across
        self.slope = (float(slope[0]), float(slope[1]))

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        _check_dims((self.time, self.along, self.across), sizes, "tracks")
        steps, rows, columns = (sizes[d] for d in (self.time, self.along, self.across))
        others = {d: n for d, n in sizes.items() if d not in (self.time, self.along, self.across)}
        fields = steps * int(np.prod(list(others.values()), dtype=int))
        observed = np.zeros((fields, rows, columns), dtype=bool)
        # Tracks start as far outside as the steepest can reach, so that every cell is as likely.
        margin = self.slope[1] * rows / 2
        rate = -np.log1p(-min(self.fraction, 0.999))  # tracks cross, and a cell counts once
        number = generator.poisson(rate * (columns + 2 * margin), size=fields)
        which = np.repeat(np.arange(fields), number)
        slopes = generator.uniform(*self.slope, which.size) * generator.choice([-1, 1], which.size)
        centre = generator.uniform(-margin, columns + margin, which.size)
        row = np.arange(rows)
        column = np.floor(centre[:, None] + slopes[:, None] * (row - (rows - 1) / 2)).astype(int)
        track, row_of = np.nonzero((column >= 0) & (column < columns))
        observed[which[track], row_of, column[track, row_of]] = True
        drawn = (*others, self.time, self.along, self.across)
        observed = observed.reshape([sizes[d] for d in drawn])
        return observed.transpose([drawn.index(d) for d in sizes])


class Network:
    """Instruments that report every few steps, other ones each time.

    Parameters
    ----------
    every : int
        Steps from one report to the next; the first step has one.
    number : int
        Components seen in a report, drawn without replacement.
    time, component : str
        The dimensions of both.

    Raises
    ------
    RecipeError
        If a number is below 1.

    Examples
    --------
    >>> observed = Network(every=4, number=2).draw(np.random.default_rng(0), {"time": 9, "component": 5})
    >>> observed.sum(1)
    array([2, 0, 0, 0, 2, 0, 0, 0, 2])
    """

    def __init__(
        self, every: int = 4, number: int = 20, time: str = "time", component: str = "component"
    ) -> None:
        if every < 1 or number < 1:
            raise RecipeError(f"every is {every} and number {number}, expected 1 or more of both")
        self.every, self.number, self.time, self.component = every, number, time, component

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        _check_dims((self.time, self.component), sizes, "network")
        if self.number > sizes[self.component]:
            raise RecipeError(
                f"gaps: {self.number} components are to be seen, "
                f"but {self.component!r} has {sizes[self.component]}"
            )
        drawn = (*(d for d in sizes if d != self.component), self.component)
        lottery = generator.random([sizes[d] for d in drawn]).argsort(-1).argsort(-1)
        reports = np.arange(sizes[self.time]) % self.every == 0
        on_time = reports.reshape([-1 if d == self.time else 1 for d in drawn])
        observed: np.ndarray = (lottery < self.number) & on_time
        return observed.transpose([drawn.index(d) for d in sizes])


class Transplanted:
    """Real masks, taken from another place or time.

    Parameters
    ----------
    masks : DataArray of bool
        True where observed. Dimensions that a drawn field does not have are samples to choose
        from; along the others a random piece is cut. Where the masks are shorter in `time` than
        the field, pieces are joined.
    time : str
        The dimension along which pieces may be joined.
    flip : bool
        Whether pieces are mirrored at random, along every dimension.
    part : float
        Part of the times that get the transplanted gaps, in one run of steps; elsewhere all is
        seen. Data that are sparse to begin with want less than 1, or nothing would be left.

    Raises
    ------
    RecipeError
        If the part is not above 0 and up to 1.
    DataError
        If there are no masks.

    Examples
    --------
    >>> cloud = xr.DataArray([[True, False, True, True]], dims=("sample", "lon"))
    >>> Transplanted(cloud).draw(np.random.default_rng(0), {"time": 2, "lon": 4})
    array([[ True, False,  True,  True],
           [ True, False,  True,  True]])
    """

    def __init__(
        self, masks: xr.DataArray, time: str = "time", flip: bool = False, part: float = 1.0
    ) -> None:
        _check_fraction(part)
        if not masks.size:
            raise DataError("the masks to transplant are empty; select some")
        self.masks, self.time, self.flip, self.part = masks, time, flip, part

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        _check_dims(tuple(d for d in (self.time,) if d in self.masks.dims), sizes, "transplanted")
        samples = [d for d in self.masks.dims if d not in sizes]
        dims = [d for d in sizes if d in self.masks.dims]
        pieces, length = [], 0
        wanted = sizes.get(self.time, 1)
        while length < wanted:
            pieces.append(self._piece(generator, sizes, samples, dims, wanted - length))
            length += pieces[-1].shape[dims.index(self.time)] if self.time in dims else wanted
        observed = np.concatenate(pieces, axis=dims.index(self.time)) if len(pieces) > 1 else pieces[0]
        observed = observed.reshape([sizes[d] if d in dims else 1 for d in sizes])
        if self.part < 1 and self.time in sizes:
            run = max(1, round(self.part * wanted))
            start = generator.integers(0, wanted - run + 1)
            keep = np.ones(wanted, dtype=bool)
            keep[start : start + run] = False
            observed = observed | keep.reshape([-1 if d == self.time else 1 for d in sizes])
        return np.broadcast_to(observed, tuple(sizes.values()))

    def _piece(
        self,
        generator: np.random.Generator,
        sizes: Mapping[str, int],
        samples: list[Hashable],
        dims: list[str],
        steps: int,
    ) -> np.ndarray:
        at: dict[Hashable, int | slice] = {d: int(generator.integers(self.masks.sizes[d])) for d in samples}
        for dim in dims:
            here = self.masks.sizes[dim]
            cells = min(steps, here) if dim == self.time else sizes[dim]
            if cells > here:
                raise DataError(
                    f"masks have {here} cells along {dim!r}, but {cells} are needed; "
                    "use larger masks or a smaller window"
                )
            start = int(generator.integers(here - cells + 1))
            at[dim] = slice(start, start + cells)
        piece = self.masks.isel(at).transpose(*dims).values.astype(bool)
        if self.flip:
            axes = [a for a in range(piece.ndim) if generator.random() < 0.5]
            piece = np.flip(piece, tuple(axes))
        return piece


class Mixture:
    """One of several patterns, chosen anew for every field.

    Parameters
    ----------
    patterns : sequence of GapPattern
    weights : sequence of float, optional
        How often each is chosen; equally often if not given.

    Raises
    ------
    RecipeError
        If there is no pattern, or the weights do not fit them.

    Examples
    --------
    >>> pattern = Mixture([Random(1.0), Blocks(0.5, {"lon": 2})], weights=[3, 1])
    >>> generator = np.random.default_rng(0)
    >>> whole = [pattern.draw(generator, {"lon": 4}).all() for _ in range(1000)]
    >>> bool(0.7 < np.mean(whole) < 0.8)
    True
    """

    def __init__(self, patterns: list[GapPattern], weights: list[float] | None = None) -> None:
        weights = [1.0] * len(patterns) if weights is None else list(weights)
        if not patterns:
            raise RecipeError("a mixture of no gap patterns; give at least one")
        if len(weights) != len(patterns) or min(weights) < 0 or sum(weights) == 0:
            raise RecipeError(f"weights {weights} do not fit {len(patterns)} gap patterns")
        self.patterns = patterns
        self.weights = np.array(weights) / sum(weights)

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Observed cells; see :meth:`GapPattern.draw`."""
        chosen = generator.choice(len(self.patterns), p=self.weights)
        return self.patterns[chosen].draw(generator, sizes)


def own_gaps(y: xr.DataArray, layout: Layout, time: str) -> Transplanted:
    """The gaps that a data set has itself, to be transplanted to other times of it.

    Data of which less than half is seen get them on a third of the times, so that enough is left
    to learn from.
    """
    observed = y.notnull().any("variable")
    cells = observed.any(time) if time in observed.dims else observed
    fraction = float(observed.sum() / max(1, int(cells.sum()) * y.sizes.get(time, 1)))
    batch = [d for d in observed.dims if d not in layout.dims]
    masks = observed.stack(_series=batch) if batch else observed
    return Transplanted(masks, time=time, part=1.0 if fraction > 0.5 else 1 / 3)
