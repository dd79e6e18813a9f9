"""Scores of an estimate against a truth.

The normalised errors are those of Fablet, Drumetz and Rousseau (2020), "the paper".
"""

from __future__ import annotations

from collections.abc import Sequence

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


def r_score(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """mean (x − x̂)² / mean x²: the normalised error in the paper's tables, as computed by its authors.

    The mean square of the truth is computed from the values as given, without subtracting their mean.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x, in the same units. Cells where any of them is NaN are ignored.
    dims : sequence of str, optional
        Dimensions to average over, all by default.

    Returns
    -------
    DataArray
        Dimensionless. 0 is perfect; an estimate of 0 everywhere scores 1.

    Examples
    --------
    >>> x = xr.DataArray([2.0, 2.0])
    >>> float(r_score(x + 1, x)), float(r_score(0 * x, x))
    (0.25, 1.0)
    """
    both = truth.notnull() & estimate.notnull()
    return ((estimate - truth) ** 2).mean(dims) / (truth.where(both) ** 2).mean(dims)


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


SCORES = {"rmse": rmse, "bias": bias, "r_score": r_score, "correlation": correlation}


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
        ``all`` and, with `observed`, ``observed`` and ``unobserved``: each a dict of the scores and of
        ``cells``, the number of cells compared. The ``r_score`` of the unobserved cells is normalised by
        their own mean square, unlike :func:`i_score`.

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
