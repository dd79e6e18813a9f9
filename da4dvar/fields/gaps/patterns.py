"""Gap patterns: random masks of the cells that an instrument observes.

Every pattern has one method, ``draw(generator, sizes)``, which returns an array of bool that is true where
observed, with one axis for each entry of ``sizes``, in that order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

import numpy as np
import xarray as xr

from da4dvar.errors import DataError, RecipeError
from da4dvar.layout import Layout


class GapPattern(Protocol):
    """Protocol of an object that draws the observed cells of a field.

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
            If a dimension that the pattern needs is missing or too short.
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
    """Cells observed independently of each other.

    Parameters
    ----------
    fraction : float
        Fraction of the cells that is observed.

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
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
        return generator.random(tuple(sizes.values())) < self.fraction


class Blocks:
    """Boxes of one size, hidden at random places until the observed fraction is reached.

    Parameters
    ----------
    fraction : float
        Fraction of the cells that is observed, to within one block.
    size : mapping of str to int
        Cells of a block along each dimension. A block spans the whole of a dimension that is not given.

    Raises
    ------
    RecipeError
        If the fraction is not above 0 and up to 1, or a block has no cells.

    Examples
    --------
    >>> observed = Blocks(0.8, {"lat": 5}).draw(np.random.default_rng(0), {"lat": 50, "lon": 2})
    >>> bool((observed[:, 0] == observed[:, 1]).all())  # without a size along lon, a block spans it
    True
    """

    def __init__(self, fraction: float, size: Mapping[str, int]) -> None:
        _check_fraction(fraction)
        for dim, cells in size.items():
            if cells < 1:
                raise RecipeError(f"blocks have {cells} cells along {dim!r}, expected 1 or more")
        self.fraction, self.size = fraction, dict(size)

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
        _check_dims(tuple(self.size), sizes, "blocks")
        observed = np.ones(tuple(sizes.values()), dtype=bool)
        left = observed.size
        # A field without cells needs no blocks.
        while left / max(1, observed.size) > self.fraction:
            box = []
            for dim, cells in sizes.items():
                length = min(self.size.get(dim, cells), cells)
                # Blocks may extend beyond an edge, so that cells there are hidden as often as others.
                start = generator.integers(1 - length, cells) if length < cells else 0
                box.append(slice(max(start, 0), start + length))
            left -= int(np.count_nonzero(observed[tuple(box)]))
            observed[tuple(box)] = False
        return observed


class Tracks:
    """Straight lines across the field at each time, like the ground tracks of a satellite.

    Parameters
    ----------
    fraction : float
        Mean fraction of the cells that is observed.
    time : str
        Name of the time dimension; each time has its own tracks.
    along, across : str
        Dimensions of the field. A track has one cell in each row of `along`.
    slope : (float, float)
        Smallest and largest number of cells along `across` by which a track moves per row, to either side.

    Raises
    ------
    RecipeError
        If the fraction is not above 0 and up to 1, or `slope` is not a valid range.

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
            raise RecipeError(f"slope of tracks is {slope}, expected (smallest, largest), both 0 or more")
        self.fraction, self.time, self.along, self.across = fraction, time, along, across
        self.slope = (float(slope[0]), float(slope[1]))

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
        _check_dims((self.time, self.along, self.across), sizes, "tracks")
        steps, rows, columns = (sizes[d] for d in (self.time, self.along, self.across))
        others = {d: n for d, n in sizes.items() if d not in (self.time, self.along, self.across)}
        fields = steps * int(np.prod(list(others.values()), dtype=int))
        observed = np.zeros((fields, rows, columns), dtype=bool)
        # Tracks start as far outside as the steepest can reach, so that all cells are equally likely.
        margin = self.slope[1] * rows / 2
        rate = -np.log1p(-min(self.fraction, 0.999))  # cells where tracks cross count once
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
    """A network that reports every few steps, each time from other randomly chosen components.

    Parameters
    ----------
    every : int
        Steps between reports. The first step has a report.
    number : int
        Number of components in a report, drawn without replacement.
    time, component : str
        Names of the time and component dimensions.

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
            raise RecipeError(f"every is {every} and number {number}, expected 1 or more for both")
        self.every, self.number, self.time, self.component = every, number, time, component

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
        _check_dims((self.time, self.component), sizes, "network")
        if self.number > sizes[self.component]:
            raise RecipeError(
                f"gaps: number is {self.number}, but {self.component!r} has only "
                f"{sizes[self.component]} components; use fewer"
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
        True where observed. One entry is chosen at random along each dimension that the field lacks; along
        the other dimensions, a random piece is cut out. Where the masks are shorter than the field along
        `time`, several pieces are joined.
    time : str
        Dimension along which pieces may be joined.
    flip : bool
        Whether pieces are mirrored at random along every dimension.
    part : float
        Fraction of the times that get the transplanted gaps, in one run of steps; the other times are fully
        observed. Use less than 1 for sparse data, which would otherwise have too few observations left.

    Raises
    ------
    RecipeError
        If `part` is not above 0 and up to 1.
    DataError
        If `masks` is empty.

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
            raise DataError("masks to transplant are empty; select at least one")
        self.masks, self.time, self.flip, self.part = masks, time, flip, part

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
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
    """One of several patterns, chosen at random for each field.

    Parameters
    ----------
    patterns : list of GapPattern
        Patterns to choose from.
    weights : list of float, optional
        Relative frequency of each pattern, equal by default.

    Raises
    ------
    RecipeError
        If there are no patterns, or the weights do not match them.

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
            raise RecipeError("a mixture has no gap patterns; give at least one")
        if len(weights) != len(patterns) or min(weights) < 0 or sum(weights) == 0:
            raise RecipeError(f"weights {weights} do not fit {len(patterns)} gap patterns; give one for each")
        self.patterns = patterns
        self.weights = np.array(weights) / sum(weights)

    def draw(self, generator: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
        """Draw the observed cells; see :meth:`GapPattern.draw`."""
        chosen = generator.choice(len(self.patterns), p=self.weights)
        return self.patterns[chosen].draw(generator, sizes)


def own_gaps(y: xr.DataArray, layout: Layout, time: str) -> Transplanted:
    """Return a pattern that transplants the gaps of a data set to other times of the same data.

    If less than half of the data is observed, only a third of the times get these gaps, so that enough
    observations are left to learn from.
    """
    observed = y.notnull().any("variable")
    cells = observed.any(time) if time in observed.dims else observed
    fraction = float(observed.sum() / max(1, int(cells.sum()) * y.sizes.get(time, 1)))
    batch = [d for d in observed.dims if d not in layout.dims]
    masks = observed.stack(_series=batch) if batch else observed
    return Transplanted(masks, time=time, part=1.0 if fraction > 0.5 else 1 / 3)
