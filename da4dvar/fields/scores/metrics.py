"""Scores of an estimate against a truth.

The normalised errors are those of Fablet, Drumetz and Rousseau (2020), "the paper".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import xarray as xr

Dims = Sequence[str] | None


def rmse(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """√ mean (x̂ − x)² over the cells where both are known: root mean square error.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        In the units of the variable; 0 is perfect. NaN if there are no valid cells.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, float("nan")])
    >>> float(rmse(x + 0.5, x))
    0.5
    """
    return ((estimate - truth) ** 2).mean(dims) ** 0.5


def bias(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """Mean (x̂ − x) over the cells where both are known.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        In the units of the variable; above 0 where the estimate is too high. NaN if there are no valid cells.

    Examples
    --------
    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("time", "cell"))
    >>> bias(x + [0.0, 1.0], x, dims=["time"]).values
    array([0., 1.])
    """
    return (estimate - truth).mean(dims)


def r_score(
    estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None, centred: bool = False
) -> xr.DataArray:
    """mean (x − x̂)² / mean (x − x₀)²: the normalised error.

    With x₀ = 0 it is the R-score of the paper's tables, as its authors code it. That is meaningful for
    anomalies. For values whose zero is arbitrary, such as temperatures, use the mean of the truth as x₀: the
    score is then the error over the variance, and the same in kelvin and in degrees Celsius.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over; all of them if not given.
    centred : bool, optional
        Whether x₀ is the mean of the truth over `dims`. The default is x₀ = 0.

    Returns
    -------
    DataArray
        Dimensionless. 0 is perfect; 1 is no better than an estimate of x₀ everywhere.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 3.0])
    >>> float(r_score(x + 1, x)), float(r_score(x + 1, x, centred=True))
    (0.2, 1.0)
    """
    x = truth.where(estimate.notnull())
    if centred:
        x = x - x.mean(dims)
    return ((estimate - truth) ** 2).mean(dims) / (x**2).mean(dims)


def i_score(
    estimate: xr.DataArray, truth: xr.DataArray, observed: xr.DataArray, dims: Dims = None
) -> xr.DataArray:
    """mean (x − x̂)² over the gaps / mean x² over all cells: interpolation error in units of the R-score.

    This is what the paper's authors compute: their R-score is this value times the fraction of gaps, plus the
    remaining error on the observed cells.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. The mean of x² is taken over all cells where x is known.
    observed : DataArray of bool
        True where there was an observation.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        Dimensionless; 0 is perfect.

    Examples
    --------
    >>> x = xr.DataArray([2.0, 2.0, 2.0, 2.0], dims="cell")
    >>> float(i_score(x + [0, 0, 0, 1], x, xr.DataArray([True, True, False, False], dims="cell")))
    0.125
    """
    return ((estimate - truth) ** 2).where(~observed).mean(dims) / (truth**2).mean(dims)


def correlation(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """Pearson correlation coefficient over the cells where both are known.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to correlate over, all by default.

    Returns
    -------
    DataArray
        From -1 to 1. NaN where either does not vary.

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, 3.0])
    >>> float(correlation(2 * x + 1, x).round(6))
    1.0
    """
    return xr.corr(estimate, truth, dim=dims)


SCORES: dict[str, Callable[[xr.DataArray, xr.DataArray], xr.DataArray]] = {
    "rmse": rmse,
    "bias": bias,
    "r_score": partial(r_score, centred=True),
    "correlation": correlation,
}


def scores(
    estimate: xr.DataArray, truth: xr.DataArray, observed: xr.DataArray | None = None
) -> dict[str, dict[str, float]]:
    """Compute all scores over all cells and, given a mask, over observed and unobserved cells.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. Cells where any of them is NaN are ignored.
    observed : DataArray of bool, optional
        True where there was an observation.

    Returns
    -------
    dict
        ``all`` and, with `observed`, ``observed`` and ``unobserved``: each a dict of the scores
        and of ``cells``, the number of cells compared. ``r_score`` is the mean square error over the
        variance of the truth in the cells compared (:func:`r_score` with ``centred=True``).

    Examples
    --------
    >>> x = xr.DataArray([1.0, 2.0, 3.0, 4.0])
    >>> table = scores(x + [0, 0, 1, 1], x, observed=xr.DataArray([True, True, False, False]))
    >>> table["unobserved"]["cells"], table["unobserved"]["rmse"], table["observed"]["rmse"]
    (2, 1.0, 0.0)
    """
    parts = {"all": truth.notnull()}
    if observed is not None:
        parts |= {"observed": observed, "unobserved": ~observed}
    table = {}
    for name, where in parts.items():
        here = truth.where(where)
        cells = int((here.notnull() & estimate.notnull()).sum())
        table[name] = {"cells": cells} | {
            score: float(of(estimate, here)) if cells else float("nan") for score, of in SCORES.items()
        }
    return table
