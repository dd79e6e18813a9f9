"""Principal components of a field with gaps: X ≈ U Uᵀ X, where U holds the leading EOFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import diags, identity
from scipy.sparse.linalg import splu

from da4dvar.errors import DataError

# ω: with 2 or more, the iteration may diverge.
RELAXATION = 1.8
CACHED = 100_000  # values of a part of the matrix that stay in the cache of a processor between operations


def fillings(
    matrix: np.ndarray,
    most: int,
    tolerance: float = 1e-3,
    iterations: int = 300,
    seed: int = 0,
    smooth: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """X ← X + ω (1 − M) ∘ (U Uᵀ X − X) until the change is small, for 1, 2, … columns in U.

    M is 1 where X is observed, and ω > 1 is a relaxation, with which fewer steps are needed than with
    X ← M ∘ X + (1 − M) ∘ U Uᵀ X. The gaps start at 0, and for each further mode at the values of the previous
    fill (Beckers and Rixen, 2003). U holds the leading left singular vectors of X, updated in each step by
    one orthogonal iteration: X changes too little to require a full decomposition.

    Parameters
    ----------
    matrix : array, shape (time, cell)
        Anomalies, with NaN in the gaps.
    most : int
        Maximum number of modes; limited by the smaller dimension of the matrix.
    tolerance : float
        The iteration ends once the root mean square change, relative to that of the observed anomalies, is
        below this.
    iterations : int
        Maximum number of steps for each number of modes.
    seed : int
        Seed of the randomised decomposition with which each number of modes starts.
    smooth : callable, optional
        F, a symmetric filter along the first dimension; U then holds the singular vectors of F X.

    Yields
    ------
    array, shape (time, cell)
        `matrix`, with its gaps filled by 1, 2, … modes.

    Examples
    --------
    >>> x = np.outer([1.0, 2.0, -3.0], [1.0, 0.5, -1.0, 2.0])
    >>> x[1, 3] = np.nan
    >>> float(next(fillings(x, most=1, tolerance=1e-6)).round(3)[1, 3])
    4.0
    """
    # scikit-learn takes longer to import than a first, simple method to answer.
    from sklearn.utils.extmath import randomized_svd

    gaps = np.isnan(matrix)
    size = 0.0 if gaps.all() else float(np.sqrt(np.mean(matrix[~gaps] ** 2)))
    # In units of the anomalies, single precision is enough, and takes half of the time.
    filled = (np.where(gaps, 0.0, matrix) / (size or 1.0)).astype("float32")
    rows = max(1, CACHED // matrix.shape[1])
    step, small = np.float32(RELAXATION) * gaps, RELAXATION * tolerance * np.sqrt(gaps.sum())
    parts = [slice(k, k + rows) for k in range(0, len(matrix), rows)]
    for modes in range(1, min(most, *matrix.shape) + 1):
        start = filled if smooth is None else smooth(filled).astype("float32")
        eofs = randomized_svd(start, modes, random_state=seed)[0]
        for _ in range(iterations):
            components = eofs.T @ filled
            squares, moved = 0.0, np.empty_like(eofs)
            for some in parts:
                change = eofs[some] @ components
                change -= filled[some]
                change *= step[some]
                filled[some] += change
                squares += float(np.vdot(change, change))
                if smooth is None:
                    moved[some] = filled[some] @ components.T
            if np.sqrt(squares) <= small:
                break
            if smooth is None:
                eofs = np.linalg.qr(moved)[0]
            else:
                moved = smooth(filled @ (filled.T @ smooth(eofs).astype("float32")))
                eofs = np.linalg.qr(moved.astype("float32"))[0]
        yield np.where(gaps, size * filled.astype("float64"), matrix)


def filter_in_time(steps: np.ndarray, length: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the filter (I + ℓ²/4 L)⁻², a diffusion with standard deviation ℓ along the first axis.

    The diffusion is made in two steps. L is the Laplacian of the times, in which a step that is k times as
    long as the median couples its ends by 1/k². DINEOF's filter (Alvera-Azcárate et al., 2009,
    doi:10.5194/os-5-475-2009) diffuses in n explicit steps with a coefficient α, where ℓ = √(2 α n);
    implicit steps are stable for uneven times as well.

    Parameters
    ----------
    steps : array, shape (time - 1,)
        Differences of the times.
    length : float
        ℓ, in median steps.

    Returns
    -------
    callable

    Examples
    --------
    >>> filter_in_time(np.ones(2), 1.0)(np.array([0.0, 1.0, 0.0])).round(2)
    array([0.22, 0.55, 0.22])
    """
    size = np.abs(steps)
    coupling = 1 / np.maximum(1.0, size / np.median(size)) ** 2
    middle = np.r_[coupling, 0] + np.r_[0, coupling]
    laplacian = diags([-coupling, middle, -coupling], [-1, 0, 1])
    solve = splu((identity(len(middle)) + length**2 / 4 * laplacian).tocsc()).solve
    return lambda values: np.asarray(solve(solve(values)))


def across_bare_times(filled: np.ndarray, bare: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """x̂(t) = [ρᵃ (1 − ρ²ᵇ) x(t − a) + ρᵇ (1 − ρ²ᵃ) x(t + b)] / (1 − ρ²⁽ᵃ⁺ᵇ⁾) at times without observations.

    The mean of a first-order autoregressive process, given the last time before and the first after that have
    an observation: nearly linear in between them in a short gap, and zero in the middle of a long one. At an
    open end it is ρᵃ x(t − a) or ρᵇ x(t + b).

    Parameters
    ----------
    filled : array, shape (time, cell)
        Anomalies without gaps at other times.
    bare : array of bool, shape (time,)
        True at the times without any observation.
    clock : array, shape (time,)
        Ascending times, in median steps.

    Returns
    -------
    array, shape (time, cell)

    Examples
    --------
    >>> x = np.array([[4.0], [4.4], [0.0], [5.0], [4.6]])
    >>> across_bare_times(x, x[:, 0] == 0, np.arange(5.0))[2].round(1)
    array([4.7])
    """
    there = np.flatnonzero(~bare)
    if not bare.any() or there.size < 2:
        return filled
    known, at = filled[there], clock[there]
    gap = np.diff(at)
    near = gap <= 1.5 * gap.min()
    one, other = known[:-1][near], known[1:][near]
    power = np.sqrt(np.sum(one**2) * np.sum(other**2))
    rho = float(np.clip(np.sum(one * other) / power, 0.0, 1 - 1e-9)) if power > 0 else 0.0
    rho **= 1 / gap[near].mean()
    after = np.searchsorted(there, np.flatnonzero(bare))
    a, b = (np.full(after.size, np.inf) for _ in range(2))
    before, later = np.maximum(after - 1, 0), np.minimum(after, there.size - 1)
    a[after > 0] = (clock[bare] - at[before])[after > 0]
    b[after < there.size] = (at[later] - clock[bare])[after < there.size]
    total = 1 - rho ** (2 * (a + b))
    weights = rho**a * (1 - rho ** (2 * b)) / total, rho**b * (1 - rho ** (2 * a)) / total
    out = filled.copy()
    out[bare] = weights[0][:, None] * known[before] + weights[1][:, None] * known[later]
    return out


def as_matrix(array: xr.DataArray, time: str) -> np.ndarray:
    """Return an array as a float64 matrix, shape (time, cell), with NaN for values that are not finite.

    The cells are ordered by the names of their dimensions, so that the result does not depend on the order of
    the dimensions in the array.

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
    """Invert :func:`as_matrix`, with the shape, order of dimensions and data type of `like`."""
    cells = sorted((d for d in like.dims if d != time), key=str)
    shape = [like.sizes[d] for d in (time, *cells)]
    back = xr.DataArray(matrix.reshape(shape), dims=(time, *cells)).transpose(*like.dims)
    return back.values.astype(like.dtype)


def has_gaps_in_time(array: xr.DataArray, time: str) -> bool:
    """Whether a variable can be filled: real numbers along `time`.

    Raises
    ------
    DataError
        If the variable holds real numbers but does not have that dimension.
    """
    if array.dtype.kind != "f":
        return False
    if time not in array.dims:
        has = ", ".join(map(str, array.dims))
        raise DataError(f"variable {array.name!r} has no dimension {time!r}; it has {has}")
    return True


def on_the_whole(function: Callable[[xr.DataArray], Any], array: xr.DataArray, outputs: int = 1) -> Any:
    """Apply a function to a whole array regardless of its chunks; lazily if the array is lazy.

    Parameters
    ----------
    function : callable
        Maps a DataArray in memory, with the dimensions of `array` and their coordinates, to `outputs`
        arrays of the same shape and data type.
    array : DataArray
        Argument of the function.
    outputs : int
        Number of arrays that the function returns.

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
    """Raise a `DataError` if an attribute of `of` is neither None nor above its bound."""
    for name, bound in bounds.items():
        value = getattr(of, name)
        if value is not None and not value > bound:
            raise DataError(f"{name} is {value}, expected more than {bound}")
