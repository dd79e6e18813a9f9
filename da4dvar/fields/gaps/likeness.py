"""Observed points hidden in the shapes of the gaps, and what makes a gap hard to fill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import gap_length

# The longest gap that is hidden, as a fraction of the record: beyond it, too little of a series is left. Of
# MANY cells, some may be hidden for most of the record.
LONGEST, LONGEST_OF_MANY, MANY = 0.3, 0.9, 100
# One shape holds at most this fraction of the points of a draw, so that a draw has several.
LARGEST_SHAPE = 0.05
TRIES = 4000
# Shapes that are hidden at least of each octave of gap lengths that has as many gaps, and the fraction of the
# points to hide that these may add.
OF_OCTAVE, ADDED = 8, 0.4
# Smallest number of places among which a hidden gap is moved at random, of a series and of one cell of many.
CLOSEST, CLOSE = 10, 3
# Missing values among which one is looked for whose cell was observed at a given time, and the observed
# fraction below which a time is not chosen more often still.
DRAWS, LEAST_LEFT = 100, 0.1
# Observed fraction below which data are sparse.
SPARSE = 0.25
# Distance, in steps or cells, that stands for no observation at all, and the number of observations of a cell
# from which its mean is known well.
NEVER, KNOWN = 1e6, 20
# Edges of the classes of each property, finer for what is hard; those for what a time or a cell shares;
# and the fewest hidden points that represent a class.
QUANTILES, COARSE, FEWEST = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98), (0.05, 0.15, 0.3, 0.45, 0.6), 10
# Rounds of raking, its largest factor, and the largest share of the weight of one shape among many.
ROUNDS, MOST_WEIGHT, MOST_SHARE = 20, 20.0, 0.04


@dataclass(frozen=True)
class Hardness:
    """Properties of every value of a variable that determine how hard it is to estimate.

    Attributes
    ----------
    length : array of int
        Length of the gap that contains the value, in steps; 0 where observed.
    ends : array of bool
        Whether that gap is open: whether it reaches the first or the last time of the record.
    distance : array of float
        Distance to the nearest observation in space and time, in correlation lengths; 0 where observed.
    bridge : array of float
        a b / (a + b), where a and b are the steps to the observations of the same cell before and after: the
        variance of a Brownian bridge at the value. At an open end, the steps to the only observation.
    apart : array of float
        Distance to the nearest observation at the same time, in cells; very large if there is none.
    bare : array of float
        Fraction of the values that are missing at the same time.
    known : array of int
        Number of observations of the same cell, at most 20: more hardly tell its mean and season better.
    when : array of int
        Index of the time.
    """

    length: np.ndarray
    ends: np.ndarray
    distance: np.ndarray
    bridge: np.ndarray
    apart: np.ndarray
    bare: np.ndarray
    known: np.ndarray
    when: np.ndarray

    @property
    def to_fill(self) -> np.ndarray:
        """Whether a value is filled; cells without any observation, such as land, are not."""
        out: np.ndarray = (self.length > 0) & np.isfinite(self.distance) & (self.bridge < NEVER / 4)
        return out

    def beyond(self, longest: int, farthest: float) -> np.ndarray:
        """Return true at values in gaps that are longer, or farther from observations, than the given."""
        far = np.isfinite(self.distance) & (self.distance > farthest + 1e-9)
        out: np.ndarray = (self.length > longest) | far
        return out


@dataclass(frozen=True)
class Reach:
    """Distances over which a variable remains correlated.

    Attributes
    ----------
    time : float
        In steps.
    space : dict of str to float
        In cells, for each dimension of space along which neighbouring cells are neighbours in space; empty
        for stations.
    """

    time: float
    space: dict[str, float]


def hardness_of(observed: xr.DataArray, time: str, reach: Reach) -> Hardness:
    """Return the gap lengths and distances to observations of a variable.

    Parameters
    ----------
    observed : DataArray of bool
        True where there is an observation.
    time : str
        Name of the time dimension.
    reach : Reach
        Units of the distances.

    Returns
    -------
    Hardness
        Arrays with the dimensions of `observed`.

    Examples
    --------
    >>> seen = xr.DataArray([True, False, False, True, False], dims="time")
    >>> found = hardness_of(seen, "time", Reach(2.0, {}))
    >>> found.length, found.ends, found.distance
    (array([0, 2, 2, 0, 1]), array([False, False, False, False,  True]), array([0. , 0.5, 0.5, 0. , 0.5]))
    """
    length = gap_length(observed, time).transpose(*observed.dims).values
    seen = observed.values
    axis = observed.get_axis_num(time)
    before = np.maximum.accumulate(seen, axis=axis)
    after = np.flip(np.maximum.accumulate(np.flip(seen, axis), axis=axis), axis)
    scales = {time: reach.time, **reach.space}
    return Hardness(
        length,
        ~seen & ~(before & after),
        _distance(observed, scales),
        _bridge(seen, axis),
        np.nan_to_num(_distance(observed, dict.fromkeys(reach.space, 1.0)), posinf=NEVER),
        _along(1 - seen.mean(tuple(k for k in range(seen.ndim) if k != axis)), axis, seen.shape),
        np.broadcast_to(np.minimum(seen.sum(axis, keepdims=True), KNOWN), seen.shape),
        _along(np.arange(seen.shape[axis]), axis, seen.shape),
    )


def _along(values: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(values.reshape([-1 if k == axis else 1 for k in range(len(shape))]), shape)


def _bridge(seen: np.ndarray, axis: int) -> np.ndarray:
    lines = np.moveaxis(seen, axis, -1)
    steps = np.arange(lines.shape[-1])
    before = steps - np.maximum.accumulate(np.where(lines, steps, -NEVER), axis=-1)
    after = np.minimum.accumulate(np.where(lines, steps, NEVER)[..., ::-1], axis=-1)[..., ::-1] - steps
    variance: np.ndarray = before * after / np.maximum(before + after, 1)
    return np.moveaxis(variance, -1, axis)


def _distance(observed: xr.DataArray, scales: dict[str, float]) -> np.ndarray:
    core = [d for d in observed.dims if str(d) in scales]
    if not core:
        return np.where(observed.values, 0.0, np.inf)
    others = [d for d in observed.dims if str(d) not in scales]
    seen = observed.transpose(*others, *core)
    blocks = seen.values.reshape(-1, *(seen.sizes[d] for d in core))
    out = np.full(blocks.shape, np.inf)
    for block, distance in zip(blocks, out, strict=True):
        if block.any():
            distance[...] = distance_transform_edt(~block, sampling=[1 / scales[str(d)] for d in core])
    found: np.ndarray = seen.copy(data=out.reshape(seen.shape)).transpose(*observed.dims).values
    return found


def shapes_like_gaps(
    observed: xr.DataArray, time: str, fraction: float, generator: np.random.Generator
) -> np.ndarray:
    """Choose observed points to hide, in shapes that are copies of gaps.

    A missing value is drawn at random, so that a gap is chosen in proportion to its size. The gap that holds
    it, with what is missing around it at the same time, is moved to other times at which its cell was
    observed. A gap that is open at an end of the record is moved to an end of the record. In cells that are
    hardly ever observed, half of what is observed is hidden, as such cells may differ from all others. In
    sparse data, such as tracks, the observations around the missing value at its own time are hidden instead.
    In the end, more gaps of series are moved of the octaves of lengths of which few were chosen, so that the
    errors of short gaps are known even if nearly all missing values are in long ones. In fields, a shape
    holds gaps of many lengths.

    Parameters
    ----------
    observed : DataArray of bool
        True where there is an observation.
    time : str
        Name of the time dimension.
    fraction : float
        Approximate fraction of the observed points to hide.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array of int
        Number of the shape in which a point is hidden, and -1 for the points that are not, with the
        dimensions of `observed`.

    Raises
    ------
    DataError
        If nothing can be hidden.

    Examples
    --------
    >>> seen = xr.DataArray(np.arange(300) % 10 > 2, dims="time")
    >>> shape = shapes_like_gaps(seen, "time", 0.1, np.random.default_rng(0))
    >>> bool(((shape >= 0) & ~seen.values).any()), bool(0.08 < (shape >= 0).mean() / seen.mean() < 0.13)
    (False, True)
    """
    others = [d for d in observed.dims if d != time]
    lines = observed.transpose(time, *others)
    seen = lines.values.reshape(lines.shape[0], *lines.shape[1:])
    steps, wanted = len(seen), fraction * seen.sum()
    shape = np.full(seen.shape, -1, dtype="int32")
    missing = np.argwhere(~seen & seen.any(0))
    longest = max(1, int((LONGEST_OF_MANY if seen[0].size >= MANY else LONGEST) * steps))
    most = max(1.0, LARGEST_SHAPE * wanted)
    # Where little is observed, a gap that is moved would leave a hole without any observation.
    sparse = bool(others) and seen[:, seen.any(0)].mean() < SPARSE
    chance = _times_of(missing, seen)
    count = seen.sum(0)
    # Cells that are hardly ever observed, of which something can be hidden.
    scarce = (
        (count > 1) & (count < SPARSE * count.sum() / max(1, (count > 0).sum())) & bool(others and not sparse)
    )
    observed_at = np.asarray(seen.reshape(steps, -1).any(1))
    # Series, and fields that are mostly lost as a whole; where clouds hide more, they make long gaps anyway.
    apart = len(missing) > 0 and np.mean(~observed_at[missing[:, 0]]) > 0.5
    octave, gaps = _octaves(gap_length(observed, time).transpose(*lines.dims).values, missing)
    chosen = np.zeros_like(gaps)
    left: list[np.ndarray] | None = None
    hidden, number, limit = 0, 0, wanted
    for _ in range(TRIES if len(missing) else 0):
        pool = missing
        if hidden >= wanted:
            if left is None:
                few = np.maximum(np.minimum(gaps, OF_OCTAVE) - chosen, 0) * (seen.ndim < 3)
                # About half of the gaps find no place.
                left = [missing[octave == k] for k in np.repeat(np.arange(few.size), 2 * few)]
                limit = hidden + ADDED * wanted
            if not left or hidden >= limit:
                break
            pool = left.pop(0)
        near = int(np.searchsorted(chance, generator.random()))
        picked = generator.integers(len(pool), size=DRAWS)
        drawn = pool[picked]
        rare = bool(scarce[tuple(drawn[0, 1:])])
        # At a time at which much is missing, few cells are left to hide.
        choice = seen[(near, *drawn[:, 1:].T)].argmax() if others and not (sparse or rare) else 0
        at, *cell = drawn[choice]
        line = seen[(slice(None), *cell)]
        half = generator.permutation(np.flatnonzero(line))[::2] if rare else None
        moved: tuple[slice | None, slice] | None = (None, slice(0, steps) if rare else slice(at, at + 1))
        if not (sparse or rare):
            # A copy next to what was lost as a whole would be one longer gap.
            free = observed_at & (shape[(slice(None), *cell)] < 0) if apart and not observed_at[at] else None
            moved = _moved(line, int(at), near, longest, generator, free)
        if moved is None:
            continue
        source, target = moved
        for halvings in range(int(generator.integers(4)), 8):
            box = tuple(_around(c, n, halvings) for c, n in zip(cell, seen.shape[1:], strict=True))
            here = (slice(target.start, target.stop), *box)
            new = seen[here] & (shape[here] < 0)
            if half is not None:
                new &= np.isin(np.arange(steps), half).reshape(-1, *[1] * len(box)) & scarce[box]
            elif source is not None:
                new &= ~seen[(source, *box)]
            if others:  # a cell without any observation is not filled, so that its error is not that of a gap
                new &= count[box] > new.sum(0)
            if new.sum() <= most or not cell:
                break
        if new.any():
            shape[here][new] = number
            if others:
                count[box] -= new.sum(0)
            hidden, number = hidden + int(new.sum()), number + 1
            if left is None:
                chosen[octave[picked[choice]]] += 1
    if not number:
        raise DataError(
            f"variable {observed.name!r} has {int(seen.sum())} observed points, too few to hide some and "
            "score methods with them; choose a method yourself (da4dvar baseline --method linear)"
        )
    found: np.ndarray = lines.copy(data=shape).transpose(*observed.dims).values
    return found


def _octaves(length: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the octave of the gap length of each missing value, and the number of gaps in each octave."""
    own = length[tuple(missing.T)]
    octave = np.log2(np.maximum(own, 1)).astype(int)
    return octave, np.round(np.bincount(octave, 1 / np.maximum(own, 1))).astype(int)


def _times_of(missing: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the cumulative chance of each time: how much is missing, more where less is left to hide."""
    share = np.bincount(missing[:, 0], minlength=len(seen)) / max(1, len(missing))
    left = seen.reshape(len(seen), -1).sum(1) / max(1, seen.any(0).sum())
    chance: np.ndarray = np.cumsum(share / np.maximum(left, LEAST_LEFT))
    chance /= max(chance[-1], 1e-300)
    return chance


def _moved(
    line: np.ndarray,
    at: int,
    near: int,
    longest: int,
    generator: np.random.Generator,
    free: np.ndarray | None = None,
) -> tuple[slice, slice] | None:
    """Return the times of the gap of a series around `at`, and observed times near another, if any."""
    seen = np.flatnonzero(line)
    k = int(np.searchsorted(seen, at))
    first, last = (int(seen[k - 1]) + 1 if k else 0), (int(seen[k]) if k < seen.size else line.size)
    length = min(last - first, longest)
    count = np.append(0, np.cumsum(line))
    inside = count[length:] - count[:-length]  # observed points in each window of that length
    if first == 0 or last == line.size:
        places = np.array([0, line.size - length])
    else:
        places = np.arange(1, max(1, line.size - length))
    # Where it was observed half of the time or, in sparse data, at all.
    found = [places[inside[places] >= least] for least in (length / 2, 1)]
    places = found[0] if found[0].size else found[1]
    if free is not None and first and last < line.size:
        # Apart from other gaps and copies, while there is room.
        count = np.append(0, np.cumsum(free))
        alone = places[count[places + length + 1] - count[places - 1] == length + 2]
        places = alone if alone.size else places
    if not places.size:
        return None
    # Hidden at the times at which much is missing, as the weather of other times may be easier.
    # The fewer gaps a series has, the farther its copies are spread, or they would merge to long ones.
    gaps = np.count_nonzero(np.diff(seen) > 1) + (seen[0] > 0) + (seen[-1] < line.size - 1)
    nearby = CLOSE if free is None else max(CLOSEST, line.size // (3 * gaps))
    closest = np.argsort(np.abs(places + length // 2 - near), kind="stable")[:nearby]
    target = int(places[generator.choice(closest)])
    start = first if last < line.size else last - length
    source = slice(start, start + length)
    # A gap at one end that moves to the other is reversed, so that its open side stays at the end.
    if (first == 0) != (target == 0) and (first == 0 or last == line.size):
        source = slice(start + length - 1, start - 1 if start else None, -1)
    return source, slice(target, target + length)


def _around(centre: int, size: int, halvings: int) -> slice:
    width = max(1, -(-size // 2**halvings))
    start = int(np.clip(centre - width // 2, 0, size - width))
    return slice(start, start + width)


def weights_like_gaps(hidden: Hardness, missing: Hardness, at: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """w = Π_k (share of the missing values in the class of k) / (weighted share of the hidden points in it).

    The product is over the properties of :class:`Hardness` other than the distance, with factors that are
    repeated until all shares agree (raking; Deming and Stephan, 1940). With these weights, hidden points
    represent the values that are to be filled.

    Parameters
    ----------
    hidden : Hardness
        Of the data without the hidden points.
    missing : Hardness
        Of the data as they are.
    at : array of bool
        True at the hidden points.
    shape : array of int, shape (point,)
        Number of the shape in which each of them is hidden.

    Returns
    -------
    array of float, shape (point,)
        Weights of the hidden points, with mean 1.
    """
    wanted = missing.to_fill
    w = np.ones(int(at.sum()))
    if not wanted.any():
        return w
    pairs = []
    for name in ("when", "length", "bridge", "apart", "bare", "known", "ends"):
        # How much is missing at a time is a property of the weather, which hiding points does not change.
        found = missing if name == "bare" else hidden
        theirs, own = getattr(missing, name)[wanted], getattr(found, name)[at]
        edges = np.unique(
            np.quantile(theirs.astype(float), COARSE if name in ("bare", "known") else QUANTILES)
        )
        pairs.append((np.searchsorted(edges, theirs), np.searchsorted(edges, own), edges.size + 1))
    for _ in range(ROUNDS):
        for theirs, own, number in pairs:
            share = np.bincount(theirs, minlength=number) / theirs.size
            points = np.bincount(own, minlength=number)
            present = np.bincount(own, w, minlength=number) / w.sum()
            # A class with next to no hidden point counts with the nearest class that has some.
            rich = points >= FEWEST
            if rich.sum() < 2:
                continue
            nearest = distance_transform_edt(~rich, return_distances=False, return_indices=True)[0]
            factor = np.bincount(nearest, share, minlength=number) / np.maximum(
                np.bincount(nearest, present, minlength=number), 1e-12
            )
            w = w * factor[nearest[own]]
        w = np.clip(w / w.mean(), 1 / MOST_WEIGHT, MOST_WEIGHT)
        w = _capped(w, shape)
    scaled: np.ndarray = w / w.mean()
    return scaled


def _capped(w: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return weights of which one shape has a limited share: its errors are alike, and must not decide."""
    number = np.unique(shape).size
    for _ in range(ROUNDS):
        share = np.bincount(shape, w) / w.sum()
        w = w * np.minimum(1, max(MOST_SHARE, 2 / number) / np.maximum(share, 1e-12))[shape]
    return w


def reach_of(values: np.ndarray, dims: tuple[str, ...], time: str, space: tuple[str, ...]) -> Reach:
    """Return the lags at which the correlation of a variable falls below 1/e, in time and in space.

    Parameters
    ----------
    values : array
        Values with NaN in the gaps.
    dims : tuple of str
        Names of the dimensions of `values`.
    time : str
        Name of the time dimension.
    space : tuple of str
        Dimensions along which neighbouring cells are neighbours in space.

    Returns
    -------
    Reach
    """
    count = np.maximum(np.isfinite(values).sum(dims.index(time), keepdims=True), 1)
    anomaly = values - np.nansum(values, axis=dims.index(time), keepdims=True) / count
    lags = {d: _lag(np.moveaxis(anomaly, dims.index(d), 0)) for d in (time, *space)}
    return Reach(lags.pop(time), lags)


def _lag(lines: np.ndarray) -> float:
    lag, last = 1, 1.0
    while lag < len(lines) // 2:
        first, second = lines[:-lag], lines[lag:]
        both = np.isfinite(first) & np.isfinite(second)
        if both.sum() > 30:
            a, b = first[both], second[both]
            norm = np.sqrt(np.mean(a * a) * np.mean(b * b))
            last = float(np.mean(a * b) / norm) if norm > 0 else 1.0
            if last < np.exp(-1):
                break
        lag = lag + 1 if lag < 8 else lag * 2
    return float(lag)
