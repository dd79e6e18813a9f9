"""Errors and biases of platforms: given, or estimated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from da4dvar.baselines.point_interpolation import FittedPoints
from da4dvar.errors import DataError, nearest
from da4dvar.fields.points.record import Points
from da4dvar.workflows.points.frame import moving

Say = Callable[[str], object]
# Platforms that are listed in a line.
LISTED = 6


def with_platforms(
    points: Points, error: float | Mapping[str, float] | None, bias: Mapping[str, float] | str
) -> Points:
    """Return points with given errors, and without given biases.

    Parameters
    ----------
    points : Points
        Observations.
    error : float or mapping of str to float, optional
        Standard deviation of all errors, or of those of each platform.
    bias : mapping of str to float, or {"estimated", "none"}
        Biases of platforms.

    Returns
    -------
    Points

    Raises
    ------
    DataError
        If an error is not above 0, or there is no platform of a name.
    """
    if isinstance(bias, str) and bias not in ("estimated", "none"):
        raise DataError(f"bias is {bias!r}, expected 'estimated', 'none', or a number for each platform")
    errors = {"": error} if isinstance(error, int | float) else dict(error or {})
    biases = {} if isinstance(bias, str) else dict(bias)
    names = [] if points.platform is None else np.unique(points.platform).tolist()
    for what, given in (("error", errors), ("bias", biases)):
        for name, number in given.items():
            if name and name not in names:
                raise DataError(
                    f"{what} of platform {name!r}: "
                    + (nearest(name, names) if names else "the points have no platforms")
                )
            if what == "error" and not 0 < number < np.inf:
                raise DataError(f"error {name or 'of the points'} is {number}, expected more than 0")
    own = np.full(len(points), np.nan) if points.error is None else points.error.copy()
    value = points.value.copy()
    for name, number in errors.items():
        own[points.platform == name if name else slice(None)] = number
    for name, number in biases.items():
        value[points.platform == name] -= number
    return replace(points, value=value, error=None if np.isnan(own).all() else own)


def biases_of(fitted: FittedPoints, points: Points, say: Say) -> tuple[dict[str, float], dict[str, float]]:
    """Return the estimated bias and error of each platform that moves, and say them in a line."""
    number = moving(points)
    if points.platform is None or number.max(initial=-1) < 0:
        return {}, {}
    bias, error = {}, {}
    for k in range(int(number.max()) + 1):
        own = number == k
        name = str(points.platform[own][0])
        bias[name] = float(fitted.bias[k]) if k < fitted.bias.size else 0.0
        error[name] = float(np.sqrt(np.mean(fitted.noise[own])))
    said = [f"{n} {bias[n]:+.3g} (error {error[n]:.3g})" for n in list(bias)[:LISTED]]
    more = [f"and {len(bias) - LISTED} more"] if len(bias) > LISTED else []
    units = f" in {points.attrs['units']}" if points.attrs.get("units") else ""
    if any(bias.values()):
        say(f"{points.name}: bias of each platform{units}: {', '.join([*said, *more])}")
    else:
        say(f"{points.name}: no bias of any of {len(bias)} platforms can be told from the field")
    return bias, error
