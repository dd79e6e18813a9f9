"""Scores of an estimate against a truth."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

Dims = Sequence[str] | None


def rmse(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """√ mean (x̂ − x)² over the cells where both are known, in the units of the variable.

    Parameters
    ----------
    estimate, truth : DataArray
    dims : sequence of str, optional
        Dimensions to average over; all of them if not given.
    """
    return ((estimate - truth) ** 2).mean(dims) ** 0.5


def bias(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """Mean (x̂ − x), in the units of the variable."""
    return (estimate - truth).mean(dims)


def r_score(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """mean (x − x̂)² / mean x²: the normalised error of the paper's tables, as its authors code it.

    The mean square of the truth is that of the values as given, not of their departures from the
    mean.
    """
    both = truth.notnull() & estimate.notnull()
    return ((estimate - truth) ** 2).mean(dims) / (truth.where(both) ** 2).mean(dims)


def i_score(
    estimate: xr.DataArray, truth: xr.DataArray, observed: xr.DataArray, dims: Dims = None
) -> xr.DataArray:
    """mean (x − x̂)² over the gaps / mean x² over all cells: the interpolation error in units of the R-score.

    It is what the paper's authors compute: their R-score is the share of gaps times this, and what is left
    on the observed cells.

    Parameters
    ----------
    estimate, truth : DataArray
    observed : DataArray of bool
    dims : sequence of str, optional
        Dimensions to average over; all of them if not given.

    Examples
    --------
    >>> x = xr.DataArray([2.0, 2.0, 2.0, 2.0], dims="cell")
    >>> float(i_score(x + [0, 0, 0, 1], x, xr.DataArray([True, True, False, False], dims="cell")))
    0.125
    """
    return ((estimate - truth) ** 2).where(~observed).mean(dims) / (truth**2).mean(dims)


def correlation(estimate: xr.DataArray, truth: xr.DataArray, dims: Dims = None) -> xr.DataArray:
    """Pearson's correlation of the cells where both are known."""
    return xr.corr(estimate, truth, dim=dims)


SCORES = {"rmse": rmse, "bias": bias, "r_score": r_score, "correlation": correlation}


def scores(
    estimate: xr.DataArray, truth: xr.DataArray, observed: xr.DataArray | None = None
) -> dict[str, dict[str, float]]:
    """Every score over all cells and, if it is known which were observed, over both kinds.

    Parameters
    ----------
    estimate, truth : DataArray
    observed : DataArray of bool, optional
        True where there was an observation.

    Returns
    -------
    dict
        ``all`` and, with `observed`, ``observed`` and ``unobserved``: each a dict of the scores
        and of ``cells``, the number of cells compared. The ``r_score`` of the unobserved cells is over
        their own mean square; :func:`i_score` is not.
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
