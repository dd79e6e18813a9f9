"""Power spectra and the effective resolution of an estimate."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.signal import welch

from da4dvar.errors import DataError
from da4dvar.fields.labels.cf import is_dates, steps


def power_spectrum(
    array: xr.DataArray,
    dim: str,
    detrend: str | bool = "linear",
    window: str = "hann",
    segment: int | None = None,
) -> xr.DataArray:
    """S(f) = mean of 2h abs(Σ w x exp(−2πi f t))² / Σ w² over all lines along one dimension of step h.

    The integral of the spectrum is the variance along `dim`. Lines with gaps are ignored. Overlapping
    segments of a line are averaged as in Welch (1967).

    Parameters
    ----------
    array : DataArray
        Field; lazy data are read into memory.
    dim : str
        Dimension of the spectrum. Its coordinate, if any, must be evenly spaced.
    detrend : {"linear", "constant", False}
        Trend that is removed from each segment.
    window : str
        Name of the taper w in ``scipy.signal``; "boxcar" for none.
    segment : int, optional
        Length of a segment in cells; half of it overlaps the next segment. By default the whole line.

    Returns
    -------
    DataArray
        Along ``frequency``, which is in cycles per unit of the coordinate, per day for dates, or per cell
        without a coordinate. The power is in squared units of the variable per unit of frequency.

    Raises
    ------
    DataError
        If `array` lacks the dimension, it is not evenly spaced, or every line has a gap.

    Examples
    --------
    >>> wave = xr.DataArray(np.sin(2 * np.pi * np.arange(64) / 8), dims="x")
    >>> float(power_spectrum(wave, "x").idxmax())
    0.125
    """
    step = _step(array, dim)
    lines = array.transpose(..., dim).values.reshape(-1, array.sizes[dim])
    complete = lines[np.isfinite(lines).all(-1)]
    if not len(complete):
        raise DataError(f"every line along {dim!r} has a gap; fill the gaps, or select a part without")
    pieces = min(segment or complete.shape[1], complete.shape[1])
    frequency, power = welch(complete, 1 / step, window, pieces, detrend=detrend, axis=-1)
    return xr.DataArray(
        power.mean(0),
        dims="frequency",
        coords={"frequency": ("frequency", frequency, {"long_name": f"cycles per unit of {dim}"})},
        name="power",
    )


def resolved_wavelength(
    estimate: xr.DataArray, truth: xr.DataArray, dim: str, segment: int | None = None
) -> float:
    """1/f at the first f with S(x̂ − x)(f) > S(x)(f) / 2, S the power spectrum along one dimension.

    This is the effective resolution of Ballarotta et al. (2019), searched from long to short waves. Between
    two frequencies, the ratio is interpolated linearly in the logarithm of the wavelength.

    Parameters
    ----------
    estimate, truth : DataArray
        x̂ and x. Lines with a gap in either are ignored.
    dim : str
        Dimension of the waves.
    segment : int, optional
        Length of a segment in cells. Segments give a smoother ratio but exclude longer waves.

    Returns
    -------
    float
        In the units of the coordinate, in days for dates, or in cells without a coordinate. NaN if the ratio
        never crosses one half, that is, if all waves are resolved or none.

    Raises
    ------
    DataError
        See :func:`power_spectrum`.

    Examples
    --------
    >>> truth = xr.DataArray(np.random.default_rng(0).standard_normal((50, 128)), dims=("time", "x"))
    >>> round(resolved_wavelength((truth + truth.roll(x=1)) / 2, truth, "x"), 1)
    4.0
    """
    error = estimate - truth
    known = truth.broadcast_like(error).where(error.notnull())
    error_power = power_spectrum(error, dim, segment=segment)
    true_power = power_spectrum(known, dim, segment=segment)
    # Frequency 0 has no wavelength.
    frequency = error_power.frequency.values[1:]
    noise, signal = error_power.values[1:], true_power.values[1:]
    # A difference, because a ratio would divide by zero where neither has any power.
    excess = noise - signal / 2
    passed = np.flatnonzero((excess[:-1] <= 0) & (excess[1:] > 0))
    if not passed.size:
        return float("nan")
    k = passed[0]
    with np.errstate(divide="ignore"):
        before, after = noise[k] / signal[k], noise[k + 1] / signal[k + 1]
    part = (0.5 - before) / (after - before) if np.isfinite(after) else 0.0
    return float(1 / np.exp(np.log(frequency[k]) * (1 - part) + np.log(frequency[k + 1]) * part))


def _step(array: xr.DataArray, dim: str) -> float:
    if dim not in array.dims:
        raise DataError(f"no dimension {dim!r}; the array has {', '.join(map(str, array.dims))}")
    if array.sizes[dim] < 3:
        raise DataError(f"{dim!r} has {array.sizes[dim]} cells, expected 3 or more")
    differences = steps(array[dim]) if dim in array.coords else np.ones(1)
    if differences is None:
        raise DataError(f"the coordinate {dim!r} holds neither numbers nor dates; drop it to count in cells")
    if dim in array.coords and is_dates(array[dim]):
        differences = differences / 86400
    step = float(np.median(differences))
    if step == 0 or not np.allclose(differences, step, rtol=1e-3, atol=0):
        raise DataError(f"{dim!r} is not evenly spaced; interpolate to a regular grid first")
    return abs(step)
