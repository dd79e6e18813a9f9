"""Simulated observations of a complete data set, with gaps and noise."""

from __future__ import annotations

import numpy as np
import xarray as xr

from da4dvar.errors import DataError
from da4dvar.fields.gaps.patterns import GapPattern


def observe(truth: xr.Dataset, gaps: GapPattern, noise: float = 0.0, seed: int = 0) -> xr.Dataset:
    """y = x + ε on Ω and NaN elsewhere, where ε is independent Gaussian noise.

    Parameters
    ----------
    truth : Dataset
        Complete data. Gaps and noise are independent for each variable.
    gaps : GapPattern
        Pattern that is drawn once for the whole of each variable. The pattern determines along which
        dimensions the gaps vary.
    noise : float
        Standard deviation of ε, in the units of the data.
    seed : int
        Random seed of gaps and noise.

    Returns
    -------
    Dataset
        Observations with the labels of `truth`. If there is noise, the attribute ``observation_error_std`` of
        each variable states its standard deviation.

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
    """Hide the cells of a variable that a drawn pattern does not observe."""
    kept = gaps.draw(generator, {str(d): n for d, n in array.sizes.items()})
    return array.where(xr.DataArray(kept, dims=array.dims))


def noisy(array: xr.DataArray, noise: float, generator: np.random.Generator) -> xr.DataArray:
    """Add Gaussian noise with standard deviation `noise` to a variable."""
    return array + noise * generator.standard_normal(array.shape)
