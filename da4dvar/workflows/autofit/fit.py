"""Fit to one gappy data set: the best of all methods for each variable, with its error at hidden points."""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from da4dvar.config.tables import Table
from da4dvar.errors import DataError, nearest
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.labels.conform import check_finite
from da4dvar.progress import Phase, Progress
from da4dvar.workflows.autofit.candidates import classical, models_for, together
from da4dvar.workflows.autofit.character import Character, character_of, places
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.comparison import compared
from da4dvar.workflows.autofit.compete import Result, compete
from da4dvar.workflows.autofit.fitted import Fitted
from da4dvar.workflows.autofit.tally import Tally
from da4dvar.workflows.autofit.timing import duration
from da4dvar.workflows.autofit.trials import crop_of, missing_as_well, only
from da4dvar.workflows.candidate import Candidate, Learned

Say = Callable[[str], None]
AUTO, LEARNED = "auto", "learned"
# Share of the time after which the competition of the classical methods ends, and the training.
COMPETING, TRAINING = 0.65, 0.75
# A training shorter than this shows nothing, and more values than this cannot be trained on in minutes.
SHORTEST, MOST_VALUES = 20.0, 4_000_000
FIRST_SLICE = 0.25
# Seconds in which a file may be filled whatever the time allowed.
BRIEF = 5.0
# Steps on which the time of a learned estimate is taken; an eighth of a long record is.
FEW_STEPS = 200
# Number of values from which the character of a large variable is taken.
SAMPLE = 2_000_000


def fitted_to(
    ds: xr.Dataset,
    fields: Sequence[str],
    time: str,
    clock: Clock,
    *,
    method: str = AUTO,
    bounds: Mapping[str, Bounds],
    others: Sequence[str] = (),
    sources: Mapping[str, str] | None = None,
    mask: str | None = None,
    paths: Sequence[str] = (),
    recipe: Table | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    phase: Phase = lambda name: None,
    progress: Progress | None = None,
    say: Say = lambda line: None,
) -> Fitted:
    """Compare all methods for each variable at hidden points, and choose the best.

    Parameters
    ----------
    ds : Dataset
        Data with NaN in the gaps, possibly lazy.
    fields : sequence of str
        Variables to fill.
    time : str
        Name of the time dimension.
    clock : Clock
        Time allowed, and when it began.
    method : str
        "auto", "learned", or the name of a method, which is then scored alone.
    bounds : mapping of str to Bounds
        Possible values of each variable.
    others : sequence of str
        Variables that may help to fill those with the same dimensions; they may be among the fields.
    sources, mask, paths, recipe, settings
        See :func:`da4dvar.workflows.autofit.learn.tables_for`.
    seed : int
        Seed of the hidden points and of the training.
    device : {"auto", "cpu", "cuda"}
        Where networks are trained and solve their windows.
    phase : callable
        Called with the name of each phase when it begins.
    progress : callable, optional
        Called with the seconds of a phase that have passed, and its share of the time.
    say : callable
        Called with each choice, as a line.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If a variable cannot be filled by any method.
    """
    characters: dict[str, Character] = {}
    for name in fields:
        characters[name] = _character(ds[name], time, seed)
    if recipe or settings:
        # Mistakes in a recipe are reported before any time is spent.
        from da4dvar.workflows.autofit.learn import checked, tables_for

        alike = {n: c for n, c in characters.items() if set(ds[n].dims) == set(ds[fields[0]].dims)}
        tables = tables_for(alike, {n: n for n in alike}, seed, recipe=recipe, settings=settings)
        checked(tables, ds[list(alike)])
    results: dict[str, Result] = {}
    for number, (name, character) in enumerate(characters.items(), 1):
        offered = classical(character)
        if ds[name].chunks is None:
            offered += models_for(ds[name], device)
        joint = [] if bounds[name].circular else together(ds, name, character, others)
        offered += joint
        names = [AUTO, LEARNED, *(c.name for c in offered)]
        if method not in names:
            raise DataError(f"--method {method!r}: {nearest(method, names)}")
        if method not in (AUTO, LEARNED):
            offered = [c for c in offered if c.name == method]
        until = COMPETING * number / len(characters)
        phase(f"comparing methods for {name}")
        # The time in which the variables before are filled is not for comparisons.
        own = clock.without(sum(r.seconds for r in results.values()))
        beside = ds[[n for candidate in joint for n in candidate.others]]
        results[name] = compete(
            ds[name], character, offered, bounds[name], own, until, seed, progress, beside
        )
        if (needed := results[name].seconds) > max(own.left(), BRIEF):
            say(
                f"{name}: about {duration(needed)} are needed to fill it by {results[name].winner.name}, "
                f"which is longer than --minutes {clock.minutes:g} leaves"
            )
    fitted = Fitted(results, dict(bounds), time)
    no_direction = [n for n in results if not bounds[n].circular and _whole(results[n], ds[n])]
    same = [n for n in no_direction if set(ds[n].dims) == set(ds[no_direction[0]].dims)]
    if method == LEARNED and not same:
        raise DataError(
            "the learned method needs variables in memory that are not directions; use --method auto"
        )
    seconds = clock.left(TRAINING)
    if same and method in (AUTO, LEARNED) and (method == LEARNED or seconds > SHORTEST):
        # torch, which takes a second to load, only where there is time to train.
        from da4dvar.workflows.autofit.learn import tables_for

        phase("training a network")
        group = {n: characters[n] for n in same}
        tables = tables_for(
            group,
            {n: (sources or {}).get(n, n) for n in same},
            seed,
            mask=mask,
            paths=paths,
            recipe=recipe,
            settings=settings,
            say=say if method == LEARNED else lambda line: None,
        )
        _learn(fitted, ds[same], tables, max(seconds, 2.0), clock, method, say, device)
    return fitted


def _character(array: xr.DataArray, time: str, seed: int) -> Character:
    if time not in array.dims:
        raise DataError(
            f"variable {array.name!r} has no dimension {time!r} (it has {', '.join(map(str, array.dims))}); "
            "name the time dimension with --dim time=NAME"
        )
    sizes = {str(d): n for d, n in array.sizes.items()}
    shape = Character(time, places(array, time), sizes, 1.0, 0, 1, False, False)
    part = only(array, crop_of(array, shape, SAMPLE, seed))
    check_finite(part, str(array.name))
    return replace(character_of(part, time), sizes=sizes)


def _whole(result: Result, array: xr.DataArray) -> bool:
    return array.size <= MOST_VALUES and all(t.seen.size == array.size for t in result.trials)


def _learn(
    fitted: Fitted,
    ds: xr.Dataset,
    tables: Table,
    seconds: float,
    clock: Clock,
    method: str,
    say: Say,
    device: str,
) -> None:
    """Train on everything but the hidden points, first for a slice of the time, and score the outcome."""
    from da4dvar.workflows.autofit.learn import checked, trained

    begin = clocks.monotonic()
    names = [str(n) for n in ds.data_vars]
    rest = ds.load().copy()
    for name in names:
        hidden = np.any([t.at for t in fitted.results[name].trials], axis=0)
        rest[name] = ds[name].copy(data=np.where(hidden, np.nan, ds[name].values))
    made = checked(tables, rest)
    first = fitted.results[names[0]]
    classic = first.winner if len(names) == 1 and first.winner.table else None
    guess = None if classic is None else classic.table
    # The first guess is needed for two draws of gaps or more, at the hidden points, and for the file.
    guesses = 0.0 if guess is None else first.seconds * (3 + len(first.trials))
    if method == AUTO and guesses > seconds:
        say(f"learned estimate: about {guesses:.0f} s are needed for its first guess alone; left out")
        return
    slices = [seconds] if method == LEARNED else [FIRST_SLICE * seconds, (1 - FIRST_SLICE) * seconds]
    for number, allowed in enumerate(slices):
        left = seconds - (clocks.monotonic() - begin)
        allowed = min(allowed, max(left, 1.0))
        learned = trained(made, allowed, guess, first.seconds, method == LEARNED, say, device)
        if learned is None:
            say(f"learned estimate: next to no training steps fit into {allowed:.0f} s; left out")
            return
        model, used = learned
        candidate = Learned(LEARNED, model, {}, device)
        needed = sum(_time_of(fitted, n, ds, candidate) for n in names)
        if method == AUTO and needed > max(clock.left(), 5.0):
            say(f"learned estimate: scoring it and filling the file need about {needed:.0f} s; left out")
            return
        gains = {n: _scored(fitted, n, ds, candidate) for n in names}
        better = [n for n, (gain, error) in gains.items() if gain > error]
        if method == LEARNED:
            better = names
        if not better:
            if number == 0:
                gain = max(g for g, _ in gains.values())
                say(
                    f"learned estimate: a gain of {100 * gain:.1f} % over the best method after "
                    f"{clocks.monotonic() - begin:.0f} s of training, which is too little; left out"
                )
            return
        for name in better:
            _win(fitted, name, candidate, clocks.monotonic() - begin)
        fitted.model, fitted.tables = model, used


def _time_of(fitted: Fitted, name: str, ds: xr.Dataset, candidate: Candidate) -> float:
    """Return the seconds in which a learned estimate is scored at the hidden points and fills the file."""
    trials = fitted.results[name].trials
    part = {fitted.time: slice(max(FEW_STEPS, ds.sizes[fitted.time] // 8))}
    begin = clocks.monotonic()
    candidate.estimate(trials[0].seen.isel(part), fitted.bounds[name], ds.isel(part))
    share = ds[name].size / ds[name].isel(part).size
    return (clocks.monotonic() - begin) * share * (1 + len(trials))


def _scored(fitted: Fitted, name: str, ds: xr.Dataset, candidate: Candidate) -> tuple[float, float]:
    """Add the learned estimate to the scores of a variable; return its gain over the winner."""
    result = fitted.results[name]
    tally, others = Tally(None), ds.drop_vars(name)
    hidden = missing_as_well(ds[name], others, fitted.time)
    for trial in result.trials:
        beside = trial.others_in(others, hidden)
        tally.add(LEARNED, trial, *candidate.estimate(trial.seen, fitted.bounds[name], beside))
    error = tally.residuals(result.trials).error
    result.residuals = replace(result.residuals, error=result.residuals.error | error)
    found = result.residuals
    best = min((n for n in found.error if n != LEARNED), key=found.mean_square)
    again = compared(name, found, result.comparison.left_out, result.comparison.units, result.winner.name)
    old = result.comparison
    result.comparison = replace(again, change=old.change, noise=old.noise)
    result.learned_change = tally.change(LEARNED)
    return found.gain(LEARNED, best)


def _win(fitted: Fitted, name: str, candidate: Candidate, seconds: float) -> None:
    result = fitted.results[name]
    old = result.comparison
    again = compared(name, result.residuals, old.left_out, old.units, candidate.name)
    result.comparison = replace(again, change=result.learned_change, noise=old.noise)
    result.winner = candidate
