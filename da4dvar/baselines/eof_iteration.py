"""EOF iteration, known as DINEOF."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof import (
    as_matrix,
    check_above,
    fillings,
    from_matrix,
    has_gaps_in_time,
    on_the_whole,
)
from da4dvar.errors import DataError, check_least

# Fewer hidden values say little of the number of modes (Beckers and Rixen, 2003).
FEWEST_HIDDEN = 30
# Modes beyond the best so far: an error that has risen may yet fall.
PATIENCE = 3


class EofIteration:
    """x̂ = m + Uₙ Uₙᵀ (x̂ − m) in the gaps, at rest: Uₙ holds the n leading EOFs of the filled x̂ − m.

    n has the least error at observed values that are kept out, like gaps that clouds make; after
    Beckers and Rixen (2003, doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2) and Alvera-Azcárate
    et al. (2005, doi:10.1016/j.ocemod.2004.08.001). Each variable by itself, all dimensions but
    time together as cells. Observed values are kept; a cell that is never observed stays NaN; a time
    without any observation gets m.

    Parameters
    ----------
    time : str
        The dimension of time; its steps need not be even, their order plays no part.
    modes : int, optional
        n; chosen if not given.
    most : int
        Modes to choose from.
    hidden : float
        Part of the observed values that is kept out to choose, at least 30 of them.
    tolerance : float
        The iteration rests once the gaps change by less, in standard deviations of the anomalies.
    iterations : int
        Most steps with each number of modes.
    clouds : bool
        Whether values are kept out in the shape of other times' gaps, or one by one.
    harmonics : int
        Of the year in m, for dates that cover one; 0 for the mean of all that was observed, one
        number. With harmonics m has the mean of each cell.
    seed : int
        Of the values that are kept out and of the randomised decompositions.

    Raises
    ------
    DataError
        If a number is out of its range.

    Examples
    --------
    >>> wave = np.outer(np.sin(np.arange(40.0)), np.arange(12.0) - 5.5)
    >>> y = xr.Dataset({"sla": (("time", "x"), wave)}).where(np.random.default_rng(0).random((40, 12)) < 0.7)
    >>> filled = EofIteration().interpolate(y)["sla"]
    >>> float(abs(filled - wave).max()) < 0.5
    True
    """

    suits = (1, 2)

    def __init__(
        self,
        time: str = "time",
        modes: int | None = None,
        most: int = 30,
        hidden: float = 0.03,
        tolerance: float = 1e-3,
        iterations: int = 300,
        clouds: bool = True,
        harmonics: int = 0,
        seed: int = 0,
    ) -> None:
        self.time, self.modes, self.most, self.hidden = time, modes, most, hidden
        self.tolerance, self.iterations, self.clouds = tolerance, iterations, clouds
        self.harmonics, self.seed = harmonics, seed
        check_above({"modes": 0, "most": 0, "tolerance": 0, "iterations": 0, "harmonics": -1}, self)
        check_least(0, seed=seed)
        _check_part(hidden)

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every real variable of `ds`, with its gaps filled.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`.

        Raises
        ------
        DataError
            If a variable does not have the dimension of time, is observed in one cell only, or in too
            few values to choose the modes by.
        """
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if has_gaps_in_time(array, self.time):
                out[name] = array.copy(data=on_the_whole(self._fill, array).data)
        return out

    def _fill(self, array: xr.DataArray) -> np.ndarray:
        values = as_matrix(array, self.time)
        seen = np.isfinite(values)
        cells = seen.any(0)
        if seen[:, cells].all():
            return array.values
        usual = self._usual(array)[:, cells] if self.harmonics else values[seen].mean()
        filled = complete(
            values[:, cells] - usual,
            self.modes,
            most=self.most,
            hidden=self.hidden,
            tolerance=self.tolerance,
            iterations=self.iterations,
            clouds=self.clouds,
            seed=self.seed,
        )
        values[:, cells] = filled + usual
        # The observed as they were, without the rounding of the mean.
        return np.where(np.isfinite(array), array, from_matrix(values, array, self.time))

    def _usual(self, array: xr.DataArray) -> np.ndarray:
        climatology = Climatology(self.time, self.harmonics)
        return as_matrix(climatology.interpolate(array.astype("float64").to_dataset())[array.name], self.time)


def complete(
    anomalies: np.ndarray,
    modes: int | None = None,
    *,
    most: int = 30,
    hidden: float = 0.03,
    tolerance: float = 1e-3,
    iterations: int = 300,
    clouds: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """`anomalies`, shape (time, cell), NaN in the gaps, filled; parameters as of `EofIteration`.

    Raises
    ------
    DataError
        If there is one cell only, or too little to choose the modes by.
    """
    if anomalies.shape[1] == 1:
        raise DataError(
            "observations are in one cell only, and EOF iteration needs more than one; "
            "fill a single series with da4dvar.baselines.linear.Linear"
        )
    if modes is None:
        modes, _ = choose_modes(anomalies, most, hidden, tolerance, iterations, clouds, seed)
    *_, filled = fillings(anomalies, modes, tolerance, iterations, seed)
    return filled


def choose_modes(
    matrix: np.ndarray,
    most: int = 30,
    hidden: float = 0.03,
    tolerance: float = 1e-3,
    iterations: int = 300,
    clouds: bool = True,
    seed: int = 0,
) -> tuple[int, np.ndarray]:
    """The number of modes with the least error at values that were kept out.

    Parameters
    ----------
    matrix : array, shape (time, cell)
        Anomalies, NaN in the gaps.
    most, hidden, tolerance, iterations, clouds, seed
        As of `EofIteration`.

    Returns
    -------
    modes : int
    errors : array
        Root mean square error with 1, 2, … modes, until it has not fallen for three; units of `matrix`.

    Raises
    ------
    DataError
        If less than twice 30 values are observed, or the part to hide is none.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> x = generator.standard_normal((90, 2)) @ generator.standard_normal((2, 60))
    >>> x += 0.1 * generator.standard_normal(x.shape)
    >>> choose_modes(np.where(generator.random(x.shape) < 0.8, x, np.nan))[0]
    2
    """
    out = hidden_values(np.isfinite(matrix), hidden, clouds, seed)
    kept, known = np.where(out, np.nan, matrix), matrix[out]
    errors: list[float] = []
    # As many modes as the smaller side give back whatever they are given.
    for filled in fillings(kept, min(most, max(1, min(matrix.shape) - 1)), tolerance, iterations, seed):
        errors.append(float(np.sqrt(np.mean((filled[out] - known) ** 2))))
        if len(errors) - 1 - np.argmin(errors) >= PATIENCE:
            break
    return int(np.argmin(errors)) + 1, np.array(errors)


def hidden_values(seen: np.ndarray, part: float, clouds: bool = True, seed: int = 0) -> np.ndarray:
    """Observed values to keep out, true in the result: the gaps of other times laid over, or at random.

    A gap is cut where it would hide more than a tenth of what is asked for, so that no single time
    decides; no time loses all that it has. What clouds do not give is drawn one by one.

    Parameters
    ----------
    seen : array of bool, shape (time, cell)
    part : float
        Part of the observed values, at least 30 of them.
    clouds : bool
    seed : int

    Raises
    ------
    DataError
        If `part` is none, or less than twice 30 values are observed.
    """
    _check_part(part)
    number = int(seen.sum())
    if number < 2 * FEWEST_HIDDEN:
        raise DataError(
            f"{number} values are observed, and {FEWEST_HIDDEN} have to be kept out to choose the method's "
            f"parameters; give them, or at least {2 * FEWEST_HIDDEN} values"
        )
    generator = np.random.default_rng(seed)
    wanted = max(FEWEST_HIDDEN, round(part * number))
    out = np.zeros_like(seen)
    left = wanted
    for here, there in generator.integers(len(seen), size=(20 * len(seen), 2)) if clouds else ():
        under = np.flatnonzero(seen[here] & ~out[here] & ~seen[there])
        most = min(left, max(1, wanted // 10), int((seen[here] & ~out[here]).sum()) - 1)
        if under.size and most > 0:
            start = generator.integers(max(1, under.size - most + 1))
            under = under[start : start + most]
            out[here, under] = True
            left -= under.size
    rest = np.flatnonzero(seen & ~out)
    out.flat[generator.choice(rest, left, replace=False)] = True
    return out


def _check_part(hidden: float) -> None:
    if not 0 < hidden <= 0.5:
        raise DataError(f"hidden is {hidden}, expected a part above 0 and up to 0.5")
