"""Optimal interpolation in the space of EOFs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import xarray as xr
from scipy.linalg import cholesky, solve_triangular
from sklearn.utils.extmath import randomized_svd

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof import as_matrix, check_above, from_matrix, has_gaps_in_time, on_the_whole
from da4dvar.baselines.eof_iteration import choose_modes, complete, hidden_values
from da4dvar.errors import DataError, check_least, nearest
from da4dvar.fields.labels.intervals import error_attrs

# What `error` is chosen from, in standard deviations of the anomalies.
ERRORS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
# Of the observed values, kept out to choose it.
HIDDEN = 0.03


@dataclass(frozen=True)
class PieceEofs:
    """a = E z + e for pieces of a few steps: z ~ N(0, Λ), e ~ N(0, diag(left)).

    Attributes
    ----------
    eofs : array, shape (step * cell, mode)
        E, of orthonormal columns.
    variances : array, shape (mode,)
        The diagonal of Λ.
    left : array, shape (step * cell,)
        The variance that the modes leave in each cell.
    steps : int
        Times of a piece.
    """

    eofs: np.ndarray
    variances: np.ndarray
    left: np.ndarray
    steps: int

    @classmethod
    def fit(cls, anomalies: np.ndarray, steps: int, modes: int, seed: int = 0) -> Self:
        """The EOFs of all pieces of `anomalies`, shape (time, cell), without gaps.

        Pieces start at every third of their length, or closer where that gives less than four for
        each mode.
        """
        last = len(anomalies) - steps
        every = max(1, min(steps // 3, last // (4 * modes)))
        pieces = np.stack([anomalies[s : s + steps].ravel() for s in range(0, last + 1, every)])
        _, singular, vectors = randomized_svd(pieces, min(modes, *pieces.shape), random_state=seed)
        variances = singular.astype("float64") ** 2 / len(pieces)
        # A mode of no variance tells nothing, and cannot be divided by.
        some = variances > 1e-12 * max(variances[0], 1e-300)
        eofs, variances = vectors[some].T.astype("float64"), variances[some]
        left = np.mean(pieces**2, axis=0) - eofs**2 @ variances
        return cls(eofs, variances, np.maximum(left, 0.0), steps)

    def estimate(self, observed: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:
        """E[E z | y] at each time, from the piece around it, and the variance of a about that.

        Parameters
        ----------
        observed : array, shape (time, cell)
            Anomalies, NaN in the gaps.
        error : float
            Standard deviation of the observation error, in their units.

        Returns
        -------
        mean, variance : array, shape (time, cell)
        """
        half, cells = self.steps // 2, observed.shape[1]
        padded = np.pad(observed, ((half, self.steps - 1 - half), (0, 0)), constant_values=np.nan)
        noise = self.left + error**2
        middle = slice(half * cells, (half + 1) * cells)
        mean, variance = np.empty(observed.shape), np.empty(observed.shape)
        for time in range(len(observed)):
            y = padded[time : time + self.steps].ravel()
            at = np.isfinite(y)
            weighted = self.eofs[at] / noise[at, None]
            # The information form: its matrix is mode × mode, however much is observed.
            root = cholesky(weighted.T @ self.eofs[at] + np.diag(1 / self.variances), lower=True)
            towards = solve_triangular(root, self.eofs[middle].T, lower=True)
            mean[time] = solve_triangular(root, weighted.T @ y[at], lower=True) @ towards
            variance[time] = (towards**2).sum(0) + self.left[middle]
        return mean, variance


class EofInterpolation:
    """â = E (Λ⁻¹ + EᵀR⁻¹E)⁻¹ EᵀR⁻¹ y with R = diag(left) + σ² I: the mean of E z given y = E z + e + ε.

    y is what was observed of the anomalies to a climatology in a piece of `days` steps, E the leading
    EOFs of such pieces, Λ their variances, `left` the variance that they leave, and the estimate is
    kept in the middle of the piece. That is optimal interpolation (Gandin, 1965) with a covariance of
    reduced rank (Kaplan et al., 1997, doi:10.1029/97JC01734), of space and time.

    Parameters
    ----------
    time : str
        The dimension of time, evenly spaced.
    days : int
        Steps of a piece.
    modes : int
        EOFs that are kept.
    error : float, optional
        σ, in standard deviations of the anomalies; if not given, what is best at hidden values.
    harmonics : int
        Of the year in the climatology, for dates that cover one; otherwise the mean of each cell.
    history : Dataset, optional
        Other times of the same variables in the same cells, to take climatology and EOFs from; `ds`
        itself if not given. Its gaps are filled by EOF iteration first.
    seed : int
        Of the randomised decompositions and the hidden values.

    Raises
    ------
    DataError
        If a number is out of its range.

    Notes
    -----
    Without a history, or with a gappy one, EOFs and variances are those of a filled field, which varies
    less than the true one: what a cell lacks, by the error of EOF iteration at hidden values and the
    part that was missing, is added to `left`. In a short file, with few more pieces than modes, little
    variance seems to be left and the standard error is too small; take fewer modes. The standard error
    is that of a value which was not observed; where one was, the true error is smaller.

    Examples
    --------
    >>> wave = np.outer(np.sin(np.arange(200.0) / 3), np.arange(6.0) - 2.5)
    >>> y = xr.Dataset({"sla": (("time", "x"), wave)}).where(np.random.default_rng(0).random((200, 6)) < 0.6)
    >>> analysis = EofInterpolation(days=5, modes=4, error=0.1).interpolate(y)
    >>> list(analysis), float(abs(analysis["sla"] - wave).max()) < 0.2
    (['sla', 'sla_std'], True)
    """

    def __init__(
        self,
        time: str = "time",
        days: int = 9,
        modes: int = 80,
        error: float | None = 0.5,
        harmonics: int = 3,
        history: xr.Dataset | None = None,
        seed: int = 0,
    ) -> None:
        self.time, self.days, self.modes, self.error = time, days, modes, error
        self.harmonics, self.history, self.seed = harmonics, history, seed
        check_above({"days": 0, "modes": 0, "error": 0, "harmonics": -1}, self)
        check_least(0, seed=seed)

    def interpolate(self, ds: xr.Dataset) -> xr.Dataset:
        """Every real variable of `ds` replaced by its analysis, observed cells too, and ``<name>_std``.

        A cell that neither the data nor the history has observed stays NaN; one that only the data
        have, if there is a history, stays as it is.

        Parameters
        ----------
        ds : Dataset
            NaN in the gaps.

        Returns
        -------
        Dataset
            With the labels of `ds`; ``<name>_std`` in the units of the variable.

        Raises
        ------
        DataError
            If a variable does not have the dimension of time, there is no history of it in these
            cells, or too little of it.
        """
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if not has_gaps_in_time(array, self.time):
                continue
            if f"{name}_std" in ds:
                raise DataError(f"the data have a variable '{name}_std' already; drop or rename it")
            history = None if self.history is None else self._history(array)
            analysis, std = on_the_whole(partial(self._analyse, history), array, outputs=2)
            out[name] = array.copy(data=analysis.data)
            out[f"{name}_std"] = xr.DataArray(std.data, array.coords, array.dims, attrs=error_attrs(array))
        return out

    def _history(self, array: xr.DataArray) -> xr.DataArray:
        assert self.history is not None
        if array.name not in self.history:
            close = nearest(str(array.name), map(str, self.history))
            raise DataError(f"the history has no variable {array.name!r}: {close}")
        past = self.history[array.name]
        if set(past.dims) != set(array.dims):
            has, wants = ", ".join(map(str, past.dims)), ", ".join(map(str, array.dims))
            raise DataError(
                f"the history of {array.name!r} has dimensions {has}, the data {wants}; use the same"
            )
        for dim in set(array.dims) - {self.time}:
            if not _same_cells(past, array, dim):
                raise DataError(
                    f"the history of {array.name!r} and the data are not in the same cells along {dim!r}; "
                    "select these from both, or interpolate one to the grid of the other"
                )
            # Equal but for rounding is equal: labels are not to be matched again.
            past = past.drop_vars([dim], errors="ignore").assign_coords(
                {dim: array[dim].variable} if dim in array.coords else {}
            )
        return past.drop_vars([c for c in past.coords if c not in past.dims])

    def _analyse(self, history: xr.DataArray | None, array: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        past = array if history is None else history
        usual = self._usual(array, past)
        before = as_matrix(past, self.time) - (usual if history is None else self._usual(past, past))
        cells = np.isfinite(before).any(0)
        values = as_matrix(array, self.time)
        std = np.zeros_like(values) + np.nan
        if cells.any():
            spread = float(np.nanstd(before)) or 1.0
            before, y = before[:, cells] / spread, (values - usual)[:, cells] / spread
            mean, variance = self._estimate(y, None if history is None else before)
            values[:, cells] = mean * spread + usual[:, cells]
            std[:, cells] = np.sqrt(variance) * spread
        return from_matrix(values, array, self.time), from_matrix(std, array, self.time)

    def _usual(self, array: xr.DataArray, past: xr.DataArray) -> np.ndarray:
        climatology = Climatology(self.time, self.harmonics, past.astype("float64").to_dataset())
        ds = climatology.interpolate(array.astype("float64").to_dataset())
        return as_matrix(ds[array.name], self.time)

    def _estimate(self, y: np.ndarray, history: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        eofs = self._eofs(y if history is None else history)
        if self.error is not None:
            return eofs.estimate(y, self.error)
        out = hidden_values(np.isfinite(y), HIDDEN, seed=self.seed)
        kept = np.where(out, np.nan, y)
        # Without a history, EOFs that have not seen the hidden values either.
        trial = self._eofs(kept) if history is None else eofs
        misses = [np.mean((trial.estimate(kept, error)[0] - y)[out] ** 2) for error in ERRORS]
        return eofs.estimate(y, ERRORS[int(np.argmin(misses))])

    def _eofs(self, anomalies: np.ndarray) -> PieceEofs:
        if len(anomalies) < self.days:
            raise DataError(
                f"{len(anomalies)} times hold no piece of {self.days} days; take fewer days or more history"
            )
        gaps = np.isnan(anomalies)
        unsure = np.zeros(anomalies.shape[1])
        if gaps.any():
            modes, errors = choose_modes(anomalies, seed=self.seed)
            anomalies = complete(anomalies, modes, seed=self.seed)
            # A filled value varies less than the true one, by the variance of its error.
            unsure = gaps.mean(0) * errors[modes - 1] ** 2
        eofs = PieceEofs.fit(anomalies.astype("float32"), self.days, self.modes, self.seed)
        return replace(eofs, left=eofs.left + np.tile(unsure, self.days))


def _same_cells(a: xr.DataArray, b: xr.DataArray, dim: object) -> bool:
    if a.sizes[dim] != b.sizes[dim]:
        return False
    if dim not in a.coords or dim not in b.coords:
        return True
    here, there = a[dim].values, b[dim].values
    if here.dtype.kind in "fiu" and there.dtype.kind in "fiu":
        return np.allclose(here, there, rtol=1e-5, atol=1e-6)
    return np.array_equal(here, there)
