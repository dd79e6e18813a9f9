"""Estimation of a covariance in space and time by the likelihood of hidden points, given their neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from da4dvar.baselines.kernels import ROOT3, ROOT5, Separable, SumOfSeparable
from da4dvar.errors import DataError

# −u ρ′(u): the derivative of ρ(d/L) by log L, where u = d/L.
SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda u: u * np.exp(-u),
    "matern32": lambda u: 3 * u * u * np.exp(-ROOT3 * u),
    "matern52": lambda u: (5 / 3) * u * u * (1 + ROOT5 * u) * np.exp(-ROOT5 * u),
    "gaussian": lambda u: u * u * np.exp(-0.5 * u * u),
}
SPACE, TIME = ("exponential", "matern32", "matern52", "gaussian"), ("exponential", "matern32", "gaussian")
LEVEL = 0.8
# Numbers of hidden points: to compare forms, to fit the best of them, and to choose the number of terms.
SCREENED, FITTED, CHECKED = 150, 400, 800
HIDDEN = 0.1  # fraction of the observations that is hidden
SMALLEST = 1e-5  # nugget, as a fraction of the variance: the matrices must be solvable
# The logarithm of a scale is expected within 2 of its start: of no weight beside hundreds of points, but
# a few points do not lead to absurd scales.
SPREAD = 2.0
MOST, PIECES = 300_000, 6  # observations that are looked at; of more, those of a few pieces


@dataclass(frozen=True)
class Neighbourhoods:
    """Hidden points, each with its nearest observations.

    On a grid there are few different distances, so that kernels are computed once for each and looked up.

    Attributes
    ----------
    distances, lags : array
        Different distances and lags.
    distance, lag : array of int, shape (point, 1 + neighbour, 1 + neighbour)
        Indices into them, for all pairs of a hidden point and its neighbours, the hidden point first.
    values : array, shape (point, 1 + neighbour)
        Values in the same order.
    """

    distances: np.ndarray
    lags: np.ndarray
    distance: np.ndarray
    lag: np.ndarray
    values: np.ndarray


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

    μᵢ and vᵢ are mean and variance of a hidden point, given the 60 nearest of the observations that are
    not hidden. Points are hidden as the gaps are: at some times, values are hidden where other times have
    none, for as many steps in a row as make hidden points as far from the remaining observations as the gaps
    are from all. The forms are compared with two terms, and one, two or three terms are kept, by the
    likelihood of other hidden points.

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
        Periods of cycles that may be left in the data; a term with each is tried.
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
    >>> noise = np.random.default_rng(0).standard_normal(2000)
    >>> walk = [x := 0.0] + [x := 0.9 * x + e for e in noise]
    >>> found = fit_kernels(np.array(walk)[:, None], np.empty((1, 0)), np.arange(2001.0))
    >>> bool(np.isclose(found(0.0, 5.0) / found(0.0, 0.0), 0.9**5, atol=0.1))
    True
    """
    observed = np.isfinite(values)
    total = float(np.mean(np.square(values[observed]))) if observed.sum() > 1 else 0.0
    if not total > 0:
        raise DataError(
            f"cannot fit a covariance to {observed.sum()} observations with a variance of {total}; "
            "give more observations, or use another method"
        )
    search = Search(
        values / np.sqrt(total),
        place,
        clock,
        length,
        duration,
        None if nugget is None else nugget / total,
        neighbours,
        seed,
    )
    return search.best(periods).scaled(total)


class Search:
    """Search for the covariance of values of unit variance; see :func:`fit_kernels`."""

    def __init__(
        self,
        values: np.ndarray,
        place: np.ndarray,
        clock: np.ndarray,
        length: float | None,
        duration: float | None,
        nugget: float | None,
        neighbours: int,
        seed: int,
    ) -> None:
        self.generator = np.random.default_rng(seed)
        self.pieces = list(pieces(values, place, clock, self.generator))
        spans = [span(place[np.isfinite(values).any(0)]), span(clock[np.isfinite(values).any(1), None])]
        self.known = {"length": length, "duration": duration, "nugget": nugget}
        self.bounds = {"variance": (1e-4, 10.0), "nugget": (SMALLEST, 2.0)}
        for name, (spacing, extent) in zip(("length", "duration"), spans, strict=True):
            self.bounds[name] = (spacing / 4, 3 * extent) if extent else (np.inf, np.inf)
        self.tracks = 1
        nearest = -(-2 * neighbours // 3)
        farther = np.geomspace(nearest + 1, 5 * neighbours, neighbours - nearest).astype(int)
        self.ranks = np.unique(np.append(np.arange(1, nearest + 1), farther))

    def best(self, periods: tuple[float, ...]) -> SumOfSeparable:
        """Return the covariance with the largest likelihood."""
        start = self.start()
        scales = start.scales(LEVEL)
        self.tracks = self.run_of_gaps(scales)
        some, check = self.points(scales, [SCREENED, CHECKED])
        one = self.fitted(start, some, 15)
        if self.known["length"] is not None or self.known["duration"] is not None:
            found = [
                self.fitted(with_forms(one, *forms), some, 15) for forms in itertools.product(*self.forms())
            ]
            return max(found, key=lambda c: score(c, check))
        scales = one.scales(LEVEL)
        more, check = self.points(scales, [FITTED, CHECKED])
        some = first(more, SCREENED)
        two = [self.fitted(with_forms(split(one), *f), some, 15) for f in itertools.product(*self.forms())]
        ranked = sorted(two, key=lambda c: -score(c, check))[:2]
        found = [one, *(self.fitted(c, more, 40) for c in ranked)]
        best = max(found, key=lambda c: score(c, check))
        found.append(self.fitted(wider(best), more, 40))
        for period in periods:
            best = max(found, key=lambda c: score(c, check))
            found.append(self.fitted(cyclic(best, period), more, 40))
        return max(found, key=lambda c: score(c, check))

    def forms(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (
            SPACE if np.isfinite(self.bounds["length"][0]) else SPACE[:1],
            TIME if np.isfinite(self.bounds["duration"][0]) else TIME[:1],
        )

    def start(self) -> SumOfSeparable:
        middle = [np.sqrt(low * high) for low, high in (self.bounds["length"], self.bounds["duration"])]
        (near,) = self.points((middle[0], middle[1]), [SCREENED])
        grids = [
            [self.known[name]]
            if self.known[name] is not None
            else np.geomspace(*self.bounds[name], 7)[1:-1]
            if np.isfinite(self.bounds[name][0])
            else [np.inf]
            for name in ("length", "duration")
        ]
        nugget = self.known["nugget"]
        guesses = [
            SumOfSeparable(
                (Separable(1.0, float(a), float(b)),), max(SMALLEST, 0.01 if nugget is None else nugget)
            )
            for a, b in itertools.product(*grids)
        ]
        return max(guesses, key=lambda c: score(c, near))

    def points(self, scales, numbers):
        """Return neighbourhoods of disjoint sets of hidden points, of about the given numbers."""
        parts = []
        for values, place, clock in self.pieces * max(1, 3 // len(self.pieces)):
            seen = np.isfinite(values)
            hidden = transplanted(seen, self.tracks, HIDDEN, self.generator)
            targets, pool = np.argwhere(hidden), np.argwhere(seen & ~hidden)
            if len(targets) < 40:
                # Without gaps there is nothing to transplant: points that are predicted from all others.
                targets = pool = np.argwhere(seen)
            chosen = self.generator.permutation(len(targets))[: -(-sum(numbers) // max(3, len(self.pieces)))]
            parts.append(neighbours_of(values, place, clock, targets[chosen], pool, scales, self.ranks))
        distance, lag, given = (np.concatenate(p) for p in zip(*aligned(parts), strict=True))
        order = self.generator.permutation(len(given))
        shares = np.cumsum([0, *numbers]) / sum(numbers) * len(given)
        out = []
        for a, b in itertools.pairwise(shares.round().astype(int)):
            i = order[a:b] if b - a >= 20 or len(given) >= 40 else order
            out.append(indexed(distance[i], lag[i], given[i]))
        return out

    def run_of_gaps(self, scales) -> int:
        """Return for how many steps to hide, so that hidden points are as far from the rest as gaps are."""
        values, place, clock = self.pieces[0]
        seen = np.isfinite(values)
        gaps = np.argwhere(~seen)
        if len(gaps) < 20:
            return 1
        at = lambda i: np.column_stack([place[i[:, 1]] / scales[0], clock[i[:, 0]] / scales[1]])  # noqa: E731

        def far(points, pool):
            points = points[self.generator.permutation(len(points))[:1000]]
            return float(np.mean(cKDTree(at(pool)).query(at(points))[0]))

        wanted, found = far(gaps, np.argwhere(seen)), {}
        for run in 2 ** np.arange(int(np.log2(max(2, len(seen) / 8)))):
            hidden = transplanted(seen, int(run), HIDDEN, self.generator)
            if hidden.sum() >= 20 and (seen & ~hidden).any():
                found[int(run)] = abs(np.log(far(np.argwhere(hidden), np.argwhere(seen & ~hidden)) / wanted))
                if len(found) > 2 and found[int(run)] > 2 * min(found.values()) + 0.1:
                    break
        return min(found, key=lambda r: found[r]) if found else 1

    def fitted(self, start: SumOfSeparable, near: Neighbourhoods, steps: int) -> SumOfSeparable:
        free = self.free(start)
        low, high = (np.log([self.bounds[n][side] for _, n in free]) for side in (0, 1))
        x = np.clip(pack(start, free), low, high)

        def loss(logs):
            value, slope = likelihood(unpack(logs, start, free), near, free)
            away = (logs - x) / SPREAD
            return value + 0.5 * away @ away / len(near.values), slope + away / SPREAD / len(near.values)

        best = minimize(
            loss,
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], 1),
            options={"maxiter": steps, "ftol": 1e-5},
        )
        return unpack(best.x, start, free)

    def free(self, like):
        out = []
        for q in range(len(like.terms)):
            out.append((q, "variance"))
            out += [
                (q, n)
                for n in ("length", "duration")
                if self.known[n] is None and np.isfinite(self.bounds[n][0])
            ]
        return out + ([(0, "nugget")] if self.known["nugget"] is None else [])


def pack(c, free):
    return np.log([c.nugget if n == "nugget" else getattr(c.terms[q], n) for q, n in free])


def unpack(logs, like, free):
    new = {where: float(v) for where, v in zip(free, np.exp(logs), strict=True)}
    terms = [
        replace(t, **{n: v for (k, n), v in new.items() if k == q and n != "nugget"})
        for q, t in enumerate(like.terms)
    ]
    return SumOfSeparable(tuple(terms), new.get((0, "nugget"), like.nugget))


def predictions(c, near):
    system = np.zeros(near.distance.shape)
    for t in c.terms:
        system += (t.variance * t.in_space(near.distances))[near.distance] * t.in_time(near.lags)[near.lag]
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += max(c.nugget, SMALLEST * c.variance)
    with_one = system[:, 1:, 0]
    solved = np.linalg.solve(system[:, 1:, 1:], np.stack([with_one, near.values[:, 1:]], -1))
    variance = np.maximum(system[:, 0, 0] - np.einsum("pi,pi->p", with_one, solved[..., 0]), 1e-9)
    error = near.values[:, 0] - np.einsum("pi,pi->p", with_one, solved[..., 1])
    return error, variance, solved


def score(c, near) -> float:
    error, variance, _ = predictions(c, near)
    return float(-0.5 * np.mean(np.log(variance) + error**2 / variance))


def likelihood(c, near, free):
    """−log N and its derivatives by the logarithms of the parameters.

    With w = A⁻¹c, α = A⁻¹y, u = (1, −w) and a = (0, α): e = uᵀy, v = uᵀSu, dv = uᵀdS u and de = −aᵀ dS u.
    """
    error, variance, solved = predictions(c, near)
    number = len(error)
    one = np.ones((number, 1))
    u, a = np.concatenate([one, -solved[..., 0]], 1), np.concatenate([0 * one, solved[..., 1]], 1)
    by_variance, by_error = 0.5 * (1 / variance - error**2 / variance**2) / number, error / variance / number
    outer = (by_variance[:, None] * u - by_error[:, None] * a)[:, :, None] * u[:, None]
    slopes = {(0, "nugget"): c.nugget * np.trace(outer, axis1=1, axis2=2).sum()}
    for q, t in enumerate(c.terms):
        in_space, in_time = t.variance * t.in_space(near.distances), t.in_time(near.lags)
        by_lag = np.bincount(near.lag.ravel(), (outer * in_space[near.distance]).ravel(), near.lags.size)
        slopes[q, "variance"] = by_lag @ in_time
        if (q, "duration") in free:
            cycle = replace(t, duration=np.inf).in_time(near.lags)
            slopes[q, "duration"] = by_lag @ (SLOPES[t.time](near.lags / t.duration) * cycle)
        if (q, "length") in free:
            apart = np.bincount(
                near.distance.ravel(), (outer * in_time[near.lag]).ravel(), near.distances.size
            )
            slopes[q, "length"] = apart @ (t.variance * SLOPES[t.space](near.distances / t.length))
    value = 0.5 * float(np.mean(np.log(variance) + error**2 / variance))
    return value, np.array([slopes[where] for where in free])


def span(points: np.ndarray) -> tuple[float, float]:
    """Return the median distance to the nearest other point, and the largest extent; zeros for one place."""
    distinct = np.unique(points, axis=0)
    if not points.size or len(distinct) < 2:
        return 0.0, 0.0
    spacing = float(np.median(cKDTree(distinct).query(distinct, 2)[0][:, 1]))
    return spacing, float(np.linalg.norm(np.ptp(distinct, axis=0)))


def with_forms(c, space, time):
    return replace(c, terms=tuple(replace(t, space=space, time=time) for t in c.terms))


def split(c):
    t = c.terms[0]
    small, large = (
        replace(t, variance=t.variance / 2, length=t.length * f, duration=t.duration * f) for f in (0.5, 2)
    )
    return replace(c, terms=(small, large))


def wider(c):
    """Add a term."""
    t = max(c.terms, key=lambda t: t.variance)
    a, b = (
        replace(t, variance=t.variance / 2, length=t.length * f, duration=t.duration * f) for f in (0.5, 2)
    )
    return replace(c, terms=(*(x for x in c.terms if x is not t), a, b))


def cyclic(c, period):
    t = max(c.terms, key=lambda t: t.variance)
    return replace(
        c, terms=(*c.terms, replace(t, variance=t.variance / 2, duration=10 * period, period=period))
    )


def pieces(values, place, clock, generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    if np.isfinite(values).sum() <= MOST:
        yield values, place, clock
        return
    most = MOST // PIECES
    for number in range(PIECES):
        cells = np.arange(len(place))
        if len(place) > 3000:
            centre = place[generator.integers(len(place))]
            cells = np.sort(np.argpartition(np.square(place - centre).sum(1), 3000)[:3000])
        usual = max(1, int(np.isfinite(values[:, cells]).sum(1).mean()))
        steps = min(len(clock), max(most // usual, 8))
        begin = int((number + generator.random()) / PIECES * (len(clock) - steps + 1))
        yield values[begin : begin + steps, cells], place[cells], clock[begin : begin + steps]


def transplanted(seen, run, fraction, generator):
    """Hide observations where other times have none, in runs of steps."""
    hidden, wanted = np.zeros_like(seen), fraction * seen.sum()
    count = 0
    for _ in range(20_000):
        if count >= wanted:
            break
        a, b = generator.integers(len(seen) - run + 1, size=2)
        new = seen[a : a + run] & ~seen[b : b + run] & ~hidden[a : a + run]
        hidden[a : a + run] |= new
        count += int(new.sum())
    return hidden


def neighbours_of(values, place, clock, targets, pool, scales, ranks):
    def at(i):
        return np.column_stack([place[i[:, 1]] / scales[0], clock[i[:, 0]] / scales[1]])

    ranks = ranks[ranks < len(pool)]
    near = pool[cKDTree(at(pool)).query(at(targets), [*ranks, ranks[-1] + 1])[1]]
    # A target that is in the pool is its own nearest; where several points coincide, it may not be the first.
    itself = (near == targets[:, None]).all(-1)
    order = np.argsort(itself, axis=1, kind="stable")[:, : len(ranks), None]
    near = np.take_along_axis(near, order, axis=1)
    both = np.concatenate([targets[:, None], near], 1)
    p, t = place[both[..., 1]], clock[both[..., 0]]
    distance = np.sqrt(np.square(p[:, :, None] - p[:, None]).sum(-1))
    return distance, np.abs(t[:, :, None] - t[:, None]), values[both[..., 0], both[..., 1]]


def aligned(parts):
    most = min(p[2].shape[1] for p in parts)
    return [(d[:, :most, :most], t[:, :most, :most], v[:, :most]) for d, t, v in parts]


def indexed(distance, lag, values):
    distances, i = np.unique(np.round(distance, 9), return_inverse=True)
    lags, j = np.unique(np.round(lag, 9), return_inverse=True)
    return Neighbourhoods(distances, lags, i.reshape(distance.shape), j.reshape(lag.shape), values)


def first(near, number):
    return replace(near, distance=near.distance[:number], lag=near.lag[:number], values=near.values[:number])
