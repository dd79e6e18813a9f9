"""Gap lengths, distances to observations, and scores by class of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from da4dvar.errors import DataError
from da4dvar.fields.scores.metrics import rmse

Score = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]
EARTH = 6371.0  # km, the mean radius


def gap_length(observed: xr.DataArray, time: str = "time") -> xr.DataArray:
    """(next observed time) − (last observed time) − 1: length of the gap that contains a cell, in steps.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    time : str
        Name of the time dimension.

    Returns
    -------
    DataArray of int
        0 where observed. A gap at either end of the record has the length that lies within the record.

    Raises
    ------
    DataError
        If `observed` lacks the dimension or is not of type bool.

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
    """min over the observed cells c of √ Σ_d (h_d (i_d − c_d))²: distance to the nearest observation.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    dims : sequence of str
        Dimensions to measure along. Slices along the other dimensions are independent.
    spacing : mapping of str to float, optional
        Cell size h along each of `dims`, 1 by default.

    Returns
    -------
    DataArray of float
        In cells, or in the units of `spacing`; 0 where observed, inf where a slice has no observation.

    Raises
    ------
    DataError
        If `observed` lacks a dimension or is not of type bool, or if a spacing is not above 0 or belongs to
        a dimension that is not in `dims`.

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
                f"spacing is {size} along {dim!r}, expected a number above 0 along one of {', '.join(dims)}"
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
    """Score over the cells with edgeₖ ≤ class < edgeₖ₊₁, for each k; the last class includes its upper edge.

    Parameters
    ----------
    estimate, truth : DataArray
        Fields to compare. Cells where either is NaN are ignored.
    classes : DataArray
        Quantity that classifies the cells, such as their gap length.
    edges : sequence of float
        Increasing class edges, one more than classes; the last may be inf.
    score : callable
        Function from ``da4dvar.fields.scores.metrics``.

    Returns
    -------
    Dataset
        Variables ``score`` and ``cells`` (number of cells compared) along ``class``, with the coordinates
        ``lower`` and ``upper``. The score of a class without cells is NaN.

    Raises
    ------
    DataError
        If the edges do not increase, or there are fewer than two.

    Examples
    --------
    >>> truth = xr.DataArray([0.0, 0.0, 0.0, np.nan])
    >>> by_class(truth + 2, truth, xr.DataArray([1, 1, 5, 5]), [1, 2, 9])["cells"].values
    array([2, 1])
    """
    bounds = np.asarray(edges, float)
    if bounds.size < 2 or not (np.diff(bounds) > 0).all():
        raise DataError(f"edges are {list(edges)}, expected two or more increasing numbers")
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


def distance_to_reporting(
    observed: xr.DataArray, station: str, lat: xr.DataArray, lon: xr.DataArray
) -> xr.DataArray:
    """min over the reporting stations c of 2R arcsin(√(sin²(Δφ/2) + cos φ cos φ_c sin²(Δλ/2))).

    Great-circle distance by the haversine formula (Sinnott, 1984), on a sphere of radius R = 6371 km.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    station : str
        Name of the station dimension. Slices along the other dimensions are independent.
    lat, lon : DataArray, dims (station,)
        Latitude φ and longitude λ in degrees.

    Returns
    -------
    DataArray of float
        In km; 0 where observed, inf where no station reported, NaN for a station without coordinates.

    Examples
    --------
    >>> seen = xr.DataArray([[True, False], [False, False]], dims=("time", "station"))
    >>> place = xr.DataArray([0.0, 1.0], dims="station")
    >>> distance_to_reporting(seen, "station", place, 0 * place).values.round(1)
    array([[  0. , 111.2],
           [  inf,   inf]])
    """
    phi, lam = np.radians(lat.values.astype(float)), np.radians(lon.values.astype(float))
    lines = observed.transpose(..., station)
    seen = lines.values.reshape(-1, lines.sizes[station])
    out = np.full(seen.shape, np.inf)
    placed = np.isfinite(phi) & np.isfinite(lam)
    for k in range(phi.size):
        half = np.sin((phi - phi[k]) / 2) ** 2
        half = half + np.cos(phi) * np.cos(phi[k]) * np.sin((lam - lam[k]) / 2) ** 2
        distance = 2 * EARTH * np.arcsin(np.sqrt(np.minimum(half, 1)))
        order = np.argsort(np.where(placed, distance, np.inf))[: placed.sum()]
        # Sorted by distance, so the first reporting station is the nearest.
        there = seen[:, order]
        first = there.argmax(1)
        out[:, k] = np.where(there.any(1), distance[order][first], np.inf) if placed[k] else np.nan
    shaped: xr.DataArray = lines.astype(float).copy(data=out.reshape(lines.shape)).transpose(*observed.dims)
    shaped = xr.where(observed, 0.0, shaped).transpose(*observed.dims)
    return shaped.rename("distance").assign_attrs(
        long_name="distance to the nearest station that reported", units="km"
    )


def missing_run(flags: xr.DataArray, time: str, missing: int, steps: int) -> tuple[int, int]:
    """Count the missing values and find their longest run in time, reading a few steps at once.

    Cells that are missing at all times are land and are not counted.

    Parameters
    ----------
    flags : DataArray of int
        Flags, possibly lazy.
    time : str
        Name of the time dimension.
    missing : int
        Flag value of a missing value.
    steps : int
        Number of time steps to read at once.

    Returns
    -------
    count, longest : int
        See :func:`da4dvar.fields.labels.output.unreached`.

    Examples
    --------
    >>> missing_run(xr.DataArray([[0, 2], [2, 2], [2, 2], [1, 2]], dims=("time", "place")), "time", 2, 3)
    (2, 2)
    """
    ordered = flags.transpose(time, ...)
    shape = ordered.shape[1:]
    count, run, longest = (np.zeros(shape, dtype="int64") for _ in range(3))
    for first in range(0, ordered.shape[0], steps):
        for now in ordered[first : first + steps].values == missing:
            count += now
            run = np.where(now, run + 1, 0)
            np.maximum(longest, run, out=longest)
    sea = count < ordered.shape[0]
    return int(count[sea].sum()), int(longest[sea].max(initial=0))
