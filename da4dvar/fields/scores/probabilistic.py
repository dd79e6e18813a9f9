"""Scores of estimates with error bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import Dims, rmse


def crps_gaussian(
    mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray, dims: Dims = None
) -> xr.DataArray:
    """Mean of σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π), z = (x − x̂)/σ: the CRPS of N(x̂, σ²).

    Where σ = 0, the limit abs(x − x̂) is used (Gneiting et al., 2005).

    Parameters
    ----------
    mean, std, truth : DataArray
        x̂, σ and x, in the units of the variable. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        In the units of the variable; 0 is perfect. NaN if there are no valid cells.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 2.0])
    >>> crps_gaussian(xr.zeros_like(x), xr.ones_like(x), x, dims=[]).values.round(3)
    array([0.234, 1.453])
    """
    error = truth - mean
    z = error / std.where(std > 0, 1)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    cumulated = xr.apply_ufunc(ndtr, z, dask="parallelized", output_dtypes=[z.dtype])
    spread_out: xr.DataArray = std * (z * (2 * cumulated - 1) + 2 * density - np.pi**-0.5)
    return spread_out.where(std != 0, abs(error)).mean(dims)


def coverage(
    lower: xr.DataArray, upper: xr.DataArray, truth: xr.DataArray, dims: Dims = None
) -> xr.DataArray:
    """Fraction of the cells with lower ≤ x ≤ upper.

    Parameters
    ----------
    lower, upper, truth : DataArray
        In the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        From 0 to 1. NaN if there are no valid cells.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, 5.0, np.nan])
    >>> float(coverage(xr.zeros_like(x), xr.full_like(x, 2.0), x).round(2))
    0.67
    """
    known = lower.notnull() & upper.notnull() & truth.notnull()
    return ((lower <= truth) & (truth <= upper)).where(known).mean(dims)


def spread_skill(
    std: xr.DataArray, estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None
) -> xr.DataArray:
    """√ mean σ² / √ mean (x̂ − x)²: 1 for calibrated error bars, less if they are too narrow.

    Parameters
    ----------
    std, estimate, truth : DataArray
        In the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over before the ratio is taken, all by default.

    Returns
    -------
    DataArray
        Dimensionless. NaN if there are no valid cells.

    Examples
    --------
    >>> x = xr.DataArray([1.0, -1.0])
    >>> float(spread_skill(xr.full_like(x, 0.5), xr.zeros_like(x), x))
    0.5
    """
    known = std.notnull() & estimate.notnull() & truth.notnull()
    return rmse(std.where(known), xr.zeros_like(std), dims) / rmse(estimate.where(known), truth, dims)


def reliability(
    std: xr.DataArray,
    estimate: xr.DataArray,
    truth: xr.DataArray,
    levels: Sequence[float],
    dims: Dims = None,
) -> xr.DataArray:
    """Fraction of the cells with abs(x − x̂) ≤ Φ⁻¹((1 + p)/2) σ, for each level p.

    For calibrated Gaussian error bars, the central interval of level p contains a fraction p of the truths.

    Parameters
    ----------
    std, estimate, truth : DataArray
        In the same units. Cells where any of them is NaN are ignored.
    levels : sequence of float
        Nominal levels p, each between 0 and 1.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        From 0 to 1, with ``level`` as the first dimension.

    Raises
    ------
    DataError
        If a level is not between 0 and 1.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 1.0, 2.0])
    >>> reliability(xr.ones_like(x), xr.zeros_like(x), x, [0.5, 0.9]).values.round(2)
    array([0.33, 0.67])
    """
    for level in levels:
        if not 0 < level < 1:
            raise DataError(f"a level is {level}, expected a number between 0 and 1")

    def inside(level: float) -> xr.DataArray:
        half = std * ndtri((1 + level) / 2)
        return coverage(estimate - half, estimate + half, truth, dims)

    nominal = xr.DataArray([float(p) for p in levels], dims="level", name="level")
    return xr.concat([inside(level) for level in levels], nominal)
