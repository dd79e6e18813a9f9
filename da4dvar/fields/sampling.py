"""Joint samples of a filled variable: correlated errors whose spread is that of the intervals."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dask.array
import numpy as np
import xarray as xr
from dask.delayed import Delayed, delayed
from dask.utils import SerializableLock
from scipy.special import ndtr

from da4dvar.errors import DataError, check_least
from da4dvar.fields.labels.samples import REALIZATION, samples_name

# Numbers of standard deviations for which half widths are computed; between them, they are interpolated.
KNOTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
# Part of the free memory that samples may fill.
SHARE = 0.5

# Maps the number of a draw and a seed to the draw.
Draw = Callable[[int, int], xr.DataArray]


def drawn(draw: Draw | Delayed, like: xr.DataArray, number: int, seed: int) -> xr.DataArray:
    """Return draws of an error, which are computed when they are used.

    Parameters
    ----------
    draw : callable
        Maps the number of a draw and a seed to the draw, with the dimensions of `like` in any order. It may
        be a dask object, which is computed first.
    like : DataArray
        Array with the dimensions and the data type of the draws.
    number : int
        Number of draws.
    seed : int
        Random seed.

    Returns
    -------
    DataArray
        With ``realization`` as the first dimension, in chunks of one draw, without coordinates.

    Examples
    --------
    >>> like = xr.DataArray([0.0, 0.0], dims="x")
    >>> drawn(lambda k, seed: like + k + seed, like, number=2, seed=5).values
    array([[5., 5.],
           [6., 6.]])
    """
    lock = SerializableLock()

    def one(draw: Draw, k: int) -> np.ndarray:
        # One at a time: a draw takes memory, and its solver is not made for several threads.
        with lock:
            values: np.ndarray = draw(k, seed).transpose(*like.dims).values
        return values.astype(like.dtype)

    each = [
        dask.array.from_delayed(delayed(one, pure=False)(draw, k), like.shape, like.dtype)
        for k in range(number)
    ]
    return xr.DataArray(dask.array.stack(each), dims=(REALIZATION, *like.dims))


def made_of(make: Callable[..., Draw], *arrays: xr.DataArray) -> Draw | Delayed:
    """Return the draws that a function makes of some arrays in memory; a dask object if the arrays are lazy.

    Parameters
    ----------
    make : callable
        Function of the arrays.
    *arrays : DataArray
        Arrays, of which all are lazy or none. What they are computed from is computed once, also if it is
        used elsewhere.

    Returns
    -------
    callable or Delayed
    """
    if arrays[0].chunks is None:
        return make(*arrays)
    whole = [array.data.rechunk(-1).to_delayed(optimize_graph=False).item() for array in arrays]
    labels = [(array.coords, array.dims, array.name) for array in arrays]

    def later(*values: np.ndarray) -> Draw:
        return make(*map(xr.DataArray, values, *zip(*labels, strict=True)))

    draws: Delayed = delayed(later)(*whole)
    return draws


def with_margins(draw: Draw, factor: Callable[[float], float], highest: float = 1.0) -> Draw:
    """Return draws of sign(z) q_p, p = 2Φ(abs(z)) − 1, for joint draws z of standardised errors.

    If x̂ ± q_p s is the interval of level p, x̂ + s sign(z) q_p has this interval at every point, and the
    correlation of z: a Gaussian copula with calibrated margins.

    Parameters
    ----------
    draw : callable
        Draws of z, of variance 1 at every point.
    factor : callable
        Maps a level p to q_p.
    highest : float
        Highest level for which q_p is known. q_p is proportional to abs(z) beyond that, or beyond 3.

    Returns
    -------
    callable

    Examples
    --------
    >>> z = xr.DataArray([-4.0, 0.25, 1.0], dims="x")
    >>> with_margins(lambda k, seed: z, lambda level: 2.0)(0, 0).values.round(2)
    array([-2.67,  1.  ,  2.  ])
    """
    levels = 2 * ndtr(np.array(KNOTS)) - 1
    known = [(z, factor(float(level))) for z, level in zip(KNOTS, levels, strict=True) if level <= highest]
    at, q = (np.array([0.0, *column]) for column in zip(*known, strict=True))
    q = np.maximum.accumulate(q)

    def drawn(number: int, seed: int) -> xr.DataArray:
        z = draw(number, seed)
        size = np.abs(z.values)
        inside = np.interp(size, at, q)
        return z.copy(data=np.sign(z.values) * np.where(size > at[-1], q[-1] / at[-1] * size, inside))

    return drawn


def in_memory(ds: xr.Dataset, names: Iterable[str], number: int) -> xr.Dataset:
    """Compute the samples of those variables of a data set that are in memory themselves.

    Raises
    ------
    DataError
        If they do not fit in memory.
    """
    names = [name for name in names if number and ds[name].chunks is None]
    check_memory([ds[name] for name in names], number)
    return ds.assign({samples_name(name): ds[samples_name(name)].compute() for name in names})


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
