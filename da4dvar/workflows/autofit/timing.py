"""The time that methods take, and the methods that fit into the time left."""

from __future__ import annotations

import time as clocks
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import xarray as xr

from da4dvar.errors import Da4dvarError, first_line
from da4dvar.fields.bounds import Bounds
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.trials import Trial, crop_of, only
from da4dvar.workflows.candidate import Candidate

# Number of values of the part on which methods are timed first.
PROBE = 20_000
# Number of values on which a method is timed once it is fitted; fewer take hardly less time.
FITTED = 80_000
# The time of most methods grows a little less than linearly with the size of a small part.
GROWTH, MOST_GROWTH = 0.85, 3.0
# Variables of no more values than this are not timed first. The growth is measured above so many seconds.
SMALL, NOTABLE = 10_000, 0.05
# A method that seems too slow is timed again if that takes less than this share of the time left.
AGAIN = 0.2
# Smallest number of times on which a method that uses other variables is timed.
FEW_TIMES = 12
# Seconds per value of a method that is fitted first, before it is: rather too many, as the first trial shall
# leave the time to fill the file.
ASSUMED = 4e-5


def probed(
    array: xr.DataArray,
    character: Character,
    candidates: Sequence[Candidate],
    bounds: Bounds,
    clock: Clock,
    until: float,
    left_out: dict[str, str],
    seed: int,
    others: xr.Dataset,
) -> tuple[list[Candidate], dict[str, float]]:
    """Time the methods on a small part; return those that can fill the whole, and their seconds per value."""
    ready = [c for c in candidates if not c.needs or c.needs < clock.left(until)] or list(candidates)[:1]
    for candidate in candidates:
        if candidate not in ready:
            left_out[candidate.name] = f"it needs at least {candidate.needs:.0f} s"
    candidates = ready
    if array.size <= SMALL:
        return list(candidates), {}
    large = array.size > 2 * PROBE
    part = only(array, crop_of(array, character, PROBE if large else array.size // 4, seed))
    alive, rates = [], {}
    for candidate in candidates:
        if candidate.needs:  # it is timed once it is fitted
            alive.append(candidate)
            rates[candidate.name] = ASSUMED
            continue
        if candidate.others:
            rates[candidate.name] = _of_few_times(candidate, array, character.time, bounds, others)
            alive.append(candidate)
            continue
        started = clocks.monotonic()
        # What fails here may work on a larger part.
        with suppress(Da4dvarError):
            candidate.estimate(part, bounds)
        seconds = clocks.monotonic() - started
        growth = GROWTH
        if not large and seconds > NOTABLE:
            # The time of some methods grows with the square or the cube of the number of series.
            less = only(part, crop_of(part, character, part.size // 4, seed))
            started = clocks.monotonic()
            with suppress(Da4dvarError):
                candidate.estimate(less, bounds)
            if less.size < part.size:
                ratio = np.log(seconds / max(clocks.monotonic() - started, 1e-3))
                growth = float(np.clip(ratio / np.log(part.size / less.size), GROWTH, MOST_GROWTH))
        rates[candidate.name] = seconds / part.size * (array.size / part.size) ** (growth - 1)
        alive.append(candidate)
    # What is only assumed is no reason to leave a method out.
    timed = {c.name: 0.0 if c.needs else rates[c.name] for c in alive}
    return in_time(alive, array.size, max(0.5 * clock.left(), 5.0), timed, left_out), rates


def fitted(
    alive: Sequence[Candidate],
    array: xr.DataArray,
    trial: Trial,
    bounds: Bounds,
    clock: Clock,
    until: float,
    latest: float,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Fit the methods that have parameters, and leave out those that are too slow for the variable.

    Fits begin until the first share of the time allowed, and the variable must be filled by the second. If
    no method can do so, the fastest is kept.
    """
    # A trial may be a crop that is too small to tell: what is in memory is fitted as a whole.
    whole, rest = (array, trial.removed_from(array)) if array.chunks is None else (trial.seen, trial.seen)
    out: list[Candidate] = []
    slow: dict[float, Candidate] = {}
    for candidate in alive:
        if not candidate.needs:
            out.append(candidate)
            continue
        if clock.left(until) < candidate.needs and len(alive) > 1:
            left_out[candidate.name] = f"it needs at least {candidate.needs:.0f} s"
            continue
        try:
            candidate = candidate.fitted(rest, bounds)
            small = whole.isel(_around(whole)) if whole.size > PROBE else whole[:0]
            growth = (array.size / max(small.size, 1)) ** GROWTH
            seconds = _timed(candidate, small, bounds)
            if growth * seconds > max(clock.left(latest), 5.0) and seconds < AGAIN * clock.left(latest):
                # Another program may have slowed it down for a moment.
                seconds = min(seconds, _timed(candidate, small, bounds))
            seconds *= growth
        except Da4dvarError as error:
            left_out[candidate.name] = first_line(error)
            continue
        if seconds > max(clock.left(latest), 5.0):
            left_out[candidate.name] = f"about {duration(seconds)} are needed to fill the file"
            slow[seconds] = candidate
            continue
        rates[candidate.name] = seconds / array.size
        out.append(candidate)
    if slow and not out:
        seconds = min(slow)
        out = [slow[seconds]]
        rates[out[0].name] = seconds / array.size
        del left_out[out[0].name]
    return out


def _timed(candidate: Candidate, part: xr.DataArray, bounds: Bounds) -> float:
    """Return the seconds that an estimate takes; 0 for a part without values."""
    started = clocks.monotonic()
    if part.size:
        candidate.estimate(part, bounds)
    return clocks.monotonic() - started if part.size else 0.0


def _of_few_times(
    candidate: Candidate, array: xr.DataArray, time: str, bounds: Bounds, others: xr.Dataset
) -> float:
    """Return the seconds per value of a method that uses other variables.

    Its time grows with up to the cube of the number of stations, but in proportion to that of times: it is
    measured with all stations at few times.
    """
    number = min(max(FEW_TIMES, PROBE // 2 * array.sizes[time] // array.size), array.sizes[time])
    first = (array.sizes[time] - number) // 2
    few = {time: slice(first, first + number)}
    part = array.isel(few)
    started = clocks.monotonic()
    with suppress(Da4dvarError):
        candidate.estimate(part, bounds, others.isel(few))
    return (clocks.monotonic() - started) / part.size


def in_time(
    alive: list[Candidate], size: int, seconds: float, rates: Mapping[str, float], left_out: dict[str, str]
) -> list[Candidate]:
    """Leave out the methods that cannot fill the variable in some seconds, but for the fastest."""
    needed = {c.name: rates.get(c.name, 0.0) * size for c in alive}
    fits = [c for c in alive if needed[c.name] < seconds] or [min(alive, key=lambda c: needed[c.name])]
    for candidate in alive:
        if candidate not in fits:
            left_out[candidate.name] = f"about {duration(needed[candidate.name])} are needed to fill the file"
    return fits


def _around(seen: xr.DataArray) -> dict[str, slice]:
    """Return ranges of a part with about `FITTED` values, in the middle of the observations."""
    share = min(1.0, FITTED / seen.size) ** (1 / seen.ndim)
    out = {}
    for dim, n in seen.sizes.items():
        where = np.flatnonzero(seen.notnull().any([d for d in seen.dims if d != dim]).values)
        width = max(1, int(n * share))
        start = int(np.clip(where[where.size // 2] - width // 2, 0, n - width))
        out[str(dim)] = slice(start, start + width)
    return out


def duration(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
