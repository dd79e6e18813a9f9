"""Joint Gaussian of the series of stations and their lags, by MAP-EM.

Values have the shape (time, station), and (time, (2L + 1) station) if the lags −L, …, L are stacked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import lapack, toeplitz
from scipy.optimize import least_squares

# Smallest eigenvalue of a correlation.
LEAST = 1e-3
# Numbers of common times from which the correlation of a pair is used, is used alone, and has full weight.
PAIRED, ALONE, FULL = 50, 100, 500
# Weight with which the departure from the climatology is shrunk towards 0, as a number of observations.
MEAN = 5.0
# Steps of EM are lengthened by this factor, which halves their number (Salakhutdinov and Roweis, 2003).
RELAXATION = 1.6
# Default of `sample`.
SAMPLE = 3000


def stacked(z: np.ndarray, lags: int) -> np.ndarray:
    """Return z(t − L), …, z(t + L) side by side, NaN before the first and after the last time."""
    padded = np.pad(z, ((lags, lags), (0, 0)), constant_values=np.nan)
    return np.concatenate([padded[k : k + len(z)] for k in range(2 * lags + 1)], axis=1)


def correlations(z: np.ndarray, lag: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ zᵢ(t) zⱼ(t + lag) / √(Σ zᵢ² Σ zⱼ²) over the common times, and their number."""
    first, second = z[: max(0, len(z) - lag)], z[lag:]
    a, b = np.isfinite(first).astype(float), np.isfinite(second).astype(float)
    x, y = np.where(a > 0, first, 0), np.where(b > 0, second, 0)
    norm = np.sqrt((x**2).T @ b * (a.T @ y**2))
    product = x.T @ y
    return np.divide(product, norm, out=np.zeros_like(product), where=norm > 1e-12), a.T @ b


def prior(
    z: np.ndarray,
    distance: np.ndarray,
    height: np.ndarray,
    lags: int,
    kind: np.ndarray | None = None,
    same: np.ndarray | None = None,
) -> np.ndarray:
    """Return T ⊗ S₀: a correlation of the distances, and the pooled autocorrelation of the series.

    S₀ = a exp(−(√((d/ℓ)² + (Δh/h)²))ᵖ), a ≤ 1, p ≤ 2, off the diagonal, fitted to the correlations of pairs;
    their mean without distances. Between two variables, S₀ has the same form with an a of either sign and
    scales of its own, fitted to the pairs of both, and at the same station it is their mean correlation.

    Parameters
    ----------
    z : array, shape (time, station)
        Standardised anomalies.
    distance, height : array, shape (station, station)
        Distance and difference of height of each pair; distances are infinite where unknown.
    lags : int
        L.
    kind : array of int, shape (station,), optional
        Number of the variable of each series, if there are several.
    same : array of bool, shape (station, station), optional
        Whether two series are from the same station.
    """
    if kind is None or same is None:
        space = _of_places(z, distance, height)(distance, height)
    else:
        space = _of_variables(z, distance, height, kind, same)
    np.fill_diagonal(space, 1)
    pooled = [_pooled(z, lag) for lag in range(2 * lags + 1)]
    return np.kron(_positive(toeplitz(pooled)), _positive(space))


Correlation = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _of_places(z: np.ndarray, distance: np.ndarray, height: np.ndarray) -> Correlation:
    """Fit a correlation to all pairs of one variable; return it as a function of distance and height."""
    r, count = correlations(z)
    np.fill_diagonal(count, 0)
    return _of_pairs(r, count, distance, height, np.triu(np.ones_like(count, dtype=bool)))


def _of_variables(
    z: np.ndarray, distance: np.ndarray, height: np.ndarray, kind: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """Return the correlation of all series of several variables; see :func:`prior`."""
    r, count = correlations(z)
    own = [np.flatnonzero(kind == k) for k in np.unique(kind)]
    space = np.empty_like(r)
    for v, w in itertools.combinations_with_replacement(range(len(own)), 2):
        block = np.ix_(own[v], own[w])
        place, here = (distance[block], height[block]), same[block]
        if v == w:
            found = _of_places(z[:, own[v]], *place)(*place)
        else:
            weight = np.minimum(count[block], FULL)
            sign = -1 if (weight * r[block]).sum() < 0 else 1
            apart = np.where(here, 0, count[block])
            found = sign * _of_pairs(sign * r[block], apart, *place, ~here)(*place)
            found[here] = (weight * r[block])[here].sum() / max(1.0, weight[here].sum())
        space[block], space[block[1].T, block[0].T] = found, found.T
    return space


def _of_pairs(
    r: np.ndarray, count: np.ndarray, distance: np.ndarray, height: np.ndarray, where: np.ndarray
) -> Correlation:
    """Fit a positive correlation to some pairs; the mean of all if no distance is known."""
    known, weight = count > min(PAIRED, count.max() / 2), np.minimum(count, FULL)
    near = known & where & np.isfinite(distance)
    if not near.any():
        mean = ((r * weight)[known].sum() / max(1.0, weight[known].sum())).clip(0)
        return lambda d, h: np.full(d.shape, mean)
    d, h, rho, root = distance[near], height[near], r[near], np.sqrt(weight[near])
    long, high = max(np.median(d), 1e-6), max(np.median(h), 1e-6)

    def model(q: np.ndarray, d: np.ndarray, h: np.ndarray) -> np.ndarray:
        a, length, height, p = q
        far = (d / long / np.exp(length)) ** 2 + (h / high / np.exp(height)) ** 2
        return np.asarray(a * np.exp(-(far ** (p / 2))))

    found = least_squares(
        lambda q: root * (model(q, d, h) - rho),
        [0.9, 0.0, 3.0, 1.0],
        bounds=([0, -8, -8, 0.1], [1, 8, 8, 2]),
    )

    def at(d: np.ndarray, h: np.ndarray) -> np.ndarray:
        there = np.isfinite(d)
        return np.where(there, model(found.x, np.where(there, d, 0), h), 0)

    return at


def _pooled(z: np.ndarray, lag: int) -> float:
    first, second = z[: max(0, len(z) - lag)], z[lag:]
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both], second[both]
    norm = np.sqrt((x**2).sum() * (y**2).sum())
    return float(x @ y / norm) if norm > 0 else float(lag == 0)


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Raise the eigenvalues to 1e-3 and scale the diagonal back to 1."""
    mended = _raised(matrix)
    back = 1 / np.sqrt(np.diag(mended))
    return np.asarray(mended * np.outer(back, back))


def _raised(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * values.clip(LEAST)) @ vectors.T)


def start(z: np.ndarray, base: np.ndarray, lags: int) -> np.ndarray:
    """Return w r + (1 − w) S₀, made positive definite; w = min(1, c/100) for pairs with c common times."""
    n = z.shape[1]
    out = base.copy()
    for lag in range(2 * lags + 1):
        r, count = correlations(z, lag)
        part = np.minimum(1, count / ALONE)
        for k in range(2 * lags + 1 - lag):
            here, there = slice(k * n, (k + 1) * n), slice((k + lag) * n, (k + lag + 1) * n)
            mixed = part * r + (1 - part) * base[here, there]
            out[here, there], out[there, here] = mixed, mixed.T
    return _positive(out)


def patterns(y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the times that have the same values observed, and the indices of these values."""
    if not len(y):
        return
    masks, which = np.unique(np.isfinite(y), axis=0, return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=len(masks)))
    for mask, rows in zip(masks, np.split(order, ends[:-1]), strict=True):
        yield rows, np.flatnonzero(mask)


def precision(s: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Return the inverse of S_oo."""
    if not len(o):
        return np.zeros((0, 0))
    # LAPACK fills the lower triangle, and scipy leaves zeros in the upper.
    lower, _ = lapack.dpotri(lapack.dpotrf(s[o[:, None], o], lower=1)[0], lower=1)
    inverse = lower + lower.T
    inverse.flat[:: len(o) + 1] /= 2
    return np.asarray(inverse)


def maximise(
    z: np.ndarray,
    design: np.ndarray,
    base: np.ndarray,
    *,
    lags: int,
    weight: float = 600.0,
    steps: int = 12,
    seed: int = 0,
    first: np.ndarray | None = None,
    sample: int = SAMPLE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of `z` and the covariance of its stacked values, by over-relaxed MAP-EM.

    With P = S_oo⁻¹, 0 where nothing is observed, and g = P (y − m), the expectation of y − m is S g, and its
    covariance S − S P S. A step therefore needs no more than the sums of g gᵀ and of P.

    Parameters
    ----------
    z : array, shape (time, station)
        Standardised anomalies, NaN in the gaps.
    design : array, shape (time, term)
        Terms of the mean: 1, and harmonics of the year.
    base : array, shape ((2 lags + 1) station, (2 lags + 1) station)
        S₀, the mode of the prior of the covariance.
    lags : int
        L.
    weight : float
        ν, the weight of the prior, as a number of times.
    steps : int
        Number of steps.
    seed : int
        Seed of the times from which the steps are computed in a long record.
    first : array, optional
        Covariance at the first step; by default, that of :func:`start`.
    sample : int
        Number of times, drawn at random, from which each step is computed in a longer record.

    Returns
    -------
    mean : array, shape (time, station)
    covariance : array, with the shape of `base`
    """
    generator = np.random.default_rng(seed)
    n = z.shape[1]
    s, mean = start(z, base, lags) if first is None else first, np.zeros((design.shape[1], n))
    centre = slice(lags * n, (lags + 1) * n)
    some = np.flatnonzero(np.isfinite(stacked(z, lags)).any(1))
    for _ in range(steps):
        at = some if len(some) <= sample else np.sort(generator.choice(some, sample, replace=False))
        y, h = stacked(z - design @ mean, lags)[at], design[at]
        g, total = np.zeros(y.shape), np.zeros_like(s)
        for rows, o in patterns(y):
            p = precision(s, o)
            g[rows[:, None], o] = y[rows[:, None], o] @ p
            total[o[:, None], o] += len(rows) * p
        change = h.T @ (g @ s[:, centre]) - MEAN * mean
        mean = mean + RELAXATION * np.linalg.solve(h.T @ h + MEAN * np.eye(h.shape[1]), change)
        moment = s @ (g.T @ g - total) @ s + len(at) * s
        new = stationary((moment + weight * base) / (len(at) + weight), lags)
        bold = s + RELAXATION * (new - s)
        s = next(c for c in (bold, new, _raised(new)) if _definite(c))
    return design @ mean, s


def stationary(s: np.ndarray, lags: int) -> np.ndarray:
    """Average the blocks with the same difference of lags."""
    width = 2 * lags + 1
    n = len(s) // width
    blocks = s.reshape(width, n, width, n).transpose(0, 2, 1, 3)
    out = np.empty_like(blocks)
    for lag in range(width):
        mean = np.mean([blocks[k, k + lag] for k in range(width - lag)], axis=0)
        for k in range(width - lag):
            out[k, k + lag], out[k + lag, k] = mean, mean.T
    out = out.transpose(0, 2, 1, 3).reshape(s.shape)
    return np.asarray((out + out.T) / 2)


def _definite(s: np.ndarray) -> bool:
    return bool(lapack.dpotrf(s - 0.1 * LEAST * np.eye(len(s)), lower=1)[1] == 0)


def of_others(y: np.ndarray, s: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimate each value at lag 0 from the values of all other stations, at all lags.

    Without the values b of the station itself, P loses P_·b P_bb⁻¹ P_b·, and P_bb⁻¹ g_b is the departure of
    these values from their estimate by the others.

    Parameters
    ----------
    y : array, shape (time, (2 lags + 1) station)
        Stacked departures from the mean, NaN in the gaps.
    s : array, shape ((2 lags + 1) station, (2 lags + 1) station)
        Covariance of these.
    lags : int
        L.

    Returns
    -------
    estimate, variance : array, shape (time, station)
    """
    width = 2 * lags + 1
    n = len(s) // width
    x, variance = np.empty((len(y), n)), np.empty((len(y), n))
    centre = lags * n + np.arange(n)
    own = np.arange(width) * n + np.arange(n)[:, None]
    for rows, o in patterns(y):
        p, g = precision(s, o), np.zeros((len(rows), width * n))
        g[:, o] = y[rows[:, None], o] @ p
        share = s[np.ix_(centre, o)] @ p
        # P_bb and S_·o P at the station's own values, with the identity and 0 where these are missing.
        there = np.isin(own, o)
        block, part = np.broadcast_to(np.eye(width), (n, width, width)), np.zeros((n, width))
        if len(o):
            at = np.searchsorted(o, own).clip(0, len(o) - 1)
            both = there[:, :, None] & there[:, None, :]
            block = np.where(both, p[at[:, :, None], at[:, None, :]], block)
            part = np.where(there, np.take_along_axis(share, at, 1), 0)
        inner = np.linalg.inv(block)
        departure = np.einsum("iab,tib->tia", inner, g[:, own])
        left = s[centre, centre] - (share * s[np.ix_(centre, o)]).sum(1)
        left += np.einsum("ia,iab,ib->i", part, inner, part)
        seen = there[:, lags]
        x[rows] = g @ s[:, centre] - (departure * part).sum(-1)
        x[np.ix_(rows, seen)] = y[np.ix_(rows, centre[seen])] - departure[:, seen, lags]
        variance[rows] = np.where(seen, inner[:, lags, lags], left)
    return x, variance.clip(1e-8)


def neighbourhoods(z: np.ndarray, distance: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split many stations into groups of neighbours, and yield each with the stations around it.

    The stations farthest from the first come first, so that no group is left with scattered ones. Without
    distances, the nearest stations are those with the highest correlation.

    Yields
    ------
    group : array of int
        Stations to estimate; every station is in one group.
    members : array of int
        These stations, and then their nearest others, `most` stations in all.
    """
    n = len(distance)
    if n <= most:
        yield np.arange(n), np.arange(n)
        return
    far = distance if np.isfinite(distance[~np.eye(n, dtype=bool)]).any() else 1 - correlations(z)[0]
    left = np.argsort(-far[0], kind="stable")
    while len(left):
        ranked = left[np.argsort(far[left[0], left], kind="stable")]
        group = np.r_[left[0], ranked[ranked != left[0]][: max(1, most // 2) - 1]]
        left = left[~np.isin(left, group)]
        others = np.argsort(far[group].min(0), kind="stable")
        others = others[~np.isin(others, group)]
        yield group, np.r_[group, others[: most - len(group)]]
