"""Competition of methods for one variable, at points hidden from all of them, within a given time."""

from __future__ import annotations

import time as clocks
from collections.abc import Mapping, Sequence
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
from da4dvar.workflows.autofit.further import with_further
from da4dvar.workflows.autofit.tally import Tally, variance_of_gaps
from da4dvar.workflows.autofit.timing import PROBE, duration, fitted, in_time, probed
from da4dvar.workflows.autofit.trials import Trial, drawn, missing_as_well
from da4dvar.workflows.candidate import Candidate

# Number of values of the largest trial.
LARGEST = 1_500_000
MOST_TRIALS = 4
# Relative standard error of the score that suffices if the best method is clearly ahead.
ENOUGH = 0.05
# The first trial and the fill must be done after this many times the share of the time for trials. If trials
# took longer than expected, the best method may still fill the variable within the latter share of the time.
LAST, LATEST = 1.6, 1.1
# Methods may take this many times as long for a further trial as for the one before.
SLOWER = 1.5
# A further trial that takes less than this share of the time may begin later than others.
CHEAP = 0.05
# Share of the time in which the winner alone is tried again, for its error bars.
FURTHER = 0.2
# A slow method this far behind the best, by so many standard errors, is not tried again. One standard error
# suffices where the time is too short for a further trial otherwise.
HOPELESS, CLEARLY = 0.1, 3.0


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
    learned_change : tuple of float
        Root mean square and largest change that a learned method makes at observed points.
    further : Residuals or None
        Errors of the best classical method at these hidden points and at further ones.
    covariance : dict or None
        Covariance from which samples are drawn, once some were; see
        :func:`da4dvar.workflows.autofit.covariance.covariance_method`.
    """

    comparison: Comparison
    winner: Candidate
    residuals: Residuals
    reach: Reach
    trials: list[Trial]
    seconds: float
    learned_change: tuple[float, float] = (0.0, 0.0)
    further: Residuals | None = None
    covariance: Table | None = None

    @property
    def for_bars(self) -> Residuals:
        """Errors of the winner from which its error bars are made."""
        further = self.further
        return self.residuals if further is None or self.winner.name not in further.error else further


def compete(
    array: xr.DataArray,
    character: Character,
    candidates: Sequence[Candidate],
    bounds: Bounds,
    clock: Clock,
    until: float,
    seed: int = 0,
    progress: Progress | None = None,
    others: xr.Dataset | None = None,
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
    others : Dataset, optional
        Other variables, for methods that use them. They are hidden together with the variable where they
        are missing together with it; see :func:`da4dvar.workflows.autofit.trials.missing_as_well`.

    Returns
    -------
    Result

    Raises
    ------
    DataError
        If no method can fill the variable, or no points can be hidden.
    """
    left_out: dict[str, str] = {}
    others = xr.Dataset() if others is None else others
    hidden = missing_as_well(array, others, character.time) if others else []
    alive, rates = probed(array, character, candidates, bounds, clock, until, left_out, seed, others)
    size = _size(array.size, sum(rates.values()), clock.left(until))
    tally = Tally(bounds.period if bounds.circular else None)
    trials: list[Trial] = []
    reach: Reach | None = None
    spare = clock.left(until)
    while len(trials) < MOST_TRIALS:
        begin = clocks.monotonic()
        if progress is not None:
            progress(int(clock.spent()), int(clock.spent() + max(clock.left(until), 1)))
        trial, reach = drawn(array, character, reach, size, [seed, len(trials)])
        if trial is None:
            break
        beside = trial.others_in(others, hidden)
        if not trials:
            alive = fitted(alive, array, trial, bounds, clock, until, LAST * until, rates, left_out)
            spare = clock.left(LAST * until)
            alive = _tried(alive, trial, beside, tally, bounds, max(spare, 2.0), array.size, rates, left_out)
            if not alive:
                reason = next(iter(left_out.values()))
                raise DataError(f"no method can fill variable {array.name!r}: {reason}")
        else:
            again = _tried_again(alive, trial, beside, tally, bounds, spare, rates, left_out)
            if not again:
                break
            alive = again
        trials.append(trial)
        spent = clocks.monotonic() - begin
        found = tally.residuals(trials)
        if _is_clear(found):
            break
        for clearly in (CLEARLY, 1.0):
            alive = _without_hopeless(alive, found, clearly, 0.2 * spent / trial.seen.size, rates, left_out)
            # Without methods that were too slow, the next trial may be larger. The best must still fill all.
            rate = sum(rates[c.name] for c in alive)
            size = max(size, _size(array.size, rate, clock.left(until)))
            fill = array.size * rates[min(found.error, key=found.mean_square)]
            spare = min(max(clock.left(until), 60 * CHEAP * clock.minutes), clock.left(LAST * until) - fill)
            fits = SLOWER * min(size, array.size) * rate <= spare
            if fits:
                break
        if not fits:
            break
    assert reach is not None
    alive = in_time(alive, array.size, max(clock.left(LATEST), 5.0), rates, left_out)
    result = _result(array, alive, tally, trials, reach, rates, left_out, bounds, clock.left(), others)
    winner, residuals = result.winner, result.residuals
    result.further = with_further(
        residuals,
        winner.name,
        trials,
        lambda number: drawn(array, character, reach, size, [seed, number])[0],
        lambda trial: winner.estimate(trial.seen, bounds, trial.others_in(others, hidden)),
        Tally(tally.period),
        SLOWER * rates.get(winner.name, 0.0) * min(size, array.size),
        min(60 * FURTHER * clock.minutes, clock.left(until)),
    )
    return result


def _tried(
    alive: Sequence[Candidate],
    trial: Trial,
    others: xr.Dataset,
    tally: Tally,
    bounds: Bounds,
    left: float,
    after: int,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Estimate the hidden points of a trial with every method; return the methods that did so.

    A method is left out if it would take more than `left` seconds for the trial and for `after` more values,
    or if the best method so far could then no longer be applied to these.
    """
    begin = clocks.monotonic()
    out: list[Candidate] = []
    of_best = 0.0
    for candidate in sorted(alive, key=lambda c: rates.get(c.name, 0.0)):
        rate, rest = rates.get(candidate.name, 0.0), max(left - (clocks.monotonic() - begin), 1.0)
        # The best so far may itself be too slow to be applied.
        after_best = of_best * after if of_best * after <= rest else 0.0
        expected = rate * trial.seen.size + max(rate * after, after_best)
        if out and expected > rest:
            then = " and to fill the file" if after else ""
            left_out[candidate.name] = f"about {duration(expected)} were needed to score it{then}"
            continue
        if _estimated(candidate, trial, others, tally, bounds, rates, left_out):
            out.append(candidate)
            found = tally.residuals([trial])
            of_best = rates[min(found.error, key=found.mean_square)]
    return out


def _tried_again(
    alive: Sequence[Candidate],
    trial: Trial,
    others: xr.Dataset,
    tally: Tally,
    bounds: Bounds,
    left: float,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> list[Candidate] | None:
    """Estimate the hidden points of a further trial; return None if that takes more than `left` seconds.

    A trial in which only some methods took part cannot be compared with the others.
    """
    begin = clocks.monotonic()
    out = []
    for number, candidate in enumerate(alive):
        rest = sum(rates[c.name] for c in alive[number:]) * trial.seen.size
        if number and rest > max(left - (clocks.monotonic() - begin), 1.0):
            return None
        if _estimated(candidate, trial, others, tally, bounds, rates, left_out):
            out.append(candidate)
    return out


def _estimated(
    candidate: Candidate,
    trial: Trial,
    others: xr.Dataset,
    tally: Tally,
    bounds: Bounds,
    rates: dict[str, float],
    left_out: dict[str, str],
) -> bool:
    """Estimate the hidden points of a trial with a method, and time it; False if the method fails."""
    started = clocks.monotonic()
    try:
        estimate, std = candidate.estimate(trial.seen, bounds, others)
    except Da4dvarError as error:
        left_out[candidate.name] = first_line(error)
        return False
    tally.add(candidate.name, trial, estimate, std)
    rate = (clocks.monotonic() - started) / trial.seen.size
    # On a crop with fewer stations, a method that uses others is faster than on all stations.
    slower = candidate.others and trial.ranges
    rates[candidate.name] = max(rate, rates.get(candidate.name, 0.0)) if slower else rate
    return True


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
    clearly: float,
    dear: float,
    rates: Mapping[str, float],
    left_out: dict[str, str],
) -> list[Candidate]:
    """Leave out methods that take more than `dear` seconds per value and are behind by `clearly` errors."""
    best = min(found.error, key=found.mean_square)
    out = []
    for candidate in alive:
        behind = found.rmse(candidate.name)[0] / max(found.rmse(best)[0], 1e-300) - 1
        loss, error = found.gain(candidate.name, best)
        if behind > HOPELESS and -loss > clearly * error and rates[candidate.name] > dear:
            left_out[candidate.name] = f"{100 * behind:.0f} % behind {best} when it was tried once"
        else:
            out.append(candidate)
    return out


def _size(whole: int, rate: float, seconds: float) -> int:
    if not rate:
        return whole
    return int(np.clip(seconds / (3 * rate), PROBE, min(whole, LARGEST)))


def _result(
    array: xr.DataArray,
    alive: list[Candidate],
    tally: Tally,
    trials: list[Trial],
    reach: Reach,
    rates: dict[str, float],
    left_out: dict[str, str],
    bounds: Bounds,
    left: float,
    others: xr.Dataset,
) -> Result:
    """Return the outcome, within `left` seconds."""
    residuals = tally.residuals(trials)
    entered = {c.name: c for c in alive if c.name in residuals.error}
    # A method that cannot fill the variable is no winner, however good it is.
    residuals = replace(residuals, error={n: residuals.error[n] for n in residuals.error if n in entered})
    ranked = sorted(entered, key=lambda n: residuals.mean_square(n))
    classic = [n for n in ranked if entered[n].table and not entered[n].others]
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
    judge = next((entered[n] for n in ranked if len(tally.variances.get(n, [])) >= len(trials)), None)
    if judge is not None:
        rate = rates.get(judge.name, 0.0)
        full = tally.variances[judge.name][len(trials) - 1]
        if rate * (2 * trials[-1].seen.size + array.size) < left:
            full = _full_variance(judge, trials[-1], bounds, others)
        scale = tally.scale(judge.name, trials, _noise_of(judge, str(array.name)), full)
        residuals = replace(residuals, scale=scale)
    comparison = compared(str(array.name), residuals, left_out, units)
    winner = entered[comparison.winner] if comparison.winner in entered else alive[0]
    noise = _noise_of(winner, str(array.name))
    comparison = replace(comparison, change=tally.change(winner.name), noise=noise)
    return Result(comparison, winner, residuals, reach, trials, rates.get(winner.name, 0.0) * array.size)


def _noise_of(candidate: Candidate, name: str) -> float:
    """Return the standard deviation of the errors of the observations that a method has estimated."""
    fits = candidate.table.get("covariance", {}).get(name, {})
    return float(np.sqrt(fits.get("nugget", 0.0)))


def _full_variance(judge: Candidate, trial: Trial, bounds: Bounds, others: xr.Dataset) -> float:
    """Return the mean of σ² over the gaps of a trial if nothing is hidden."""
    values = trial.seen.values.copy()
    values[trial.at] = trial.truth
    _, std = judge.estimate(trial.seen.copy(data=values), bounds, trial.others_in(others, []))
    assert std is not None
    return variance_of_gaps(std, trial)
