"""Principal components of a field with gaps: X ≈ U Uᵀ X, where U holds the leading EOFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from sklearn.utils.extmath import randomized_svd

from da4dvar.errors import DataError


def fillings(
    matrix: np.ndarray, most: int, tolerance: float = 1e-3, iterations: int = 300, seed: int = 0
) -> Iterator[np.ndarray]:
    """X ← M ∘ X + (1 − M) ∘ U Uᵀ X until the change is small, with 1, 2, … columns in U.

    M is 1 where X is observed. Gaps start at 0, and with each further mode at what they were filled
    with before it (Beckers and Rixen, 2003). U, the leading left singular vectors, follows X by one
    step of orthogonal iteration each time: X changes little, so a whole decomposition would be waste.

    Parameters
    ----------
    matrix : array, shape (time, cell)
        Anomalies, NaN in the gaps.
    most : int
        Modes to go to, up to the smaller side of the matrix.
    tolerance : float
        Where a step is small: root mean square of the change, in those of the observed anomalies.
    iterations : int
        Most steps with each number of modes.
    seed : int
        Of the randomised decomposition that each number of modes starts from.

    Yields
    ------
    array, shape (time, cell)
        `matrix`, with its gaps filled by 1 mode, by 2, and so on; in its units.

    Examples
    --------
    >>> x = np.outer([1.0, 2.0, -3.0], [1.0, 0.5, -1.0, 2.0])
    >>> x[1, 3] = np.nan
    >>> next(fillings(x, most=1, tolerance=1e-6)).round(3)[1, 3]
    np.float64(4.0)
    """
    gaps = np.isnan(matrix)
    filled, missing = np.where(gaps, 0.0, matrix), gaps.astype("float64")
    small = tolerance * np.sqrt(np.mean(matrix[~gaps] ** 2) * gaps.sum()) if not gaps.all() else 0.0
    for modes in range(1, min(most, *matrix.shape) + 1):
        eofs = randomized_svd(filled, modes, random_state=seed)[0]
        for _ in range(iterations):
            components = eofs.T @ filled
            change = eofs @ components
            change -= filled
            change *= missing
            filled += change
            if np.linalg.norm(change) <= small:
                break
            eofs = np.linalg.qr(filled @ components.T)[0]
        yield filled.copy()


def as_matrix(array: xr.DataArray, time: str) -> np.ndarray:
    """All but time as cells, shape (time, cell), float64; NaN is a gap, and so is what is not finite.

    Cells come in the order of the dimensions' names, so that the array's own order plays no part.

    Examples
    --------
    >>> as_matrix(xr.DataArray([[1, 2, 3], [4, 5, np.inf]], dims=("station", "day")), "day")
    array([[ 1.,  4.],
           [ 2.,  5.],
           [ 3., nan]])
    """
    cells = sorted((d for d in array.dims if d != time), key=str)
    values = array.transpose(time, *cells).values.reshape(array.sizes[time], -1).astype("float64")
    values[~np.isfinite(values)] = np.nan
    return values


def from_matrix(matrix: np.ndarray, like: xr.DataArray, time: str) -> np.ndarray:
    """The inverse of `as_matrix`: shape, order of dimensions and type of `like`."""
    cells = sorted((d for d in like.dims if d != time), key=str)
    shape = [like.sizes[d] for d in (time, *cells)]
    back = xr.DataArray(matrix.reshape(shape), dims=(time, *cells)).transpose(*like.dims)
    return back.values.astype(like.dtype)


def has_gaps_in_time(array: xr.DataArray, time: str) -> bool:
    """Whether a variable is one to fill: real numbers along `time`.

    Raises
    ------
    DataError
        If it holds real numbers, but does not have that dimension.
    """
    if array.dtype.kind != "f":
        return False
    if time not in array.dims:
        has = ", ".join(map(str, array.dims))
        raise DataError(f"variable {array.name!r} has no dimension {time!r}; it has {has}")
    return True


def on_the_whole(function: Callable[[xr.DataArray], Any], array: xr.DataArray, outputs: int = 1) -> Any:
    """`function` of all of an array at once, whatever its chunks; lazy if it is.

    Parameters
    ----------
    function : callable
        From a DataArray in memory, with the dimensions of `array` and their coordinates, to as many
        arrays of the same shape and type as `outputs` says.
    array : DataArray
    outputs : int

    Returns
    -------
    DataArray, or a tuple of them
    """
    coords = {d: array[d].variable for d in array.dims if d in array.coords}

    def of_values(values: np.ndarray) -> Any:
        return function(xr.DataArray(values, coords, array.dims, array.name))

    return xr.apply_ufunc(
        of_values,
        array if array.chunks is None else array.chunk(dict.fromkeys(array.dims, -1)),
        input_core_dims=[array.dims],
        output_core_dims=[array.dims] * outputs,
        dask="parallelized",
        output_dtypes=[array.dtype] * outputs,
    )


def check_above(bounds: dict[str, float], of: object) -> None:
    """Raise a `DataError` for each attribute of `of` that is not above its bound; None is let through."""
    for name, bound in bounds.items():
        value = getattr(of, name)
        if value is not None and not value > bound:
            raise DataError(f"{name} is {value}, expected more than {bound}")
