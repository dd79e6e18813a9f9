"""Properties of a gappy variable that are known before anything is learned from it."""

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
        Name of the time dimension.
    space : tuple of str
        Names of the space dimensions: two for a grid, one for stations or a section.
    sizes : dict of str to int
        Number of entries along each dimension.
    observed : float
        Observed fraction of the points, without cells that are never observed.
    gap : int
        90th percentile of the gap length, in steps.
    memory : int
        Number of steps after which the correlation of the anomalies has fallen below 1/e.
    seasonal : bool
        Whether the times are dates that cover more than a year and a half.
    dated : bool
        Whether the times are dates.
    lengths : tuple of int
        Run lengths, in steps, distributed like the gap lengths.
    offset : float, optional
        Offset to add before taking the logarithm, a tenth of the median; only for values that are never
        negative and have a skewness above 1.
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
    """Return the character of a variable.

    Parameters
    ----------
    array : DataArray
        Variable with NaN in the gaps.
    time : str
        Name of the time dimension.

    Returns
    -------
    Character

    Raises
    ------
    DataError
        If the variable has fewer than two times, or no observation.
    """
    if time not in array.dims or array.sizes[time] < 2:
        raise DataError(f"variable {array.name!r} has fewer than two times, which is too few to learn from")
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
    """Return the character of each variable of a data set; see :func:`character_of`."""
    return {str(name): character_of(array, time) for name, array in ds.data_vars.items()}


def offset_of(array: xr.DataArray) -> float | None:
    """Return the offset to add to a variable before taking its logarithm; None if that is of no use."""
    values = array.values[np.isfinite(array.values)].astype("float64")
    if values.min() < 0 or not values.std() > 0:
        return None
    skewness = float(np.mean((values - values.mean()) ** 3) / values.std() ** 3)
    # Two digits are sufficient, and easier to read in a recipe.
    return float(f"{0.1 * np.median(values):.2g}") or None if skewness > 1 else None


def places(array: xr.DataArray, time: str) -> tuple[str, ...]:
    """Return the space dimensions: latitude and longitude if both have that role, otherwise the last two."""
    others = [str(d) for d in array.dims if d != time and array.sizes[d] > 1]
    roles = {d: axis_role(array[d]) for d in others if d in array.coords}
    grid = [d for role in ("Y", "X") for d in others if roles.get(d) == role]
    return tuple(grid if len(grid) == 2 else others[-2:])


def memory_of(array: xr.DataArray, time: str, seasonal: bool) -> int:
    """Return the lag, in steps, at which the correlation of the anomalies over all cells is below 1/e."""
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
        # Values that are all the same have no correlation.
        with np.errstate(invalid="ignore", divide="ignore"):
            if both.sum() > 30 and np.corrcoef(first[both], second[both])[0, 1] < np.exp(-1):
                break
        lag = lag + 1 if lag < 8 else lag * 2
    return lag
