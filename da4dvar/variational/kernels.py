"""Covariances of a field in space and time: sums of products of a kernel in space and one in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from da4dvar.errors import DataError, nearest

ROOT3, ROOT5 = 3**0.5, 5**0.5
# Correlations ρ(u) of a scaled distance u ≥ 0, from the roughest to the smoothest.
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda u: np.exp(-u),
    "matern32": lambda u: (1 + ROOT3 * u) * np.exp(-ROOT3 * u),
    "matern52": lambda u: (1 + u * (ROOT5 + u * (5 / 3))) * np.exp(-ROOT5 * u),
    "gaussian": lambda u: np.exp(-0.5 * u * u),
}


@dataclass(frozen=True)
class Separable:
    """s² ρₛ(d/L) ρₜ(τ/T) exp(−2 sin²(πτ/P)/w²), one term of a covariance.

    The forms ρ are ``exponential``, exp(−u), which is the Matérn kernel of ν = 1/2; ``matern32``,
    (1 + √3 u) exp(−√3 u); ``matern52``, (1 + √5 u + 5u²/3) exp(−√5 u); and ``gaussian``, exp(−u²/2). The last
    factor is there only if the term has a period P (Rasmussen and Williams, 2006, chapter 4).

    Parameters
    ----------
    variance : float
        s², in squared units of the variable.
    length, duration : float
        L and T, in the units of d (km, cells) and τ (days, steps). Infinite for a term that does not vary in
        space, or in time.
    space, time : str
        Forms of ρₛ and ρₜ.
    period : float, optional
        P, in the units of τ.
    width : float
        w, without units: the smaller, the more the cycle departs from a sine.

    Raises
    ------
    DataError
        If a scale is not above 0, or there is no such form.

    Examples
    --------
    >>> term = Separable(variance=2.0, length=100.0, duration=5.0, space="matern32", time="exponential")
    >>> term(np.array([0.0, 100.0]), np.array([0.0, 5.0])).round(3)
    array([2.   , 0.356])
    """

    variance: float
    length: float
    duration: float
    space: str = "matern32"
    time: str = "exponential"
    period: float | None = None
    width: float = 1.0

    def __post_init__(self) -> None:
        for name in ("length", "duration", "width"):
            if not getattr(self, name) > 0:
                raise DataError(f"{name} is {getattr(self, name)}, expected more than 0")
        if not 0 <= self.variance < np.inf:
            raise DataError(f"variance is {self.variance}, expected 0 or more")
        if self.period is not None and not 0 < self.period < np.inf:
            raise DataError(f"period is {self.period}, expected more than 0")
        for form in (self.space, self.time):
            if form not in FORMS:
                raise DataError(f"there is no form {form!r}: {nearest(form, FORMS)}")

    def in_space(self, distance: np.ndarray) -> np.ndarray:
        """Return ρₛ(d/L).

        Parameters
        ----------
        distance : array
            d, in the units of L.

        Returns
        -------
        array
            In the type of `distance`.
        """
        return FORMS[self.space](distance / self.length)

    def in_time(self, lag: np.ndarray) -> np.ndarray:
        """Return ρₜ(τ/T), times the factor of the period if there is one.

        Parameters
        ----------
        lag : array
            τ, in the units of T.

        Returns
        -------
        array
            In the type of `lag`.
        """
        found = FORMS[self.time](np.abs(lag) / self.duration)
        if self.period is not None:
            found = found * np.exp(-2 * np.square(np.sin(np.pi / self.period * lag) / self.width))
        return found

    def __call__(self, distance: np.ndarray, lag: np.ndarray) -> np.ndarray:
        """Return the covariance at distances `distance` and lags `lag`.

        Parameters
        ----------
        distance, lag : array or float
            d and τ, in the units of L and T.

        Returns
        -------
        array
            In squared units of the variable.
        """
        both: np.ndarray = self.variance * (self.in_space(distance) * self.in_time(lag))
        return both


@dataclass(frozen=True)
class SumOfSeparable:
    """C(d, τ) = Σ_q s_q² ρₛ,q(d/L_q) ρₜ,q(τ/T_q), plus ε² for an observation with itself.

    Parameters
    ----------
    terms : sequence of Separable
        The terms q.
    nugget : float
        ε², in squared units of the variable: the variance of the observation error, and of all variations on
        scales shorter than the distance of neighbours.

    Raises
    ------
    DataError
        If there are no terms, or the nugget is below 0.

    Examples
    --------
    >>> short, long = Separable(1.0, 50.0, 2.0), Separable(3.0, 400.0, 20.0)
    >>> SumOfSeparable((short, long), nugget=0.1).variance
    4.0
    """

    terms: tuple[Separable, ...]
    nugget: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        if not self.terms or not 0 <= self.nugget < np.inf:
            raise DataError(
                f"got {len(self.terms)} terms and a nugget of {self.nugget}, "
                "expected one term or more, and 0 or more"
            )

    @property
    def variance(self) -> float:
        """Variance of the field, without the nugget."""
        return sum(term.variance for term in self.terms)

    def __call__(self, distance: np.ndarray, lag: np.ndarray) -> np.ndarray:
        """Return C at distances `distance` and lags `lag`, without the nugget.

        Parameters
        ----------
        distance, lag : array or float
            d and τ, in the units of L and T.

        Returns
        -------
        array
            In squared units of the variable.
        """
        first, *others = (term(distance, lag) for term in self.terms)
        for other in others:
            first = first + other
        return first

    def scales(self, level: float) -> tuple[float, float]:
        """Return the distance and the lag at which a fraction `level` of the variance is left.

        Parameters
        ----------
        level : float
            Fraction, between 0 and 1.

        Returns
        -------
        distance, lag : float
            10⁶ where the covariance does not fall that far.
        """
        grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e6, 2000)])
        distance, lag = (self(*at) / self.variance for at in ((grid, 0 * grid), (0 * grid, grid)))
        return (
            float(np.interp(-level, -distance, grid)),
            float(np.interp(-level, -np.minimum.accumulate(lag), grid)),
        )

    def scaled(self, factor: float) -> SumOfSeparable:
        """Return the covariance of a field that is multiplied by √factor.

        Parameters
        ----------
        factor : float
            Factor of all variances, the nugget included.

        Returns
        -------
        SumOfSeparable
        """
        terms = (Separable(**{**asdict(t), "variance": t.variance * factor}) for t in self.terms)
        return SumOfSeparable(tuple(terms), self.nugget * factor)

    def table(self) -> dict[str, Any]:
        """Return the parameters as a table of a recipe; :func:`covariance_of` is the inverse.

        Returns
        -------
        dict
            ``nugget``, and ``terms`` as a list of tables.
        """
        terms = [{k: v for k, v in asdict(t).items() if v is not None} for t in self.terms]
        return {"nugget": self.nugget, "terms": terms}


def covariance_of(table: Mapping[str, Any]) -> SumOfSeparable:
    """Return the covariance that a table describes; see :meth:`SumOfSeparable.table`.

    Parameters
    ----------
    table : mapping
        ``nugget``, and ``terms`` as a list of tables with the parameters of :class:`Separable`.

    Returns
    -------
    SumOfSeparable

    Raises
    ------
    DataError
        If a parameter is missing, unknown or out of range.

    Examples
    --------
    >>> covariance_of({"nugget": 0.1, "terms": [{"variance": 1.0, "length": 50.0, "duration": 2.0}]}).variance
    1.0
    """
    try:
        terms: Sequence[Mapping[str, Any]] = table["terms"]
        return SumOfSeparable(tuple(Separable(**term) for term in terms), float(table["nugget"]))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"covariance: {error}; expected a nugget, and terms with variance, length and duration"
        ) from error
