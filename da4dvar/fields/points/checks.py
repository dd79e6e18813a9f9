"""Checks of points: positions, errors, duplicates and jumps, each reported in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import EARTH
from da4dvar.fields.points.record import Points, days

# A step jumps if its speed is this many times the usual speed of the platform, and it is longer than so many
# kilometres: a fix that is wrong, or the records of two platforms in one.
FAST, FAR = 30.0, 50.0


def checked(points: Points, say: Callable[[str], object]) -> Points:
    """Return points that can be interpolated, and report what was found.

    Points whose position is impossible are left out, those at the same time and place and of the same
    platform are averaged, and jumps of a trajectory are reported.

    Parameters
    ----------
    points : Points
        Points as read.
    say : callable
        Called with each line.

    Returns
    -------
    Points

    Raises
    ------
    DataError
        If an error is not above 0, or no point is left.
    """
    if points.error is not None and (wrong := points.error <= 0).any():
        raise DataError(
            f"{points.name}: {wrong.sum()} of {len(points)} errors are not above 0 (the smallest is "
            f"{points.error[wrong].min():.4g}); give standard deviations above 0, or leave them empty"
        )
    if points.lat is not None and points.lon is not None:
        wrong = (np.abs(points.lat) > 90) | (points.lon < -180) | (points.lon > 360)
        if wrong.any():
            say(
                f"{points.name}: {wrong.sum()} of {len(points)} points are left out, as their latitude is "
                "beyond 90 degrees or their longitude not within -180 and 360"
            )
            points = points.isel(~wrong)
    if not len(points):
        raise DataError(f"{points.name}: no point is left; check the positions")
    points = without_duplicates(points, say)
    for line in jumps(points):
        say(line)
    return points


def without_duplicates(points: Points, say: Callable[[str], object]) -> Points:
    """Return points of which those at the same time and place and of the same platform are averaged."""
    keys = [a for n, a in points.columns().items() if n not in ("value", "error")]
    numbers = [np.unique(key, return_inverse=True)[1].reshape(-1) for key in keys]
    if not numbers:
        return points
    _, which, same = np.unique(np.stack(numbers, 1), axis=0, return_index=True, return_inverse=True)
    extra = len(points) - which.size
    if not extra:
        return points
    same = same.reshape(-1)
    mean = np.bincount(same, points.value) / np.bincount(same)
    differing = (np.abs(points.value - mean[same]) > 1e-9 * np.abs(points.value).max()).any()
    say(
        f"{points.name}: {extra} of {len(points)} points repeat the time, place and platform of another; "
        + ("their values are averaged" if differing else "they are left out")
    )
    order = np.argsort(which)
    return replace(points.isel(which[order]), value=mean[order])


def jumps(points: Points) -> list[str]:
    """Return a line for each of the first platforms whose trajectory jumps."""
    if points.time is None or points.lat is None or points.lon is None:
        return []
    platform = np.full(len(points), "") if points.platform is None else points.platform
    lines = []
    for name in np.unique(platform):
        here = np.flatnonzero(platform == name)
        here = here[np.argsort(points.time[here], kind="stable")]
        step = along(points.lat[here], points.lon[here])
        apart = np.diff(days(points.time[here], points.time[here[0]]))
        moving = (apart > 0) & (step > 0)
        if moving.sum() < 5:
            continue
        speed = np.divide(step, apart, out=np.zeros(step.size), where=moving)
        jump = moving & (speed > FAST * np.median(speed[moving])) & (step > FAR)
        if jump.any():
            first = int(np.flatnonzero(jump)[0])
            of = f" of {str(name)!r}" if name else ""
            lines.append(
                f"{points.name}: the trajectory{of} jumps {jump.sum()} times, first by "
                f"{step[first]:.0f} km at {str(points.time[here[first + 1]])[:19]}; check its positions"
            )
    if len(lines) > 3:
        lines = [*lines[:3], f"{points.name}: and {len(lines) - 3} more trajectories jump"]
    return lines


def along(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return the distances in km from each position to the next."""
    phi, theta = np.radians(lat), np.radians(lon)
    half = np.sin(np.diff(phi) / 2) ** 2
    half = half + np.cos(phi[1:]) * np.cos(phi[:-1]) * np.sin(np.diff(theta) / 2) ** 2
    out: np.ndarray = 2 * EARTH * np.arcsin(np.sqrt(half.clip(0, 1)))
    return out
