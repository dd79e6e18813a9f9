"""Observations of a complete data set: gaps, and noise on what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import GapPattern

if TYPE_CHECKING:
    pass


def observe(truth: xr.Dataset, gaps: GapPattern, noise: float = 0.0, seed: int = 0) -> xr.Dataset:
    """y = x + ε on Ω, NaN elsewhere, ε independent and normal; an attribute states its standard deviation.

    Parameters
    ----------
    truth : Dataset
        Complete; every variable has gaps and noise of its own.
    gaps : GapPattern
        Drawn once for all of a variable: what it draws anew along which dimension is the pattern's own.
    noise : float
        Standard deviation of ε, in the units of the data.
    seed : int
        Of gaps and noise.

    Returns
    -------
    Dataset
        As `truth`, with the attribute ``observation_error_std`` on each variable if there is noise.

    Raises
    ------
    DataError
        If the noise is negative.

    Examples
    --------
    >>> from da4dvar.fields.gaps.patterns import Random
    >>> y = observe(xr.Dataset({"x": ("time", np.ones(1000))}), Random(0.3), noise=0.1)
    >>> round(float(y.x.notnull().mean()), 1), round(float(y.x.std()), 1)
    (0.3, 0.1)
    """
    if noise < 0:
        raise DataError(f"noise has a standard deviation of {noise}, expected 0 or more")
    generator = np.random.default_rng(seed)

    def seen(array: xr.DataArray) -> xr.DataArray:
        kept = gaps.draw(generator, {str(d): n for d, n in array.sizes.items()})
        noisy = array.values + (noise * generator.standard_normal(array.shape)).astype(array.dtype)
        return array.copy(data=np.where(kept, noisy, np.nan).astype(array.dtype))

    y = truth.map(seen, keep_attrs=True)
    for name in y.data_vars if noise else ():
        y[name].attrs["observation_error_std"] = float(noise)
    return y


def thinned(array: xr.DataArray, gaps: GapPattern, generator: np.random.Generator) -> xr.DataArray:
    """A variable with the cells hidden that a pattern does not see."""
    kept = gaps.draw(generator, {str(d): n for d, n in array.sizes.items()})
    return array.where(xr.DataArray(kept, dims=array.dims))


def noisy(array: xr.DataArray, noise: float, generator: np.random.Generator) -> xr.DataArray:
    """A variable with noise of a standard deviation added."""
    return array + noise * generator.standard_normal(array.shape)
