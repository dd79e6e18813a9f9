"""Random fields with a given covariance, alone and given observations, that do not depend on the grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ive, ndtri

from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.variational.kernels import Separable, SumOfSeparable

# Number of waves in a draw of a term, and of cells for which they are stored at once.
WAVES, CELLS = 1024, 4000
# Degrees of freedom of the spectral density of each form, a multivariate t distribution; None for a Gaussian.
FREEDOM = {"exponential": 1, "matern32": 3, "matern52": 5, "gaussian": None}
HARMONICS = 200  # of a term with a period
# Number of draws, and their seed, from which the standard deviation of all others is known.
TRIALS, TRIAL = 4, 2**31

Estimate = Callable[[Analysis, np.ndarray], np.ndarray]


def unconditional(
    covariance: SumOfSeparable, place: np.ndarray, clock: np.ndarray, seed: Sequence[int]
) -> np.ndarray:
    """Return Σ_q s_q / √n Σ_k a_k cos(ω_k·p + ν_k t) + b_k sin(ω_k·p + ν_k t), a draw of a random field.

    ω and ν are drawn from the spectral density of term q, and a and b from N(0, 1), so that the covariance
    over many draws is exactly K (Rahimi and Recht, 2007, "Random features for large-scale kernel machines").
    The value at a point depends on its coordinates and the seed only, not on the other points.

    Parameters
    ----------
    covariance : SumOfSeparable
        K; the nugget is ignored.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells, in the units of the lengths of the covariance.
    clock : array, shape (time,)
        Times, in the units of the durations of the covariance.
    seed : sequence of int
        Random seed.

    Returns
    -------
    array of float, shape (time, cell)

    Examples
    --------
    >>> kernel = SumOfSeparable((Separable(1.0, 100.0, 5.0),), nugget=0.0)
    >>> place, clock = np.array([[0.0], [50.0]]), np.arange(3.0)
    >>> whole, part = (unconditional(kernel, p, clock, [0, 1]) for p in (place, place[1:]))
    >>> bool(np.allclose(whole[:, 1:], part, atol=1e-5))
    True
    """
    out = np.zeros((len(clock), len(place)), "float32")
    for along, beats, a, b in waves(covariance, place.shape[1], seed):
        phase = clock[:, None] * beats
        cosine, sine = np.cos(phase), np.sin(phase)
        even, odd = (a * cosine + b * sine).astype("float32"), (b * cosine - a * sine).astype("float32")
        for begin in range(0, len(place), CELLS):
            some = slice(begin, begin + CELLS)
            wave = along @ place[some].T
            out[:, some] += even @ np.cos(wave).astype("float32") + odd @ np.sin(wave).astype("float32")
    return out


def unconditional_at(
    covariance: SumOfSeparable, place: np.ndarray, clock: np.ndarray, seed: Sequence[int]
) -> np.ndarray:
    """Return the draw of :func:`unconditional` at points, each with its own place and time.

    Parameters
    ----------
    covariance : SumOfSeparable
        K; the nugget is ignored.
    place : array, shape (point, axis)
        Cartesian coordinates.
    clock : array, shape (point,)
        Times.
    seed : sequence of int
        Random seed.

    Returns
    -------
    array of float, shape (point,)

    Examples
    --------
    >>> kernel = SumOfSeparable((Separable(1.0, 100.0, 5.0),), nugget=0.0)
    >>> place, clock = np.array([[0.0], [50.0]]), np.array([1.0, 4.0])
    >>> field = unconditional(kernel, place, clock, [0, 1])
    >>> bool(np.allclose(unconditional_at(kernel, place, clock, [0, 1]), field.diagonal(), atol=1e-5))
    True
    """
    out = np.zeros(len(clock))
    for along, beats, a, b in waves(covariance, place.shape[1], seed):
        for begin in range(0, len(clock), CELLS):
            some = slice(begin, begin + CELLS)
            wave = place[some] @ along.T + clock[some, None] * beats
            out[some] += np.cos(wave) @ a + np.sin(wave) @ b
    return out


def waves(
    covariance: SumOfSeparable, axes: int, seed: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield ω, ν, s a / √n and s b / √n of each term of a draw."""
    for number, term in enumerate(covariance.terms):
        generator = np.random.default_rng([*seed, number])
        along = frequencies(term.space, axes, generator) / term.length
        beats = frequencies(term.time, 1, generator)[:, 0] / term.duration + cycle(term, generator)
        a, b = generator.standard_normal((2, WAVES)) * np.sqrt(term.variance / WAVES)
        yield along, beats, a, b


def frequencies(form: str, axes: int, generator: np.random.Generator) -> np.ndarray:
    """Return frequencies from the spectral density of a form of scale 1, of shape (wave, axis)."""
    normal = generator.standard_normal((WAVES, axes))
    freedom = FREEDOM[form]
    if freedom is None:
        return normal
    return normal / np.sqrt(generator.chisquare(freedom, (WAVES, 1)) / freedom)


def cycle(term: Separable, generator: np.random.Generator) -> np.ndarray:
    """Return frequencies from the Fourier coefficients exp(−1/w²) I_m(1/w²) of the factor of a period."""
    if term.period is None:
        return np.zeros(WAVES)
    orders = np.arange(-HARMONICS, HARMONICS + 1)
    chance = ive(orders, 1 / term.width**2)
    drawn: np.ndarray = generator.choice(orders, WAVES, p=chance / chance.sum())
    return drawn * 2 * np.pi / term.period


def white(place: np.ndarray, steps: int, seed: Sequence[int]) -> np.ndarray:
    """Return draws from N(0, 1) that depend on the place of a cell and the seed only.

    Parameters
    ----------
    place : array, shape (cell, axis)
        Coordinates of the cells.
    steps : int
        Number of times.
    seed : sequence of int
        Random seed.

    Returns
    -------
    array of float, shape (time, cell)

    Examples
    --------
    >>> place = np.array([[0.0, 1.0], [2.0, 1.0]])
    >>> bool((white(place, 3, [0])[:, 1:] == white(place[1:], 3, [0])).all())
    True
    """
    key = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    # The rounding is that of coordinates in single precision.
    for axis in place.astype("float64").round(3).T:
        key = mixed(key ^ (axis * 1000).round().astype("int64").view(np.uint64))
    bits = mixed(key ^ mixed(np.arange(steps, dtype=np.uint64))[:, None])
    # Cells without coordinates, as of a single series, have one key.
    uniform = ((bits >> np.uint64(11)) + 0.5) * 2.0**-53
    return np.broadcast_to(ndtri(uniform), (steps, len(place))).astype("float32")


def mixed(bits: np.ndarray) -> np.ndarray:
    """Return a hash of 64-bit integers, that of SplitMix64 (Steele et al., 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: np.ndarray = bits ^ (bits >> np.uint64(31))
    return out


@dataclass(frozen=True)
class Window:
    """Times that are solved together.

    Attributes
    ----------
    part : array of int
        Indices of the times, in ascending order of the times.
    weight : array, shape (time, 1)
        Weights of the estimates in the mean over windows that overlap.
    """

    part: np.ndarray
    weight: np.ndarray


def windows(clock: np.ndarray, steps: int) -> list[Window]:
    """Return windows of `steps` times that overlap by half; one window if there are no more times than that.

    Estimates are weighted by the distance to the end of the window.

    Examples
    --------
    >>> [w.part for w in windows(np.arange(6.0), 4)]
    [array([0, 1, 2, 3]), array([2, 3, 4, 5])]
    """
    order = np.argsort(clock, kind="stable")
    number = 1 if steps >= len(clock) else int(np.ceil(2 * len(clock) / steps)) - 1
    begins = np.linspace(0, max(0, len(clock) - steps), number).round().astype(int)
    out = []
    for begin in begins:
        part = order[begin : begin + steps]
        ends = np.minimum(np.arange(1, len(part) + 1), np.arange(len(part), 0, -1))
        out.append(Window(part, ends[:, None].astype("float64")))
    return out


def joined(parts: Sequence[Window], each: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weighted mean of fields of shape (time, cell), one for each window.

    Examples
    --------
    >>> parts = windows(np.arange(6.0), 4)
    >>> joined(parts, [np.full((4, 1), k) for k in (0.0, 3.0)]).ravel()
    array([0., 0., 1., 2., 3., 3.])
    """
    steps = 1 + max(int(window.part.max()) for window in parts)
    out, total = np.zeros((steps, each[0].shape[1])), np.zeros((steps, 1))
    for window, field in zip(parts, each, strict=True):
        out[window.part] += window.weight * field
        total[window.part] += window.weight
    return out / total


def variance_of(
    draw: Callable[[Sequence[int]], np.ndarray], known: np.ndarray, trials: int = TRIALS
) -> np.ndarray:
    """Return the variance of draws, which is known but for a factor that depends on this variance.

    Parameters
    ----------
    draw : callable
        Maps a seed to a draw.
    known : array
        Variances, of the shape of a draw.
    trials : int
        Number of draws from which the factor is known.

    Returns
    -------
    array

    Examples
    --------
    >>> def draw(seed):
    ...     return 2 * np.random.default_rng(seed).standard_normal(10_000)
    >>> float(variance_of(draw, np.ones(10_000)).mean().round(1))
    4.0
    """
    drawn = sum(np.square(draw([TRIAL, k])) for k in range(trials)) / trials
    # Classes as wide as a factor of 2 in variance, between which the ratio is interpolated.
    row = np.floor(np.log2(known)).astype(int)
    classes, row = np.unique(row, return_inverse=True)
    ratio = np.bincount(row.ravel(), drawn.ravel()) / np.bincount(row.ravel(), known.ravel())
    out: np.ndarray = known * np.interp(np.log2(known), classes + 0.5, ratio)
    return out


class Deviations:
    """d = x_s − K Hᵀ (H K Hᵀ + ε² I)⁻¹ (H x_s + e_s): draws of the error of an analysis.

    x_s and e_s are draws from the covariance without observations, and of the observation error (Journel and
    Huijbregts, 1978). An analysis plus d is a draw of the field given the observations. All windows of time
    use the same x_s and e_s.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
        Where there are observations.
    place : array, shape (cell, axis)
        Cartesian coordinates of the cells.
    clock : array, shape (time,)
        Times.
    covariance : SumOfSeparable
        K and ε².
    parts : sequence of Window
        Windows of time that are solved together.
    shape : tuple of int, optional
        See :class:`da4dvar.baselines.solve_kernels.Analysis`.
    iterations : int
        See :class:`da4dvar.baselines.solve_kernels.Analysis`.
    estimate : callable
        Maps an analysis and anomalies to the estimate.

    Examples
    --------
    >>> kernel = SumOfSeparable((Separable(1.0, 1.0, 2.0, time="gaussian"),), nugget=0.01)
    >>> seen, place, clock = np.array([[True], [False], [True]]), np.zeros((1, 1)), np.arange(3.0)
    >>> draw = Deviations(seen, place, clock, kernel, windows(clock, 3), None, 400, Analysis.estimate)
    >>> np.std([draw([0, k]) for k in range(500)], axis=0).round(1).ravel()
    array([0.1, 0.2, 0.1], dtype=float32)
    """

    def __init__(
        self,
        seen: np.ndarray,
        place: np.ndarray,
        clock: np.ndarray,
        covariance: SumOfSeparable,
        parts: Sequence[Window],
        shape: tuple[int, ...] | None,
        iterations: int,
        estimate: Estimate,
    ) -> None:
        self.place, self.clock, self.covariance, self.parts = place, clock, covariance, parts
        self.solve = estimate
        self.each = [
            Analysis(seen[w.part], place, clock[w.part], covariance, shape, iterations) for w in parts
        ]
        self.nugget = self.each[0].nugget

    def standardised(self, neighbours: int) -> Callable[[Sequence[int]], np.ndarray]:
        """Return a function that draws (d + e) / √(σ² + ε²), of variance 1 everywhere.

        The standard error that is computed from neighbours is larger than that of all observations. A few
        draws tell the ratio, in classes of the standard error.

        Parameters
        ----------
        neighbours : int
            Number of observations from which the standard error of the analysis is computed.

        Returns
        -------
        callable
            Maps a seed to a draw of shape (time, cell). e are independent draws of variance ε².
        """
        known = np.square(joined(self.parts, [a.standard_error(neighbours) for a in self.each]))
        scale = (1 / np.sqrt(variance_of(self, known) + self.nugget)).astype("float32")

        def draw(seed: Sequence[int]) -> np.ndarray:
            unresolved = np.sqrt(self.nugget) * white(self.place, len(self.clock), [*seed, 2])
            out: np.ndarray = scale * (self(seed) + unresolved)
            return out

        return draw

    def __call__(self, seed: Sequence[int]) -> np.ndarray:
        """Return d, of shape (time, cell), for a seed."""
        field = unconditional(self.covariance, self.place, self.clock, [*seed, 0])
        noise = np.sqrt(self.nugget) * white(self.place, len(self.clock), [*seed, 1])
        y = field + noise
        towards = [self.solve(a, y[w.part]) for w, a in zip(self.parts, self.each, strict=True)]
        out: np.ndarray = field - joined(self.parts, towards).astype("float32")
        return out
