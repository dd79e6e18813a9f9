"""What can be seen of a gappy variable before anything is learned from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.holdout import own_lengths
from da4dvar.fields.gaps.runs import gap_lengths
from da4dvar.fields.labels.cf import axis_role, is_dates, steps
from da4dvar.fields.scaling.anomaly import Anomaly

YEAR = 365.2425 * 86400


@dataclass(frozen=True)
class Character:
    """Shape, gaps and memory of a variable.

    Attributes
    ----------
    time : str
    space : tuple of str
        Its other dimensions that are places: those of a grid, or one of stations or of a section.
    sizes : dict of str to int
    observed : float
        Part of the points that is observed, of those of cells that ever are.
    gap : int
        The length that nine tenths of the gaps do not pass, in steps.
    memory : int
        Steps after which the correlation of the anomalies has fallen below 1/e.
    seasonal : bool
        Whether there are dates, over a year and a half or more.
    dated : bool
        Whether there are dates.
    lengths : tuple of int
        Lengths of runs that are spread like those of the gaps.
    offset : float, optional
        What may be added before taking the logarithm, a tenth of the median: for values that are never
        negative and have a long tail (a skewness above 1).
    """

    time: str
    space: tuple[str, ...]
    sizes: dict[str, int]
    observed: float
    gap: int
    memory: int
    seasonal: bool
    dated: bool
    lengths: tuple[int, ...] = (1,)
    offset: float | None = None


def character_of(array: xr.DataArray, time: str) -> Character:
    """The character of a variable.

    Raises
    ------
    DataError
        If nothing of it is observed, or there is nothing but one time.
    """
    if time not in array.dims or array.sizes[time] < 2:
        raise DataError(f"variable {array.name!r} has fewer than two times; there is nothing to learn from")
    seen = array.notnull()
    if not seen.any():
        raise DataError(f"variable {array.name!r} holds no observation at all; check its fill value and mask")
    dated = time in array.coords and is_dates(array[time])
    differences = steps(array[time]) if dated else None
    seasonal = differences is not None and bool(abs(differences.sum()) > 1.5 * YEAR)
    lengths = gap_lengths(seen, time, array.sizes[time])
    return Character(
        time,
        places(array, time),
        {str(d): n for d, n in array.sizes.items()},
        float(seen.sum() / (int(seen.any(time).sum()) * array.sizes[time])),
        int(np.quantile(lengths, 0.9)) if lengths.size else 0,
        memory_of(array, time, seasonal),
        seasonal,
        dated,
        tuple(own_lengths(seen, time)),
        offset_of(array),
    )


def characters_of(ds: xr.Dataset, time: str) -> dict[str, Character]:
    """The character of each variable of a data set.

    Raises
    ------
    DataError
        As :func:`character_of`.
    """
    return {str(name): character_of(array, time) for name, array in ds.data_vars.items()}


def offset_of(array: xr.DataArray) -> float | None:
    """What may be added to a variable before its logarithm is taken, if that is of use."""
    values = array.values[np.isfinite(array.values)].astype("float64")
    if values.min() < 0 or not values.std() > 0:
        return None
    skewness = float(np.mean((values - values.mean()) ** 3) / values.std() ** 3)
    # Two digits are enough, and read better in a recipe.
    return float(f"{0.1 * np.median(values):.2g}") or None if skewness > 1 else None


def places(array: xr.DataArray, time: str) -> tuple[str, ...]:
    """The dimensions that are places: latitude and longitude by their role, or the last two."""
    others = [str(d) for d in array.dims if d != time and array.sizes[d] > 1]
    roles = {d: axis_role(array[d]) for d in others if d in array.coords}
    grid = [d for role in ("Y", "X") for d in others if roles.get(d) == role]
    return tuple(grid if len(grid) == 2 else others[-2:])


def memory_of(array: xr.DataArray, time: str, seasonal: bool) -> int:
    """Steps after which the correlation of the anomalies, over all cells, has fallen below 1/e."""
    lines = array.transpose(time, ...)
    values = lines.values.reshape(lines.shape[0], -1).astype("float64")
    if seasonal:
        cells = [str(d) for d in array.dims]
        values = (
            Anomaly(time=time).fit_climatology(lines.to_dataset(name="x"), "x", cells).reshape(values.shape)
        )
    else:
        count = np.maximum(np.isfinite(values).sum(0), 1)
        values = values - np.nansum(values, axis=0) / count
    lag = 1
    while lag < len(values) // 2:
        first, second = values[:-lag], values[lag:]
        both = np.isfinite(first) & np.isfinite(second)
        if both.sum() > 30 and np.corrcoef(first[both], second[both])[0, 1] < np.exp(-1):
            break
        lag = lag + 1 if lag < 8 else lag * 2
    return lag
