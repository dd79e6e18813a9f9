"""Methods for grids applied to points: the mean of each cell, and the map interpolated back to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.bounds import Bounds
from da4dvar.fields.points.grid import Grid, onto
from da4dvar.fields.points.record import Points, days
from da4dvar.variational.linear_weights import linear_weights
from da4dvar.workflows.candidate import Candidate


def axes_of(grid: Grid, since: np.datetime64 | float) -> list[np.ndarray]:
    """Return the coordinates along each dimension of a grid as numbers.

    Raises
    ------
    DataError
        If a dimension has no coordinate of its own, as on a curvilinear grid.
    """
    out = []
    for dim in map(str, grid.array.dims):
        if dim not in grid.array.coords:
            raise DataError(f"the grid has no coordinate along {dim!r}")
        values = grid.array[dim].values
        out.append(days(values, since) if dim == grid.time else values.astype("float64"))
    return out


def coordinates(points: Points, grid: Grid, since: np.datetime64 | float) -> np.ndarray:
    """Return the coordinates of points along the dimensions of a grid, moved onto the grid at its edges.

    Parameters
    ----------
    points : Points
        Points within half a cell of the grid.
    grid : Grid
        Grid.
    since : datetime64 or float
        Origin of the times.

    Returns
    -------
    array of float, shape (point, dimension)
    """
    columns = []
    names = ("depth", "lat", "lon")[3 - len(grid.place) :] if len(grid.place) > 1 else ("depth",)
    by_dim = dict(zip(grid.place, names, strict=False))
    for dim, axis in zip(map(str, grid.array.dims), axes_of(grid, since), strict=True):
        if dim == grid.time:
            own = points.days(since)
        else:
            own = points.columns()[by_dim[dim]]
            own = onto(own, np.sort(axis)) if by_dim[dim] == "lon" else own
        columns.append(np.clip(own, axis.min(), axis.max()))
    return np.stack(columns, 1)


def binned(points: Points, grid: Grid, since: np.datetime64 | float) -> xr.DataArray:
    """Return the mean of the points in each cell of a grid; NaN in cells without any.

    Parameters
    ----------
    points : Points
        Points within half a cell of the grid.
    grid : Grid
        Grid.
    since : datetime64 or float
        Origin of the times.

    Returns
    -------
    DataArray

    Raises
    ------
    DataError
        If a dimension of the grid has no coordinate.
    """
    at, index = coordinates(points, grid, since), []
    for column, axis in zip(at.T, axes_of(grid, since), strict=True):
        order = np.argsort(axis)
        edges = (axis[order][1:] + axis[order][:-1]) / 2
        index.append(order[np.searchsorted(edges, column)])
    flat = np.ravel_multi_index(index, grid.array.shape)
    count = np.bincount(flat, minlength=grid.array.size)
    total = np.bincount(flat, points.value, minlength=grid.array.size)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return grid.array.copy(data=mean.reshape(grid.array.shape))


@dataclass(frozen=True)
class OnGrid:
    """The map of a method for grids, and its values at points.

    Attributes
    ----------
    candidate : Candidate
        Method.
    grid : Grid
        Grid of the map.
    since : datetime64 or float
        Origin of the times.
    """

    candidate: Candidate
    grid: Grid
    since: np.datetime64 | float

    def map(self, points: Points) -> xr.DataArray:
        """Return the map of the anomalies of points; 0 in cells that the method does not estimate.

        Parameters
        ----------
        points : Points
            Anomalies.

        Returns
        -------
        DataArray
        """
        array = binned(points, self.grid, self.since)
        estimate = self.candidate.estimate(array, Bounds())[0]
        return estimate.transpose(*array.dims).fillna(0.0)

    def at(self, filled: xr.DataArray, points: Points) -> np.ndarray:
        """Return a map at points, by linear interpolation.

        Parameters
        ----------
        filled : DataArray
            Map.
        points : Points
            Points.

        Returns
        -------
        array, shape (point,)
        """
        axes = axes_of(self.grid, self.since)
        matrix, _ = linear_weights(axes, coordinates(points, self.grid, self.since))
        out: np.ndarray = matrix @ filled.values.ravel()
        return out
