"""Competition of methods for one variable, at points hidden from all of them, within a given time."""

from __future__ import annotations

import time as clocks
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from da4dvar.config.tables import Table
from da4dvar.errors import Da4dvarError, DataError, first_line
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.gaps.likeness import Reach
from da4dvar.progress import Progress
from da4dvar.workflows.autofit.candidates import mean_of
from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.comparison import Comparison, Residuals, compared
from da4dvar.workflows.autofit.tally import Tally
from da4dvar.workflows.autofit.trials import Trial, crop_of, only, reach_for, trial_of
from da4dvar.workflows.candidate import Candidate

# Numbers of values of the part on which methods are timed first, and of the largest trial.
PROBE, LARGEST = 20_000, 1_500_000
# Number of values on which a method is timed once it is fitted; fewer take hardly less time.
FITTED = 80_000
MOST_TRIALS, TRIES = 4, 20
# Relative standard error of the score that suffices if the best method is clearly ahead.
ENOUGH = 0.05
# The time of most methods grows a little less than linearly with the size of a small part.
GROWTH, MOST_GROWTH = 0.85, 3.0
# Variables of no more values than this are not timed first. The growth is measured above so many seconds.
SMALL, NOTABLE = 10_000, 0.05
# Seconds per value of a method that is fitted first, before it is.
ASSUMED = 1e-5
# Share of the time in which the first trial and the fill must be done.
LAST = 0.9
# A slow method this far behind the best, and clearly so, is not tried again.
HOPELESS = 0.1


@dataclass
class Result:
    """Outcome of the competition for a variable.

    Attributes
    ----------
    comparison : Comparison
        Scores of all methods.
    winner : Candidate
        Best method.
    residuals : Residuals
        Errors at the hidden points.
    reach : Reach
        Units of the distances.
    trials : list of Trial
        Hidden points, for the score of a learned method.
    seconds : float
        Expected time to fill the whole variable with the winner.
    covariance : dict or None
        Covariance from which samples are drawn, once some were; see
        :func:`da4dvar.workflows.autofit.samples.covariance_method`.
    """

    comparison: Comparison
    winner: Candidate
    residuals: Residuals
    reach: Reach
    trials: list[Trial]
    seconds: float
    learned_change: tuple[float, float] = (0.0, 0.0)
    covariance: Table | None = None


def compete(
    array: xr.DataArray,
    character: Character,
    candidates: Sequence[Candidate],
    bounds: Bounds,
    clock: Clock,
    until: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Score methods at hidden points of a variable, and choose the best.

    A large variable is scored on crops. Methods are timed on a small part first; those that could not fill
    the whole variable in the time left are left out.

    Parameters
    ----------
    array : DataArray
        Variable with NaN in the gaps, possibly lazy.
    character : Character
        Its character.
    candidates : sequence of Candidate
        Methods to compare.
    bounds : Bounds
        Possible values.
    clock : Clock
        Time of the whole run.
    until : float
        Share of the time allowed after which no further trial begins.
    seed : int
        Seed of the hidden points.
    progress : callable, optional
        Called with the seconds that have passed, and those after which no further trial begins.

    Returns
    -------
    Result

    Raises
    ------
    DataError
        If no method can fill the variable, or no points can be hidden.
    """
    left_out: dict[str, str] = {}
    alive, rates = _probed(array, character, candidates, bounds, clock, until, left_out, seed)
    size = _size(array.size, sum(rates.values()), clock.left(until))
    tally = Tally(bounds.period if bounds.circular else None)
    trials: list[Trial] = []
    reach: Reach | None = None
    needed = 0.0
    while len(trials) < MOST_TRIALS and (not trials or clock.left(until) > needed):
        begin = clocks.monotonic()
        if progress is not None:
            progress(int(clock.spent()), int(clock.spent() + max(clock.left(until), 1)))
        trial, reach = _drawn(array, character, reach, size, [seed, len(trials)])
        if trial is None:
            break
        trials.append(trial)
        if len(trials) == 1:
            alive = _fitted(alive, array, trial.seen, bounds, clock, until, rates, left_out)
        # In the first trial, a method has to leave the time in which it fills the variable.
        share, after = (LAST, array.size) if len(trials) == 1 else (until, 0)
        alive = _tried(alive, trial, tally, bounds, max(clock.left(share), 2.0), after, rates, left_out)
        if not alive:
            raise DataError(f"no method can fill variable {array.name!r}: {next(iter(left_out.values()))}")
        spent = clocks.monotonic() - begin
        found = tally.residuals(trials)
        if _is_clear(found):
            break
        alive = _without_hopeless(alive, found, 0.2 * spent / trial.seen.size, rates, left_out)
        # Without methods that were too slow, the next trial may be larger.
        rate = sum(rates[c.name] for c in alive)
        size = max(size, _size(array.size, rate, clock.left(until)))
        needed = min(size, array.size) * rate
    assert reach is not None
    alive = _in_time(alive, array.size, max(clock.left(), 5.0), rates, left_out)
    return _result(array, alive, tally, trials, reach, rates, left_out)


def _drawn(
    array: xr.DataArray, character: Character, reach: Reach | None, size: int, seed: list[int]
) -> tuple[Trial | None, Reach]:
    """Hide points of a crop; None if that fails after a first trial has succeeded."""
    whole = size >= array.size
    for number in range(1 if whole else TRIES):
        own = int(np.random.default_rng([*seed, number]).integers(2**31))
        crop = only(array, crop_of(array, character, size, own))
        scales = reach or reach_for(crop, character)
        try:
            return trial_of(crop, character, scales, own), scales
        except DataError:
            # Another crop may have more observations.
            if seed[-1] == 0 and (whole or number == TRIES - 1):
                raise
    return None, scales


def _tried(
    alive: Sequence[Candidate],
    trial: Trial,
    tally: Tally,
    bounds: Bounds,
    left: float,
    after: int,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Estimate the hidden points of a trial with every method; return the methods that did so.

    A method is left out if it would take more than `left` seconds for the trial and for `after` more values.
    """
    begin = clocks.monotonic()
    out: list[Candidate] = []
    for candidate in sorted(alive, key=lambda c: rates.get(c.name, 0.0)):
        expected = rates.get(candidate.name, 0.0) * (trial.seen.size + after)
        if out and expected > max(left - (clocks.monotonic() - begin), 1.0):
            then = " and to fill the file" if after else ""
            left_out[candidate.name] = f"about {_duration(expected)} were needed to score it{then}"
            continue
        started = clocks.monotonic()
        try:
            estimate, std = candidate.estimate(trial.seen, bounds)
        except Da4dvarError as error:
            left_out[candidate.name] = first_line(error)
            continue
        tally.add(candidate.name, trial, estimate, std)
        rates[candidate.name] = (clocks.monotonic() - started) / trial.seen.size
        out.append(candidate)
    return out


def _is_clear(found: Residuals) -> bool:
    """Whether the error of the best method is known, and by more than chance below that of all others."""
    best = min(found.error, key=found.mean_square)
    error, spread = found.rmse(best)
    if spread > ENOUGH * error:
        return False
    gains = [found.gain(best, name) for name in found.error if name != best]
    return all(gain > 3 * error for gain, error in gains)


def _without_hopeless(
    alive: Sequence[Candidate],
    found: Residuals,
    dear: float,
    rates: Mapping[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Leave out slow methods that are clearly behind after one trial."""
    best = min(found.error, key=found.mean_square)
    out = []
    for candidate in alive:
        behind = found.rmse(candidate.name)[0] / max(found.rmse(best)[0], 1e-300) - 1
        loss, error = found.gain(candidate.name, best)
        if behind > HOPELESS and -loss > 3 * error and rates[candidate.name] > dear:
            left_out[candidate.name] = f"{100 * behind:.0f} % behind {best} when it was tried once"
        else:
            out.append(candidate)
    return out


def _probed(
    array: xr.DataArray,
    character: Character,
    candidates: Sequence[Candidate],
    bounds: Bounds,
    clock: Clock,
    until: float,
    left_out: dict[str, str],
    seed: int,
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
    return _in_time(alive, array.size, max(0.5 * clock.left(), 5.0), rates, left_out), rates


def _fitted(
    alive: Sequence[Candidate],
    array: xr.DataArray,
    seen: xr.DataArray,
    bounds: Bounds,
    clock: Clock,
    until: float,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Fit the parameters of the methods that have some, and leave out those too slow for the variable."""
    out = []
    for candidate in alive:
        if not candidate.needs:
            out.append(candidate)
            continue
        if clock.left(until) < candidate.needs and len(alive) > 1:
            left_out[candidate.name] = f"it needs at least {candidate.needs:.0f} s"
            continue
        # A trial may be a crop that is too small to tell.
        whole = array if array.chunks is None else seen
        try:
            candidate = candidate.fitted(seen, bounds)
            small = whole.isel(_around_observations(whole)) if whole.size > PROBE else whole[:0]
            started = clocks.monotonic()
            if small.size:
                candidate.estimate(small, bounds)
        except Da4dvarError as error:
            left_out[candidate.name] = first_line(error)
            continue
        seconds = (clocks.monotonic() - started) * (array.size / max(small.size, 1)) ** GROWTH
        if small.size and seconds > max(clock.left(0.9), 5.0):
            left_out[candidate.name] = f"about {_duration(seconds)} are needed to fill the file"
            continue
        rates[candidate.name] = seconds / array.size if small.size else 0.0
        out.append(candidate)
    return out


def _in_time(
    alive: list[Candidate], size: int, seconds: float, rates: Mapping[str, float], left_out: dict[str, str]
) -> list[Candidate]:
    """Leave out the methods that cannot fill the variable in some seconds, but for the fastest."""
    needed = {c.name: rates.get(c.name, 0.0) * size for c in alive}
    fits = [c for c in alive if needed[c.name] < seconds] or [min(alive, key=lambda c: needed[c.name])]
    for candidate in alive:
        if candidate not in fits:
            left_out[candidate.name] = (
                f"about {_duration(needed[candidate.name])} are needed to fill the file"
            )
    return fits


def _around_observations(seen: xr.DataArray) -> dict[str, slice]:
    """Return ranges of a part with about `FITTED` values, in the middle of the observations."""
    share = min(1.0, FITTED / seen.size) ** (1 / seen.ndim)
    out = {}
    for dim, n in seen.sizes.items():
        where = np.flatnonzero(seen.notnull().any([d for d in seen.dims if d != dim]).values)
        width = max(1, int(n * share))
        start = int(np.clip(where[where.size // 2] - width // 2, 0, n - width))
        out[str(dim)] = slice(start, start + width)
    return out


def _size(whole: int, rate: float, seconds: float) -> int:
    if not rate:
        return whole
    return int(np.clip(seconds / (3 * rate), PROBE, min(whole, LARGEST)))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _result(
    array: xr.DataArray,
    alive: list[Candidate],
    tally: Tally,
    trials: list[Trial],
    reach: Reach,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> Result:
    residuals = tally.residuals(trials)
    entered = {c.name: c for c in alive if c.name in residuals.error}
    # A method that cannot fill the variable is no winner, however good it is.
    residuals = replace(residuals, error={n: residuals.error[n] for n in residuals.error if n in entered})
    ranked = sorted(entered, key=lambda n: residuals.mean_square(n))
    classic = [n for n in ranked if entered[n].table]
    if len(classic) > 1 and ranked[0] == classic[0] and tally.period is None:
        # The errors of a mean are known without running it.
        first, second = (entered[n] for n in classic[:2])
        both = mean_of(first, second)
        error = (residuals.error[first.name] + residuals.error[second.name]) / 2
        joined = replace(residuals, error=residuals.error | {both.name: error})
        gain, spread = joined.gain(both.name, ranked[0])
        if gain > 2 * spread:
            residuals, entered[both.name] = joined, both
            rates[both.name] = rates[first.name] + rates[second.name]
    units = str(array.attrs.get("units", ""))
    comparison = compared(str(array.name), residuals, left_out, units)
    winner = entered[comparison.winner] if comparison.winner in entered else alive[0]
    fits = winner.table.get("covariance", {}).get(str(array.name), {})
    noise = float(np.sqrt(fits.get("nugget", 0.0)))
    comparison = replace(comparison, change=tally.change(winner.name), noise=noise)
    return Result(comparison, winner, residuals, reach, trials, rates.get(winner.name, 0.0) * array.size)
