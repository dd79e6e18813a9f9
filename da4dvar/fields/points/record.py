"""Observations of one variable, each with its own time and place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from da4dvar.errors import DataError

# A platform whose position changes by less than this, in degrees, stays in place, as a mooring on its line.
SWING = 0.2
# A break between the tracks of a platform: steps in time longer than this many times the usual one.
BREAK = 20.0
# Points at one time belong to one track up to this many times the usual distance of neighbours; a track with
# more than a fraction MOST of all points is no track but a cloud, whose points are on their own.
NEAR, MOST = 2.0, 0.3
OBS = "obs"


@dataclass(frozen=True)
class Points:
    """Observations of one variable at points in time and space.

    Parameters
    ----------
    name : str
        Name of the variable.
    value : array, shape (point,)
        Observed values.
    time : array, shape (point,), or None
        Dates (``datetime64``), or numbers.
    lat, lon : array, shape (point,), or None
        Position in degrees.
    depth : array, shape (point,), or None
        Vertical coordinate: depth, height or pressure, in the units of `depth_attrs`.
    error : array, shape (point,), or None
        Standard deviation of the error of each value, in the units of the variable; NaN where it is unknown.
    platform : array of str, shape (point,), or None
        Name of the platform that measured each value.
    attrs, depth_attrs : dict
        Attributes of the variable and of the vertical coordinate.

    Raises
    ------
    DataError
        If a column does not have one entry for each value.

    Examples
    --------
    >>> sla = Points("sla", np.array([0.1, 0.2]), lat=np.array([40.0, 41.0]), lon=np.array([5.0, 5.1]))
    >>> len(sla), sla.isel(np.array([1])).value
    (2, array([0.2]))
    """

    name: str
    value: np.ndarray
    time: np.ndarray | None = None
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    depth: np.ndarray | None = None
    error: np.ndarray | None = None
    platform: np.ndarray | None = None
    attrs: Mapping[Hashable, Any] = field(default_factory=dict)
    depth_attrs: Mapping[Hashable, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, array in self.columns().items():
            if np.shape(array) != (len(self.value),):
                raise DataError(
                    f"{name} has the shape {np.shape(array)}, expected one entry for each of "
                    f"{len(self.value)} values"
                )

    def __len__(self) -> int:
        return len(self.value)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the arrays that are there, by name.

        Returns
        -------
        dict of str to array
        """
        names = ("value", "time", "lat", "lon", "depth", "error", "platform")
        return {n: array for n in names if (array := getattr(self, n)) is not None}

    def isel(self, index: np.ndarray) -> Points:
        """Return some of the points.

        Parameters
        ----------
        index : array of int or bool
            Which points to keep.

        Returns
        -------
        Points
        """
        return replace(self, **{n: array[index] for n, array in self.columns().items()})

    def days(self, since: np.datetime64 | float = 0.0) -> np.ndarray:
        """Return the times as numbers.

        Parameters
        ----------
        since : datetime64 or float
            Origin of the times.

        Returns
        -------
        array of float, shape (point,)
            Days since `since` for dates, differences to it for numbers, and zeros without times.
        """
        return days(self.time, since) if self.time is not None else np.zeros(len(self))

    def to_dataset(self) -> xr.Dataset:
        """Return the points as a data set of the CF feature type ``point``.

        Returns
        -------
        Dataset
            Along the dimension ``obs``; :func:`da4dvar.fields.points.from_dataset` reads it.
        """
        ds = xr.Dataset({self.name: (OBS, self.value, dict(self.attrs))}, attrs={"featureType": "point"})
        axes = {
            "time": {"standard_name": "time"},
            "lat": {"standard_name": "latitude", "units": "degrees_north"},
            "lon": {"standard_name": "longitude", "units": "degrees_east"},
            "depth": {"axis": "Z"} | dict(self.depth_attrs),
        }
        here = self.columns()
        ds = ds.assign_coords({n: (OBS, here[n], attrs) for n, attrs in axes.items() if n in here})
        if self.error is not None:
            units = {"units": self.attrs["units"]} if "units" in self.attrs else {}
            ds[f"{self.name}_error"] = (OBS, self.error, units)
        if self.platform is not None:
            ds = ds.assign_coords(platform=(OBS, self.platform.astype(str)))
        return ds

    def tracks(self) -> np.ndarray:
        """Return the number of the track of each point: what is hidden together when methods are compared.

        All points of a platform that stays in place are one track. Those of a platform that moves are parted
        where it reports nothing for much longer than usual. Without platforms, points at one place are a
        track or, if places hardly ever occur twice, points next to each other at a time, or in time.

        Returns
        -------
        array of int, shape (point,)
        """
        if not len(self):
            return np.zeros(0, int)
        lat, lon = (np.zeros(len(self)) if a is None else a for a in (self.lat, self.lon))
        clock = np.zeros(len(self)) if self.time is None else self.days(self.time[0])
        if self.platform is None:
            places, own = np.unique(np.column_stack([lat, lon]).round(4), axis=0, return_inverse=True)
            if len(places) > len(self) / 3:
                return joined(clock, lat, lon)
        else:
            own = np.unique(self.platform.astype(str), return_inverse=True)[1]
        out, count = np.zeros(len(self), int), 0
        for k in range(int(own.max()) + 1):
            here = np.flatnonzero(own.reshape(-1) == k)
            here = here[np.argsort(clock[here], kind="stable")]
            breaks = np.zeros(here.size, int)
            if here.size > 2 and max(np.ptp(lat[here]), np.ptp(lon[here])) > SWING:
                breaks[1:] = np.cumsum(is_break(np.diff(clock[here])))
            out[here] = count + breaks
            count += int(breaks[-1]) + 1
        return out


def is_break(apart: np.ndarray) -> np.ndarray:
    """Return true where steps in time are much longer than usual."""
    moving = apart[apart > 0]
    out: np.ndarray = apart > BREAK * (float(np.median(moving)) if moving.size else np.inf)
    return out


def joined(clock: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return the numbers of tracks of points without platforms: neighbours at a time, or in time."""
    times, when = np.unique(clock, return_inverse=True)
    order = np.argsort(clock, kind="stable")
    if times.size > clock.size / 3:
        out = np.zeros(clock.size, int)
        out[order[1:]] = np.cumsum(is_break(np.diff(clock[order])))
        return out
    # Neighbours at the same time, as the cells under the tracks of a day.
    place = np.column_stack([lat, lon * np.cos(np.radians(lat)), when * 1e3])
    nearest = cKDTree(place).query(place, 2)[0][:, 1]
    pairs = cKDTree(place).query_pairs(NEAR * float(np.median(nearest)), output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(clock.size, clock.size))
    numbers = connected_components(graph, directed=False)[1]
    cloud = np.bincount(numbers)[numbers] > MOST * clock.size
    numbers[cloud] = numbers.max() + 1 + np.arange(cloud.sum())
    return np.unique(numbers, return_inverse=True)[1].reshape(-1)


def days(time: np.ndarray, since: np.datetime64 | float) -> np.ndarray:
    """Return times as days since a date, or as differences to a number."""
    apart: np.ndarray = np.asarray(time) - np.asarray(since)
    out: np.ndarray = apart / np.timedelta64(1, "D") if apart.dtype.kind == "m" else apart.astype("float64")
    return out
