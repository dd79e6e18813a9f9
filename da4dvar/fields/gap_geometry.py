"""How far a cell is from what was observed, in time and in space, and the score by that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from da4dvar.errors import DataError
from da4dvar.fields.metrics import rmse

Score = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]


def gap_length(observed: xr.DataArray, time: str = "time") -> xr.DataArray:
    """(next observed time) − (last observed time) − 1: the steps of the gap that a cell lies in.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    time : str
        The dimension of time.

    Returns
    -------
    DataArray of int
        0 where observed. A gap that touches an end of the data has the length that is seen of it.

    Raises
    ------
    DataError
        If there is no such dimension, or `observed` is not of bool.

    Examples
    --------
    >>> gap_length(xr.DataArray([False, True, False, False, True], dims="time")).values
    array([1, 0, 2, 2, 0])
    """
    _check(observed, (time,))
    if observed.chunks is not None:
        observed = observed.chunk({time: -1})
    out: xr.DataArray = xr.apply_ufunc(
        _runs,
        observed,
        kwargs={"axis": observed.get_axis_num(time)},
        dask="parallelized",
        output_dtypes=[int],
    )
    return out.rename("gap_length").assign_attrs(long_name="length of the gap", units="1")


def distance_to_observation(
    observed: xr.DataArray, dims: Sequence[str], spacing: Mapping[str, float] | None = None
) -> xr.DataArray:
    """min over the observed cells c of √ Σ_d (h_d (i_d − c_d))²: the way to the nearest of them.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    dims : sequence of str
        The dimensions to measure along. Along the others each slice stands for itself.
    spacing : mapping of str to float, optional
        h, the size of a cell along each of `dims`; 1 where not given.

    Returns
    -------
    DataArray of float
        In cells, or in the units of `spacing`; 0 where observed, inf where a slice has no observation.

    Raises
    ------
    DataError
        If there is no such dimension, a spacing is not above 0 or of no such dimension, or
        `observed` is not of bool.

    Examples
    --------
    >>> seen = xr.DataArray([[True, False], [False, False]], dims=("lat", "lon"))
    >>> distance_to_observation(seen, ["lat", "lon"], {"lat": 3, "lon": 4}).values
    array([[0., 4.],
           [3., 5.]])
    """
    _check(observed, dims)
    sizes = dict(spacing or {})
    for dim, size in sizes.items():
        if dim not in dims or not size > 0:
            raise DataError(
                f"spacing is {size} along {dim!r}, expected above 0 along one of {', '.join(dims)}"
            )
    if observed.chunks is not None:
        observed = observed.chunk(dict.fromkeys(dims, -1))
    out: xr.DataArray = xr.apply_ufunc(
        _distances,
        observed,
        kwargs={"sampling": [float(sizes.get(d, 1)) for d in dims]},
        input_core_dims=[list(dims)],
        output_core_dims=[list(dims)],
        dask="parallelized",
        output_dtypes=[float],
    )
    out = out.transpose(*observed.dims).rename("distance_to_observation")
    return out.assign_attrs(long_name="distance to the nearest observation")


def by_class(
    estimate: xr.DataArray,
    truth: xr.DataArray,
    classes: xr.DataArray,
    edges: Sequence[float],
    score: Score = rmse,
) -> xr.Dataset:
    """The score over the cells with edgeₖ ≤ class < edgeₖ₊₁, for each k; the last edge belongs too.

    Parameters
    ----------
    estimate, truth : DataArray
    classes : DataArray
        What to sort the cells by, such as the length of their gap.
    edges : sequence of float
        Increasing, one more than there are classes; the last may be inf.
    score : callable
        One of ``da4dvar.fields.metrics``.

    Returns
    -------
    Dataset
        ``score`` and ``cells``, the number of cells compared, along ``class``, with the
        coordinates ``lower`` and ``upper``. A class without cells scores NaN.

    Raises
    ------
    DataError
        If the edges do not increase, or are fewer than two.

    Examples
    --------
    >>> truth = xr.DataArray([0.0, 0.0, 0.0, np.nan])
    >>> by_class(truth + 2, truth, xr.DataArray([1, 1, 5, 5]), [1, 2, 9])["cells"].values
    array([2, 1])
    """
    bounds = np.asarray(edges, float)
    if bounds.size < 2 or not (np.diff(bounds) > 0).all():
        raise DataError(f"edges are {list(edges)}, expected two or more that increase")
    both = estimate.notnull() & truth.notnull()
    points, cells = [], []
    for k in range(bounds.size - 1):
        last = k == bounds.size - 2
        below = classes <= bounds[k + 1] if last else classes < bounds[k + 1]
        here = both & (classes >= bounds[k]) & below
        cells.append(int(here.sum()))
        points.append(float(score(estimate.where(here), truth.where(here))) if cells[-1] else np.nan)
    return xr.Dataset(
        {"score": ("class", points), "cells": ("class", cells)},
        coords={"lower": ("class", bounds[:-1]), "upper": ("class", bounds[1:])},
    )


def _check(observed: xr.DataArray, dims: Sequence[str]) -> None:
    if observed.dtype != bool:
        raise DataError(f"observed is of type {observed.dtype}, expected bool; pass array.notnull()")
    for dim in dims:
        if dim not in observed.dims:
            raise DataError(f"observed has no dimension {dim!r}; it has {', '.join(map(str, observed.dims))}")


def _runs(observed: np.ndarray, axis: int) -> np.ndarray:
    seen = np.moveaxis(observed, axis, -1)
    steps = np.arange(seen.shape[-1])
    last = np.maximum.accumulate(np.where(seen, steps, -1), axis=-1)
    after = np.minimum.accumulate(np.where(seen, steps, steps.size)[..., ::-1], axis=-1)[..., ::-1]
    return np.moveaxis(np.where(seen, 0, after - last - 1), -1, axis)


def _distances(observed: np.ndarray, sampling: list[float]) -> np.ndarray:
    shape = observed.shape[observed.ndim - len(sampling) :]
    slices = observed.reshape(-1, *shape)
    out = np.full(slices.shape, np.inf)
    for seen, distance in zip(slices, out, strict=True):
        if seen.any():
            distance[...] = distance_transform_edt(~seen, sampling=sampling)
    return out.reshape(observed.shape)
