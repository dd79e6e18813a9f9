"""Kalman smoother for single series."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from da4dvar.baselines.cycles import cycles
from da4dvar.baselines.standard_error import solved_together, with_standard_errors
from da4dvar.errors import DataError, check_least, need
from da4dvar.fields.labels.given import data_set

# Fewer values are filled with their mean, as nothing can be learned from them.
FEWEST = 10
# Values of each regressor of the season, below which there is none.
PER_TERM = 5
# Where the search begins, for a series of unit variance: persistent, with little noise.
FIRST = {"sigma2.irregular": 0.01, "sigma2.level": 0.01, "sigma2.ar": 0.05, "ar.L1": 0.9, "ar.L2": -0.05}


class Kalman:
    """E[x(t) | all y], x = s + μ + a + ε: season, level μ, autoregression a and noise, by a Kalman smoother.

    μ(t + 1) = μ(t) + η and a(t) = φ₁ a(t − 1) + … + φₚ a(t − p) + ζ, with normal η, ζ and ε (local
    level and autoregression; Durbin and Koopman, 2012, Time Series Analysis by State Space Methods, chapters
    3 and 4). Each series is filled on its own, from its own values before and after a gap: the method for one
    gauge. The season consists of harmonics of the year, if the dates cover one, and for steps of up to six
    hours also of the day, with an amplitude that follows the year. It is fitted by least squares and removed
    first. The variances and φ are those of maximum likelihood, with statsmodels, which
    ``pip install 'da4dvar[statsmodels]'`` installs.

    For discharge and other variables that are positive and skewed, use it within `Logarithmic`. Observed
    values are kept, and series without observations remain NaN. Series of fewer than 10 observed values are
    filled with their mean.

    Parameters
    ----------
    time : str
        Name of the time dimension, which must be evenly spaced.
    order : int
        p, the order of the autoregression; 0 for the level alone. Discharge and temperature rise and fall
        for several steps, which takes at least 2.
    harmonics : int
        Number of harmonics of the year, and of the day.
    fitted : int
        Number of successive times from which variances and φ are estimated, those with most observed values.
    iterations : int
        Maximum number of iterations of this estimate; 0 for a persistent series with little noise.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from da4dvar.baselines.logarithmic import Logarithmic
    >>> method = Logarithmic(Kalman(), offset=1.0)  # for daily discharge in m³/s
    >>> method.method.order
    3
    """

    suits = (0,)
    needs = "statsmodels"

    def __init__(
        self,
        time: str = "time",
        order: int = 3,
        harmonics: int = 3,
        fitted: int = 5000,
        iterations: int = 60,
    ) -> None:
        check_least(0, order=order, harmonics=harmonics, iterations=iterations)
        check_least(FEWEST, fitted=fitted)
        self.time, self.order, self.harmonics = time, order, harmonics
        self.fitted, self.iterations = fitted, iterations

    def interpolate(self, ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
        """Fill the gaps of every real variable, and add its standard error.

        Parameters
        ----------
        ds : Dataset or DataArray
            Data with NaN in the gaps. A DataArray must have a name.

        Returns
        -------
        Dataset
            The filled variables, with the labels of `ds`, and ``<name>_std``, in the units of the variable
            and 0 where it was observed.

        Raises
        ------
        DataError
            If statsmodels is not installed, a real variable does not have the time dimension, or a variable
            ``<name>_std`` already exists.
        """
        ds = data_set(ds)
        need("the Kalman smoother", self.needs)
        return with_standard_errors(ds, self._fill)

    def _fill(self, array: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        if self.time not in array.dims:
            has = ", ".join(map(str, array.dims)) or "none"
            raise DataError(f"variable {array.name!r} has no dimension {self.time!r}; it has {has}")
        season = cycles(array, self.time, self.harmonics)

        def fill(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            series = values.reshape(-1, values.shape[-1]).astype(float)
            filled = [self._solve(np.where(np.isfinite(y), y, np.nan), season) for y in series]
            x, std = (np.stack(part).reshape(values.shape) for part in zip(*filled, strict=True))
            return x.astype(values.dtype), std.astype(values.dtype)

        return solved_together(fill, array, [self.time])

    def _solve(self, y: np.ndarray, season: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = np.isfinite(y)
        if not seen.any():
            return y, y.copy()
        terms = season if seen.sum() >= PER_TERM * season.shape[1] else season[:, :1]
        # A weak ridge: harmonics of a record with a gap in every winter are not determined.
        normal = terms[seen].T @ terms[seen] + np.diag([1e-9] + [1.0] * (terms.shape[1] - 1))
        usual = terms @ np.linalg.solve(normal, terms[seen].T @ y[seen])
        scale = float(np.std((y - usual)[seen]))
        if seen.sum() < FEWEST or scale < 1e-9 * max(1e-30, float(np.abs(y[seen]).max())):
            return np.where(seen, y, usual), np.where(seen, 0, scale)
        x, std = self._smoothed((y - usual) / scale)
        return np.where(seen, y, usual + scale * x), np.where(seen, 0, scale * std)

    def _smoothed(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of x at all times, given the standardised series."""
        counts = np.cumsum(np.r_[0, np.isfinite(z)])
        first = int(np.argmax(counts[self.fitted :] - counts[: -self.fitted])) if len(z) > self.fitted else 0
        part = self._model(z[first : first + self.fitted])
        start = [FIRST.get(name, 0.0) for name in part.param_names]
        with warnings.catch_warnings():
            # Convergence to the last digit is of no interest.
            warnings.simplefilter("ignore")
            params = start
            if self.iterations:
                params = part.fit(start, disp=False, method="lbfgs", maxiter=self.iterations).params
            model = self._model(z)
            result = model.smooth(params)
        design = np.asarray(model["design"])[0]
        variance = np.einsum("i,ijt,j->t", design, result.smoothed_state_cov, design)
        noise = float(np.asarray(model["obs_cov"])[0, 0])
        return design @ result.smoothed_state, np.sqrt((variance + noise).clip(0))

    def _model(self, z: np.ndarray) -> Any:
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        return UnobservedComponents(z, "local level", autoregressive=self.order or None)
