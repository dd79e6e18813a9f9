"""The covariance from which the samples of a fit are drawn."""

from __future__ import annotations

import xarray as xr

from da4dvar.baselines.optimal_interpolation import OptimalInterpolation, within
from da4dvar.workflows.autofit.compete import Result


def covariance_method(result: Result, array: xr.DataArray, time: str) -> OptimalInterpolation:
    """Return an optimal interpolation with the covariance of a variable, which is kept in the result.

    Parameters
    ----------
    result : Result
        Outcome of the fit. The covariance is that of the method which fills the variable, if this is an
        optimal interpolation or a combination with one. Otherwise one is fitted to the first trial, or to
        the variable where that trial is a crop of it.
    array : DataArray
        Variable with NaN in the gaps. If it is lazy, the first trial is preferred.
    time : str
        Name of the time dimension.

    Returns
    -------
    OptimalInterpolation
    """
    method = within(result.winner.method) or OptimalInterpolation(time)
    if result.covariance is None and method.covariance is None:
        # A crop may be too small to tell; lazy data are not read as a whole.
        trials = [t for t in result.trials if not t.ranges or array.chunks is not None]
        known = trials[0].seen if trials else array
        result.covariance = dict(method.fitted(known.to_dataset()).covariance or {}) or None
    return (
        method if method.covariance is not None else OptimalInterpolation(time, covariance=result.covariance)
    )
