"""Calibration of error bars on known errors: a model of σ, and factors from σ to intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import xarray as xr
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

from da4dvar.errors import DataError

LEVELS = (*(round(0.05 * k, 2) for k in range(1, 20)), 0.98, 0.99)
ONE_SIGMA = float(2 * ndtr(1) - 1)
FEWEST = 50
Field = TypeVar("Field", np.ndarray, xr.DataArray)
MOST = 200_000
# Largest exponent e; with 1, a cell observed a tenth as often has ten times the error.
MOST_SPARSITY = 1.0


@dataclass(frozen=True)
class Calibration:
    """σ² = (a² + b² s² + c² g² + d² r) f⁻²ᵉ, and q_p such that a fraction p of the errors lies within q_p σ.

    s is the spread of an ensemble, g the standard error of the first guess, r the distance to the nearest
    observation, with which the variance grows as in a random walk, and f the share of the times at which the
    cell is observed: a covariance or an ensemble that suits one sampling is rarely as good for another. The
    coefficients a to d and the exponent e minimise the mean CRPS of N(x̂, σ²) (Gneiting et al., 2005) at
    hidden points. q_p is the finite-sample quantile of the normalised errors abs(x − x̂)/σ at these points,
    as in split conformal prediction (Papadopoulos et al., 2002; Lei et al., 2018, "Distribution-free
    predictive inference for regression"). New points are covered with probability p or more if they are
    exchangeable with the hidden points.

    Parameters
    ----------
    floor : float
        a, in the units of the variable.
    spread, guess : float
        b and c, dimensionless.
    distance : float
        d, in the units of the variable at a distance of one cell.
    reach : float
        Largest r in the calibration data; larger distances are reduced to it.
    levels, factors : tuple of float
        Increasing levels p, and their q_p.
    points : int
        Number of errors in the calibration data.
    sparsity : float
        e, dimensionless.
    sparsest : float
        Smallest f in the calibration data; smaller shares are raised to it.

    Examples
    --------
    >>> known = Calibration(0.3, 2.0, 0.0, 0.0, 0.0, levels=(0.5, 0.9), factors=(0.7, 1.8), points=1000)
    >>> float(known.sigma(np.array(0.2), 0.0, np.array(0.0))), round(known.factor(0.9), 1)  # √(0.3² + 0.4²)
    (0.5, 1.8)
    """

    floor: float
    spread: float
    guess: float
    distance: float
    reach: float
    levels: tuple[float, ...]
    factors: tuple[float, ...]
    points: int
    sparsity: float = 0.0
    sparsest: float = 1.0

    @classmethod
    def fit(
        cls,
        error: np.ndarray,
        spread: np.ndarray,
        guess: np.ndarray | None = None,
        distance: np.ndarray | None = None,
        share: np.ndarray | None = None,
    ) -> Self:
        """Fit a calibration to known errors and their predictors.

        Parameters
        ----------
        error, spread : array
            x − x̂ and s, in the units of the variable.
        guess : array, optional
            g, in the same units; zero or NaN where unknown.
        distance : array, optional
            r, in cells.
        share : array, optional
            f, from 0 to 1.

        Returns
        -------
        Calibration
            Fitted calibration.

        Raises
        ------
        DataError
            If there are fewer than 50 points.

        Examples
        --------
        >>> generator = np.random.default_rng(0)
        >>> s = generator.uniform(1, 3, 20_000)
        >>> fitted = Calibration.fit(2 * s * generator.standard_normal(s.size), s)
        >>> round(fitted.spread, 1), round(fitted.factor(0.9), 1)
        (2.0, 1.6)
        """
        known = np.isfinite(error) & np.isfinite(spread)
        e, s = (np.asarray(a, "float64")[known] for a in (error, spread))
        g = np.zeros(e.size) if guess is None else np.nan_to_num(guess[known].astype("float64"))
        r = np.zeros(e.size) if distance is None else distance[known].astype("float64")
        f = np.ones(e.size) if share is None else share[known].astype("float64")
        if e.size < FEWEST:
            raise DataError(
                f"{e.size} points are both hidden and estimated, expected {FEWEST} or more; hide more of them"
            )
        reach = float(r[np.isfinite(r)].max(initial=0.0))
        sparsest = float(f[f > 0].min(initial=1.0))
        squares = (s**2, g**2, r.clip(max=reach))
        variances, sparsity = _lowest_crps(e, squares, f.clip(min=sparsest))
        a, b, c, d = map(float, np.sqrt(variances))
        bare = cls(a, b, c, d, reach, (), (), int(e.size), sparsity, sparsest)
        scores = np.sort(np.abs(e) / np.maximum(bare.sigma(s, g, r, f), np.finfo(float).tiny))
        ranks = {p: int(np.ceil(p * (e.size + 1))) for p in LEVELS}
        levels = tuple(p for p, rank in ranks.items() if rank <= e.size)
        factors = tuple(float(scores[ranks[p] - 1]) for p in levels)
        return replace(bare, levels=levels, factors=factors)

    def sigma(
        self, spread: Field, guess: Field | float, distance: Field, share: Field | float = 1.0
    ) -> Field:
        """√(a² + b² s² + c² g² + d² r) f⁻ᵉ, for NumPy arrays and DataArrays.

        Parameters
        ----------
        spread, guess : array, DataArray or float
            s and g, in the units of the variable.
        distance : array or DataArray
            r, in cells.
        share : array, DataArray or float
            f, from 0 to 1.

        Returns
        -------
        array or DataArray
            σ, in the units of the variable.
        """
        spreads = (self.spread * spread) ** 2 + (self.guess * guess) ** 2
        sigma = (self.floor**2 + spreads + self.distance**2 * distance.clip(max=self.reach)) ** 0.5
        if self.sparsity:
            sigma = sigma * np.clip(share, self.sparsest, None) ** -self.sparsity
        return sigma

    def factor(self, level: float) -> float:
        """Return q_p; between two levels, q_p / Φ⁻¹((1 + p)/2) is interpolated linearly in p.

        Parameters
        ----------
        level : float
            p, between 0 and 1.

        Returns
        -------
        float
            Dimensionless factor.

        Raises
        ------
        DataError
            If the level is outside the range of the calibration.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise DataError(
                f"interval: got {level:g}, but the calibration from {self.points} points supports only "
                f"levels from {self.levels[0]:g} to {self.levels[-1]:g}"
            )
        ratios = np.array(self.factors) / ndtri((1 + np.array(self.levels)) / 2)
        return float(np.interp(level, self.levels, ratios) * ndtri((1 + level) / 2))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Create a calibration from the result of ``dataclasses.asdict``, also if it was stored as JSON.

        Parameters
        ----------
        table : mapping
            Fields of the calibration.

        Returns
        -------
        Calibration
            Stored calibration.
        """
        levels, factors = (tuple(map(float, table[k])) for k in ("levels", "factors"))
        numbers = {k: v for k, v in table.items() if k not in ("levels", "factors")}
        return cls(levels=levels, factors=factors, **numbers)


def _lowest_crps(
    error: np.ndarray, squares: Sequence[np.ndarray], share: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the coefficients of 1 and of `squares` in σ², and e, none negative, of the lowest mean CRPS.

    The derivative of the CRPS with respect to σ is 2φ(z) − 1/√π, z = e/σ.
    """
    if error.size > MOST:
        kept = np.linspace(0, error.size - 1, MOST).astype(int)
        error, squares, share = error[kept], [s[kept] for s in squares], share[kept]
    unit = np.sqrt(np.mean(error**2))
    means = np.array([1.0, *(s.mean() for s in squares)])
    used = means > 0
    if not unit > 0:
        return np.zeros(means.size), 0.0
    # Terms relative to the mean square error have similar sizes, whatever the units of the data.
    terms = np.stack([np.ones_like(error), *squares])[used] / means[used, None]
    size, rarity = np.abs(error) / unit, -np.log(share)
    # A share that is the same everywhere tells nothing that the other terms do not.
    most = MOST_SPARSITY if np.ptp(rarity) > 1e-6 else 0.0

    def crps(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, sparsity = parameters[:-1], parameters[-1]
        growth = np.exp(sparsity * rarity)
        sigma = np.sqrt(weights @ terms + 1e-10) * growth
        z = size / sigma
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        score = sigma * (z * (2 * ndtr(z) - 1) + 2 * density - np.pi**-0.5)
        slope = 2 * density - np.pi**-0.5
        gradient = [*(terms @ (slope * growth**2 / (2 * sigma))), slope @ (sigma * rarity)]
        return float(score.mean()), np.array(gradient) / size.size

    begin = np.append(np.full(used.sum(), 1 / used.sum()), 0.0)
    bounds = [(0, None)] * used.sum() + [(0, most)]
    found = minimize(crps, begin, jac=True, method="L-BFGS-B", bounds=bounds)
    out = np.zeros(means.size)
    out[used] = found.x[:-1] * unit**2 / means[used]
    return out, float(found.x[-1])


def levels_of(interval: float | Sequence[float]) -> tuple[float, ...]:
    """Return the levels of one or several intervals as a tuple.

    Raises
    ------
    DataError
        If a level is not a number above 0 and below 1.
    """
    given: Any = interval
    levels = tuple(given) if np.iterable(given) and not isinstance(given, str) else (given,)
    for level in levels:
        if not isinstance(level, float | np.floating) or not 0 < level < 1:
            raise DataError(f"interval: got {level!r}, expected numbers above 0 and below 1, such as 0.9")
    return levels
