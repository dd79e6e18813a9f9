"""Optimal interpolation in the space of EOFs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import xarray as xr
from scipy.linalg import cholesky, solve_triangular

from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.eof import as_matrix, check_above, from_matrix, has_gaps_in_time, on_the_whole
from da4dvar.baselines.eof_iteration import choose_modes, complete, hidden_values
from da4dvar.errors import DataError, check_least, nearest
from da4dvar.fields.labels.given import data_set
from da4dvar.fields.labels.intervals import error_attrs

# Candidates for `error`, in standard deviations of the anomalies.
ERRORS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
# Fraction of the observed values withheld to choose `error`.
HIDDEN = 0.03


@dataclass(frozen=True)
class PieceEofs:
    """a = E z + e for pieces of a few steps, with z ~ N(0, Λ) and e ~ N(0, diag(left)).

    Attributes
    ----------
    eofs : array, shape (step * cell, mode)
        E, with orthonormal columns.
    variances : array, shape (mode,)
        The diagonal of Λ.
    left : array, shape (step * cell,)
        Variance not explained by the modes at each step and cell.
    steps : int
        Number of times in a piece.
    """

    eofs: np.ndarray
    variances: np.ndarray
    left: np.ndarray
    steps: int

    @classmethod
    def fit(cls, anomalies: np.ndarray, steps: int, modes: int, seed: int = 0) -> Self:
        """Compute the EOFs of pieces of complete `anomalies`, shape (time, cell).

        Consecutive pieces start a third of their length apart, or closer if there would be fewer than four
        pieces per mode.
        """
        from sklearn.utils.extmath import randomized_svd

        last = len(anomalies) - steps
        every = max(1, min(steps // 3, last // (4 * modes)))
        pieces = np.stack([anomalies[s : s + steps].ravel() for s in range(0, last + 1, every)])
        _, singular, vectors = randomized_svd(pieces, min(modes, *pieces.shape), random_state=seed)
        variances = singular.astype("float64") ** 2 / len(pieces)
        # Modes without variance carry no information, and Λ must be inverted.
        some = variances > 1e-12 * max(variances[0], 1e-300)
        eofs, variances = vectors[some].T.astype("float64"), variances[some]
        left = np.mean(pieces**2, axis=0) - eofs**2 @ variances
        return cls(eofs, variances, np.maximum(left, 0.0), steps)

    def estimate(self, observed: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of E z given y, at each time from the piece around it, and the variance about it.

        Parameters
        ----------
        observed : array, shape (time, cell)
            Anomalies, with NaN in the gaps.
        error : float
            Standard deviation of the observation error, in the units of the anomalies.

        Returns
        -------
        mean, variance : array, shape (time, cell)
            The mean, and the variance of a about it.
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
            # In the information form the matrix is mode × mode for any number of observations.
            root = cholesky(weighted.T @ self.eofs[at] + np.diag(1 / self.variances), lower=True)
            towards = solve_triangular(root, self.eofs[middle].T, lower=True)
            mean[time] = solve_triangular(root, weighted.T @ y[at], lower=True) @ towards
            variance[time] = (towards**2).sum(0) + self.left[middle]
        return mean, variance


class EofInterpolation:
    """â = E (Λ⁻¹ + EᵀR⁻¹E)⁻¹ EᵀR⁻¹ y with R = diag(left) + σ² I: the mean of E z given y = E z + e + ε.

    y holds the observed anomalies from a climatology in a piece of `days` steps, E the leading EOFs of such
    pieces, Λ their variances and `left` the unexplained variance. The estimate is used for the middle step
    of the piece. This is optimal interpolation (Gandin, 1965) with a space-time covariance of reduced rank
    (Kaplan et al., 1997, doi:10.1029/97JC01734).

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.
    days : int
        Number of steps in a piece.
    modes : int
        Number of EOFs.
    error : float, optional
        σ, in standard deviations of the anomalies; if None, the value with the least error at withheld
        observations.
    harmonics : int
        Number of harmonics of the year in the climatology. If the dates do not cover a year, the
        climatology is the mean of each cell.
    history : Dataset, optional
        Other times of the same variables in the same cells, from which climatology and EOFs are estimated;
        by default `ds` itself. Its gaps are first filled by EOF iteration.
    seed : int
        Seed of the randomised decompositions and of the choice of withheld values.

    Raises
    ------
    DataError
        If a number is out of range.

    Notes
    -----
    Without a history, or if the history has gaps, the EOFs and variances are those of a filled field, which
    varies less than the true one. The missing variance of each cell is estimated from the error of EOF
    iteration at withheld values and the fraction of gaps, and is added to `left`. If the file is short, with
    few more pieces than modes, the unexplained variance and hence the standard error are too small; use fewer
    modes. The standard error refers to values that were not observed; the error of observed ones is smaller.

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

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Replace every real variable by its analysis, observed values included, and add ``<name>_std``.

        Cells observed neither in the data nor in the history remain NaN. If there is a history, cells that
        are observed only in the data are left unchanged.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The analyses, with the labels of `ds`, and ``<name>_std`` in the units of each variable.

        Raises
        ------
        DataError
            If a variable does not have the time dimension, is not in the history on the same cells, or has
            too few times.
        """
        ds = data_set(ds)
        out = ds.copy()
        for name, array in ds.data_vars.items():
            if not has_gaps_in_time(array, self.time):
                continue
            if f"{name}_std" in ds:
                raise DataError(f"there is already a variable '{name}_std'; drop or rename it")
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
                f"the history of {array.name!r} has dimensions {has}, expected {wants} as in the data"
            )
        for dim in set(array.dims) - {self.time}:
            if not _same_cells(past, array, dim):
                raise DataError(
                    f"the history of {array.name!r} and the data have different cells along {dim!r}; "
                    "select the common cells of both, or interpolate one to the grid of the other"
                )
            # Use the labels of the data: xarray would not align labels that differ by rounding.
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
        # Without a history, the EOFs must not be computed from the withheld values either.
        trial = self._eofs(kept) if history is None else eofs
        misses = [np.mean((trial.estimate(kept, error)[0] - y)[out] ** 2) for error in ERRORS]
        return eofs.estimate(y, ERRORS[int(np.argmin(misses))])

    def _eofs(self, anomalies: np.ndarray) -> PieceEofs:
        if len(anomalies) < self.days:
            raise DataError(
                f"got {len(anomalies)} times, expected at least {self.days}, the days of a piece; "
                "use fewer days or a longer history"
            )
        gaps = np.isnan(anomalies)
        unsure = np.zeros(anomalies.shape[1])
        if gaps.any():
            modes, errors = choose_modes(anomalies, seed=self.seed)
            anomalies = complete(anomalies, modes, seed=self.seed)
            # The variance of filled values is lower than the true one by the variance of their error.
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
