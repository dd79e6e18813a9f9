"""Estimates of the best method on the grid of a map, and joint draws of their errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from da4dvar.baselines.optimal_interpolation import within
from da4dvar.baselines.point_draws import PointDeviations
from da4dvar.baselines.point_interpolation import FittedPoints
from da4dvar.fields.points.grid import Grid
from da4dvar.fields.points.record import Points
from da4dvar.fields.sampling import Draw
from da4dvar.workflows.points.binned import binned
from da4dvar.workflows.points.compete import ALL, BINNED, Outcome
from da4dvar.workflows.points.frame import Frame


def estimated(outcome: Outcome) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return the map of the best method, and its standard error if it has one; NaN outside of the grid."""
    frame, winner = outcome.frame, outcome.comparison.winner
    grid = frame.grid
    basis = frame.basis(frame.times, 1)
    if winner.startswith(BINNED):
        anomalies = outcome.grids[winner].map(anomalies_of(outcome))
        mean = xr.DataArray(basis @ outcome.fitted.mean, dims=[grid.time] if grid.time else ["one"])
        found = (anomalies + (mean if grid.time else mean[0])).transpose(*grid.array.dims)
        inside = whole(grid, frame, np.ones(len(frame.clock) * len(frame.place)))
        return found.where(inside.notnull()), None
    x, std = chosen(outcome).on_grid(frame.place, frame.clock, basis)
    middle, spread = profile_of(outcome)
    return whole(grid, frame, (middle + spread * x).ravel()), whole(grid, frame, (spread * std).ravel())


def draws_of(outcome: Outcome, std: xr.DataArray | None) -> Draw:
    """Return joint draws of the error of the map of the best method, of variance 1 in every cell.

    Parameters
    ----------
    outcome : Outcome
        Outcome of the competition, won by a method that has a covariance.
    std : DataArray or None
        Standard error of the method, if it has one.

    Returns
    -------
    callable
        See :func:`da4dvar.fields.sampling.with_margins`.
    """
    frame, winner = outcome.frame, outcome.comparison.winner
    if std is None:
        on_grid = outcome.grids[winner]
        method = within(on_grid.candidate.method)
        assert method is not None
        return method.deviations(binned(anomalies_of(outcome), frame.grid, frame.since), standardised=True)
    deviations = PointDeviations(chosen(outcome), frame.place, frame.clock, frame.basis(frame.times, 1))
    known = std.transpose(*dims_of(frame.grid)).values.reshape(len(frame.clock), -1)
    draw = deviations.standardised(known[:, frame.kept] / profile_of(outcome)[1])
    return lambda number, seed: whole(frame.grid, frame, draw([seed, number]).ravel())


def profile_of(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean at all times and the spread, in cells of a map with levels; 0 and 1 without levels."""
    frame = outcome.frame
    if outcome.profile is None:
        return np.zeros(1), np.ones(1)
    cycles = frame.basis(frame.times, 1)[:, None, 1:]
    return outcome.profile.at(frame.grid.positions()["depth"][frame.kept], cycles)


def chosen(outcome: Outcome) -> FittedPoints:
    """Return the optimal interpolation that won, of all points or of the nearest."""
    fitted = outcome.fitted
    return replace(fitted, method=replace(fitted.method, all_points=outcome.comparison.winner == ALL))


def anomalies_of(outcome: Outcome) -> Points:
    """Return the points without background and biases."""
    return replace(outcome.points, value=outcome.fitted.anomaly)


def whole(grid: Grid, frame: Frame, values: np.ndarray) -> xr.DataArray:
    """Return values of the estimated cells on the whole grid, NaN elsewhere."""
    out = np.full((len(frame.clock), frame.kept.size), np.nan)
    out[:, frame.kept] = values.reshape(len(frame.clock), -1)
    dims = dims_of(grid)
    shape = [grid.array.sizes[d] for d in dims]
    return grid.array.copy().transpose(*dims).copy(data=out.reshape(shape)).transpose(*grid.array.dims)


def dims_of(grid: Grid) -> list[str]:
    """Return the dimensions of a grid, time first."""
    return [*([grid.time] if grid.time else []), *grid.place]
