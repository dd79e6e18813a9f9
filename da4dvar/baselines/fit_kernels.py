"""Estimation of a covariance in space and time by the likelihood of hidden points."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from da4dvar.baselines.hidden_neighbours import (
    Neighbourhoods,
    gathered,
    neighbours_of,
    pieces,
    run_like_gaps,
    span,
    transplanted,
)
from da4dvar.baselines.likelihood import SMALLEST, Parameter, maximised, score
from da4dvar.errors import DataError
from da4dvar.variational.kernels import Separable, SumOfSeparable

SPACE, TIME = ("exponential", "matern32", "matern52", "gaussian"), ("exponential", "matern32", "gaussian")
# Neighbours are the nearest in units of the distance and the lag at which this fraction of the variance is
# left. With half of the variance, they spread too far in time, where kernels are rough, to tell anything
# about large scales in space.
LEVEL = 0.8
# Hidden points to compare forms, to fit the best of them, and to choose the number of terms.
SCREENED, FITTED, CHECKED = 150, 350, 800
# The best few forms are compared once more at hidden points with more neighbours, which are closer to all
# observations and tell large scales apart.
LAST, WIDE, NEIGHBOURS = 3, 300, 150
# Observations that can tell two terms apart.
ENOUGH = 600


def fit_kernels(
    values: np.ndarray,
    place: np.ndarray,
    clock: np.ndarray,
    *,
    length: float | None = None,
    duration: float | None = None,
    nugget: float | None = None,
    periods: tuple[float, ...] = (),
    neighbours: int = 60,
    seed: int = 0,
) -> SumOfSeparable:
    """max Σᵢ log N(yᵢ; μᵢ, vᵢ) over forms, scales and number of terms, for hidden points i.

    μᵢ and vᵢ are the mean and the variance of a hidden point given its neighbours among the observations
    that are not hidden. Points are hidden as the gaps are: where other times have no values, for as many
    steps in a row as make hidden points as far from the remaining observations as the gaps are from all. The
    forms are compared with two terms, and one, two or three terms are kept, by the likelihood of other hidden
    points.

    Parameters
    ----------
    values : array, shape (time, cell)
        Anomalies of zero mean; NaN where there is no observation.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells; no axes for a series.
    clock : array, shape (time,)
        Times, in the units of T.
    length, duration, nugget : float, optional
        Prescribed values of L, T and ε². A prescribed scale is that of the only term.
    periods : tuple of float
        Periods of cycles that may be left in the data; a further term with each is tried.
    neighbours : int
        Number of observations from which a hidden point is predicted: two thirds are the nearest, and the
        others up to five times as far in rank, as an analysis sees large scales as well.
    seed : int
        Seed of the choice of hidden points.

    Returns
    -------
    SumOfSeparable

    Raises
    ------
    DataError
        If there are fewer than two observations, or they are all zero.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(400)
    >>> walk = [x := 0.0] + [x := 0.9 * x + e for e in noise]
    >>> found = fit_kernels(np.array(walk)[:, None], np.empty((1, 0)), np.arange(401.0))
    >>> change = 2 * (found(0.0, 0.0) - found(0.0, 1.0))  # variance of the change in a step
    >>> bool(np.isclose(change, 2 / (1 + 0.9), atol=0.2))
    True
    """
    observed = np.isfinite(values)
    total = float(np.mean(np.square(values[observed]))) if observed.sum() > 1 else 0.0
    if not total > 0:
        raise DataError(
            f"cannot fit a covariance to {observed.sum()} observations with a variance of {total}; "
            "give more observations, or use another method"
        )
    known = {"length": length, "duration": duration, "nugget": None if nugget is None else nugget / total}
    given = {name: value for name, value in known.items() if value is not None}
    search = Search(values / np.sqrt(total), place, clock, given, neighbours, seed)
    return search.best(periods).scaled(total)


class Search:
    """Search for the covariance of values of about unit variance; see :func:`fit_kernels`.

    Parameters
    ----------
    values, place, clock : array
        See :func:`fit_kernels`.
    known : dict
        Prescribed values of ``length``, ``duration`` and ``nugget``.
    neighbours, seed : int
        See :func:`fit_kernels`.
    """

    def __init__(
        self,
        values: np.ndarray,
        place: np.ndarray,
        clock: np.ndarray,
        known: dict[str, float],
        neighbours: int,
        seed: int,
    ) -> None:
        self.known, self.generator = known, np.random.default_rng(seed)
        seen = np.isfinite(values)
        self.count = int(seen.sum())
        parts = pieces(seen, place, self.generator)
        self.parts = [(values[times][:, cells], place[cells], clock[times]) for times, cells in parts]
        self.bounds = {"variance": (1e-4, 10.0), "nugget": (SMALLEST, 2.0)}
        for name, points in {"length": place[seen.any(0)], "duration": clock[seen.any(1), None]}.items():
            spacing, extent = span(points)
            self.bounds[name] = (spacing / 4, 3 * extent) if extent else (np.inf, np.inf)
        neighbours = min(neighbours, max(8, self.count // 8))
        nearest = -(-2 * neighbours // 3)
        farther = np.geomspace(nearest + 1, 5 * neighbours, neighbours - nearest).astype(int)
        self.ranks = np.unique(np.append(np.arange(1, nearest + 1), farther))
        self.run = 1

    def best(self, periods: tuple[float, ...]) -> SumOfSeparable:
        """Return the covariance with the largest likelihood."""
        start = self.start()
        scales = start.scales(LEVEL)
        values, place, clock = self.parts[0]
        self.run = run_like_gaps(np.isfinite(values), place, clock, scales, self.generator)
        some, check = self.points(scales, [SCREENED, CHECKED])
        one = self.fitted(start, some.thinned(SCREENED), 15)
        forms = list(itertools.product(*self.forms()))
        cycles: list[Callable[[SumOfSeparable], SumOfSeparable]] = [
            partial(with_cycle, period=period) for period in periods
        ]
        if self.count < ENOUGH or {"length", "duration"} & self.known.keys():
            found, more = [self.fitted(with_forms(one, *f), some, 15) for f in forms], some
        else:
            more, check = self.points(one.scales(LEVEL), [FITTED, CHECKED])
            some = more.thinned(SCREENED)
            two = [self.fitted(with_forms(halved(one), *f), some, 15) for f in forms]
            two = sorted(two, key=lambda c: -score(c, check))[:2]
            found = [one, *(self.fitted(c, more, 40) for c in two)]
            cycles.insert(0, halved)
        for further in cycles:
            best = max(found, key=lambda c: score(c, check))
            found.append(self.fitted(further(best), more, 40))
        found = sorted(found, key=lambda c: -score(c, check))[:LAST]
        if self.count >= ENOUGH and len(found) > 1:
            (check,) = self.points(found[0].scales(LEVEL), [WIDE], np.arange(1, NEIGHBOURS + 1))
        return max(found, key=lambda c: score(c, check))

    def start(self) -> SumOfSeparable:
        """Return the best of a few scales of a single term."""
        grids = []
        for name in ("length", "duration"):
            low, high = self.bounds[name]
            scales = np.geomspace(low, high, 7)[1:-1] if np.isfinite(low) else np.array([np.inf])
            grids.append([self.known[name]] if name in self.known else scales.tolist())
        nugget = max(SMALLEST, self.known.get("nugget", 0.01))
        (near,) = self.points((np.median(grids[0]), np.median(grids[1])), [SCREENED])
        guesses = (SumOfSeparable((Separable(1.0, *scales),), nugget) for scales in itertools.product(*grids))
        return max(guesses, key=lambda c: score(c, near))

    def forms(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the forms to compare; those of an extent that the data do not have make no difference."""
        extent = (np.isfinite(self.bounds[name][0]) for name in ("length", "duration"))
        space, time = (all_ if has else all_[:1] for all_, has in zip((SPACE, TIME), extent, strict=True))
        return space, time

    def points(
        self, scales: tuple[float, float], numbers: list[int], ranks: np.ndarray | None = None
    ) -> list[Neighbourhoods]:
        """Return disjoint sets of hidden points, of about some numbers, with neighbours of some ranks."""
        # Of a field in one part, three draws, as each hides few different times.
        parts = self.parts * max(1, 3 // len(self.parts))
        share, found = -(-sum(numbers) // len(parts)), []
        for values, place, clock in parts:
            seen = np.isfinite(values)
            hidden = transplanted(seen, self.run, self.generator)
            targets, pool = np.argwhere(hidden), np.argwhere(seen & ~hidden)
            if len(targets) < 40:
                # Without gaps there is nothing to transplant: each point is predicted from all others.
                targets = pool = np.argwhere(seen)
            if len(pool) < 2:
                continue
            chosen = targets[self.generator.permutation(len(targets))[:share]]
            near = neighbours_of(chosen, pool, place, clock, scales, self.ranks if ranks is None else ranks)
            found.append((place[near[..., 1]], clock[near[..., 0]], values[near[..., 0], near[..., 1]]))
        most = min(given.shape[1] for *_, given in found)
        place, clock, given = (
            np.concatenate([part[:, :most] for part in same]) for same in zip(*found, strict=True)
        )
        order = self.generator.permutation(len(given))
        edges = [0, min(numbers[0], -(-len(given) // len(numbers))), len(given)][: len(numbers) + 1]
        out = []
        for first, last in itertools.pairwise(edges):
            # Of a few points, all are used for everything.
            own = order[first:last] if last - first >= 20 else order
            out.append(gathered(place[own], clock[own], given[own]))
        return out

    def fitted(self, start: SumOfSeparable, near: Neighbourhoods, steps: int) -> SumOfSeparable:
        """Return the covariance of largest likelihood with the forms of another."""
        names = [n for n in ("variance", "length", "duration") if n not in self.known]
        names = [n for n in names if np.isfinite(self.bounds[n][0])]
        free: list[Parameter] = [(q, name) for q in range(len(start.terms)) for name in names]
        free += [] if "nugget" in self.known else [(0, "nugget")]
        return maximised(start, near, free, self.bounds, steps)


def with_forms(covariance: SumOfSeparable, space: str, time: str) -> SumOfSeparable:
    """Return a covariance with other forms of all terms."""
    terms = (replace(term, space=space, time=time) for term in covariance.terms)
    return SumOfSeparable(tuple(terms), covariance.nugget)


def halved(covariance: SumOfSeparable) -> SumOfSeparable:
    """Return a covariance with the largest term in two, of half and twice its scales."""
    whole = max(covariance.terms, key=lambda term: term.variance)
    halves = (
        replace(whole, variance=whole.variance / 2, length=whole.length * f, duration=whole.duration * f)
        for f in (0.5, 2.0)
    )
    others = (term for term in covariance.terms if term is not whole)
    return SumOfSeparable((*others, *halves), covariance.nugget)


def with_cycle(covariance: SumOfSeparable, period: float) -> SumOfSeparable:
    """Return a covariance with a further term of a cycle that lasts for some ten periods."""
    largest = max(covariance.terms, key=lambda term: term.variance)
    cycle = replace(largest, variance=largest.variance / 2, duration=10 * period, period=period)
    return SumOfSeparable((*covariance.terms, cycle), covariance.nugget)
