"""Joint samples of a filled variable: correlated errors whose spread is that of the intervals."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import dask.array
import numpy as np
import xarray as xr
from dask.delayed import delayed
from scipy.special import ndtr

from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.errors import DataError, check_least
from da4dvar.fields.labels.samples import REALIZATION
from da4dvar.workflows.autofit.compete import Result

# Numbers of standard deviations for which half widths are computed; between them, they are interpolated.
KNOTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
# Part of the free memory that samples may fill.
SHARE = 0.5

Half = Callable[[float], xr.DataArray]


def covariance_method(result: Result, array: xr.DataArray, time: str) -> OptimalInterpolation:
    """Return an optimal interpolation with the covariance of a variable, which is kept in the result.

    Parameters
    ----------
    result : Result
        Outcome of the fit. The covariance is that of the method which fills the variable, if this is an
        optimal interpolation or a combination with one. Otherwise one is fitted to the first trial.
    array : DataArray
        Variable with NaN in the gaps, to which a covariance is fitted if there are no trials.
    time : str
        Name of the time dimension.

    Returns
    -------
    OptimalInterpolation
    """
    winner = result.winner.method
    own = [m for m in (winner, *getattr(winner, "methods", ())) if isinstance(m, OptimalInterpolation)]
    method = own[0] if own else OptimalInterpolation(time)
    if result.covariance is None and method.covariance is None:
        known = result.trials[0].seen if result.trials else array
        result.covariance = dict(method.fitted(known.to_dataset()).covariance or {}) or None
    return (
        method if method.covariance is not None else OptimalInterpolation(time, covariance=result.covariance)
    )


def joint_samples(
    array: xr.DataArray,
    estimate: xr.DataArray,
    method: OptimalInterpolation,
    half: Half,
    number: int,
    seed: int,
    finish: Callable[[xr.DataArray], xr.DataArray],
) -> xr.DataArray:
    """Return x̂ + sign(z) h_p, p = 2Φ(abs(z)) − 1, for joint draws z of standardised errors; lazily.

    z = (d + e)/√(σ² + ε²), where d is a draw of the error of the analysis of a covariance, σ its standard
    error, and e a draw of what the covariance does not resolve, of variance ε²; see
    :class:`da4dvar.baselines.draws.Deviations`. h_p is half the width of the interval of level p, so that the
    central interval of the samples at a point is x̂ ± h_p: a Gaussian copula with calibrated margins.

    Parameters
    ----------
    array : DataArray
        Variable with NaN in the gaps, in memory.
    estimate : DataArray
        x̂.
    method : OptimalInterpolation
        Method with the covariance.
    half : callable
        Maps a level p to h_p.
    number : int
        Number of samples.
    seed : int
        Random seed.
    finish : callable
        Applied to each sample.

    Returns
    -------
    DataArray
        With ``realization`` as the first dimension, in chunks of one sample.
    """
    knots = np.stack([half(2 * ndtr(z) - 1).transpose(*array.dims).values for z in KNOTS]).astype("float32")
    knots = np.maximum.accumulate(np.concatenate([np.zeros_like(knots[:1]), knots]), 0)
    draw = method.deviations(array, standardised=True)
    lock = threading.Lock()

    def sample(k: int) -> np.ndarray:
        # One at a time: the solver is not made for several threads.
        with lock:
            z = draw(k, seed)
        drawn = estimate + z.copy(data=np.sign(z.values) * _width(np.abs(z.values), knots))
        values: np.ndarray = finish(drawn).transpose(*array.dims).values.astype(array.dtype)
        return values

    each = [
        dask.array.from_delayed(delayed(sample, pure=False)(k), array.shape, array.dtype)
        for k in range(number)
    ]
    return xr.DataArray(dask.array.stack(each), dims=(REALIZATION, *array.dims))


def _width(z: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the half widths at z ≥ 0 standard deviations, between and beyond those of the knots."""
    step = KNOTS[0]
    at = np.nan_to_num(z / step)
    low = np.minimum(at.astype(int), len(KNOTS) - 1)
    below, above = (np.take_along_axis(knots, (low + k)[None], 0)[0] for k in (0, 1))
    inside = below + (at - low) * (above - below)
    # Beyond the last knot, in proportion.
    out: np.ndarray = np.where(at > len(KNOTS), knots[-1] * at / len(KNOTS), inside)
    return out


def check_samples(number: int, seed: int) -> None:
    """Check a number of samples, and their seed.

    Raises
    ------
    DataError
        If the number is negative or 1, or the seed negative.
    """
    check_least(0, samples=number, seed=seed)
    if number == 1:
        raise DataError("samples is 1, expected 2 or more, such as 50; one sample shows no spread")


def check_memory(arrays: Sequence[xr.DataArray], number: int) -> None:
    """Check that samples of some variables fit in the memory that is free.

    Raises
    ------
    DataError
        If they do not; the message says how many do.
    """
    advice = ", or write them to a file with da4dvar interpolate --samples"
    _check_size(arrays, number, "memory", int(SHARE * free_memory()), advice)


def check_disk(arrays: Sequence[xr.DataArray], number: int, output: str) -> None:
    """Check that samples of some variables fit on the disk of an output, where they are not compressed.

    Raises
    ------
    DataError
        If they do not; the message says how many do.
    """
    folder = Path(output).absolute().parent
    if folder.is_dir():
        _check_size(arrays, number, "disk", shutil.disk_usage(folder).free, "")


def _check_size(arrays: Sequence[xr.DataArray], number: int, where: str, free: int, advice: str) -> None:
    one = sum(array.nbytes for array in arrays)
    if one * number > free:
        need, have = (f"{size / 2**30:.3g} GiB" for size in (one * number, free))
        raise DataError(
            f"{number} samples need {need} of {where}, expected {have} or less; ask for {free // one} or "
            f"fewer{advice}"
        )


def free_memory() -> int:
    """Return the bytes of memory that are free, or all of it where that is unknown; no limit on Windows."""
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    unit = os.sysconf("SC_PAGE_SIZE")
    names = os.sysconf_names
    return unit * os.sysconf("SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in names else "SC_PHYS_PAGES")
