"""Points and the grid of their map as numbers: coordinates in kilometres and days, and regressors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.baselines.places import on_sphere
from da4dvar.baselines.point_interpolation import Scattered
from da4dvar.fields.derived import day_angle, year_angle
from da4dvar.fields.points.grid import Grid
from da4dvar.fields.points.record import SWING, Points, days
from da4dvar.fields.scaling.harmonics import harmonic_basis

# Harmonics of the year, if the times cover most of one, and of the day, if the map has several steps a day.
YEARLY, DAILY = 2, 2
MOST_OF_A_YEAR, FEW_DAYS, QUARTER = 300.0, 2.0, 0.26


@dataclass(frozen=True)
class Frame:
    """Conversion of points and of the grid of their map to numbers.

    Attributes
    ----------
    grid : Grid
        Grid of the map.
    since : datetime64 or float
        Origin of the times.
    yearly, daily : bool
        Whether the background has the cycle of the year, and that of the day.
    vertical : float
        Kilometres that count as much as one unit of depth, on a map with levels.
    """

    grid: Grid
    since: np.datetime64 | float
    yearly: bool
    daily: bool
    vertical: float = 1.0

    @classmethod
    def of(cls, points: Points, grid: Grid) -> Frame:
        """Return the frame of some points and a grid.

        Parameters
        ----------
        points : Points
            Observations.
        grid : Grid
            Grid of the map.

        Returns
        -------
        Frame
        """
        if points.time is None:
            return cls(grid, 0.0, False, False)
        since = points.time.min()
        dated = points.time.dtype.kind == "M"
        extent = float(np.ptp(points.days(since)))
        times = np.zeros(1) if grid.times is None else days(grid.times, since)
        often = times.size > 1 and bool(np.diff(times).min() <= QUARTER)
        return cls(grid, since, dated and extent > MOST_OF_A_YEAR, dated and often and extent > FEW_DAYS)

    @property
    def place(self) -> np.ndarray:
        """Cartesian coordinates of the cells that are estimated, of shape (cell, axis)."""
        out: np.ndarray = placed(self.grid.positions(), vertical=self.vertical)[self.kept]
        return out

    @property
    def kept(self) -> np.ndarray:
        """Which cells are estimated, flattened."""
        number = int(np.prod([self.grid.array.sizes[d] for d in self.grid.place]))
        return np.ones(number, bool) if self.grid.kept is None else self.grid.kept.ravel()

    @property
    def times(self) -> np.ndarray | None:
        """Times of the map."""
        return self.grid.times

    @property
    def clock(self) -> np.ndarray:
        """Times of the map as numbers; a single 0 without a time dimension."""
        return np.zeros(1) if self.times is None else days(self.times, self.since)

    def basis(self, times: np.ndarray | None, number: int) -> np.ndarray:
        """Return the regressors of the background.

        Parameters
        ----------
        times : array, shape (time,), or None
            Times.
        number : int
            Number of rows without times.

        Returns
        -------
        array of float, shape (time, regressor)
            The first column is 1.
        """
        if times is None:
            return np.ones((number, 1))
        columns = [np.ones((len(times), 1))]
        dates = xr.DataArray(times, dims="time")
        cycles: list[tuple[bool, Callable[[xr.DataArray], np.ndarray], int]] = [
            (self.yearly, year_angle, YEARLY),
            (self.daily, day_angle, DAILY),
        ]
        columns += [harmonic_basis(angle(dates), n)[:, 1:].astype(float) for on, angle, n in cycles if on]
        return np.hstack(columns)

    def basis_at(self, points: Points) -> np.ndarray:
        """Return the regressors of the background at points, of shape (point, regressor)."""
        return self.basis(points.time if self.times is not None else None, len(points))

    def scattered(self, points: Points, tracks: np.ndarray) -> Scattered:
        """Return points as numbers.

        Parameters
        ----------
        points : Points
            Observations.
        tracks : array of int, shape (point,)
            Number of the track of each.

        Returns
        -------
        Scattered
            Only platforms that move have a number: the bias of one that stays in place cannot be told from
            the field. On a map with levels, none has.
        """
        at = {n: c for n, c in points.columns().items() if n in self.grid.positions()}
        has_times = self.times is not None and points.time is not None
        known = np.zeros(len(points)) if points.error is None else np.nan_to_num(points.error) ** 2
        return Scattered(
            points.value,
            placed(at, len(points), self.vertical),
            points.days(self.since) if has_times else np.zeros(len(points)),
            tracks,
            moving(points) if self.grid.levels is None else np.full(len(points), -1),
            self.basis_at(points),
            known,
        )


def placed(positions: dict[str, np.ndarray], number: int = 1, vertical: float = 1.0) -> np.ndarray:
    """Return Cartesian coordinates of positions: km for degrees, and the units of depths without degrees."""
    if "lat" in positions:
        place = on_sphere(positions["lat"], positions["lon"])
        return np.column_stack([place, vertical * positions["depth"]]) if "depth" in positions else place
    return positions["depth"][:, None] if "depth" in positions else np.empty((number, 0))


def moving(points: Points) -> np.ndarray:
    """Return the number of the platform of each point; -1 for those that stay in place."""
    out = np.full(len(points), -1)
    if points.platform is None or points.lat is None or points.lon is None:
        return out
    count = 0
    for name in np.unique(points.platform):
        here = points.platform == name
        if max(np.ptp(points.lat[here]), np.ptp(points.lon[here])) > SWING:
            out[here] = count
            count += 1
    # Of a single platform, the bias cannot be told from the mean.
    return out if count > 1 else np.full(len(points), -1)
