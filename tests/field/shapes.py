"""Seeded fields, series and gaps: small, smooth, and the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

Array = NDArray[np.float64]
Seen = NDArray[np.bool_]


def waves(steps: int, rows: int, columns: int, seed: int, period: float = 30.0) -> Array:
    """A field of waves that drift, with mean 0 and variance 1, and a little noise."""
    random = np.random.default_rng(seed)
    t, y, x = np.meshgrid(*map(np.arange, (steps, rows, columns)), indexing="ij")
    total = np.zeros(t.shape)
    for wave in (1, 2, 3):
        along, across, phase = random.uniform(0.5, 1.5), random.uniform(-1, 1), random.uniform(0, 6)
        place = along * y / rows + across * x / columns
        total += np.sin(2 * np.pi * (wave * t / period + place) + phase) / wave
    return (total - total.mean()) / total.std() + 0.03 * random.normal(size=total.shape)


def walk(steps: int, seed: int, memory: float = 0.9, series: int = 1) -> Array:
    """Autoregressive series of variance 1, of shape (steps, series), or (steps,) if there is only one."""
    noise = np.random.default_rng(seed).normal(size=(steps + 100, series))
    walked = lfilter([1], [1, -memory], noise, axis=0)[100:] * np.sqrt(1 - memory**2)
    return walked[:, 0] if series == 1 else walked


def cycle(steps: int, period: float, phase: float = 0.0) -> Array:
    """A cycle of this many steps, with amplitude 1."""
    return np.sin(2 * np.pi * np.arange(steps) / period + phase)


def clouds(shape: tuple[int, int, int], hidden: float, seed: int) -> Seen:
    """True where observed: this part lies under clouds that move from step to step."""
    thick = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0.7, 1.2, 1.2))
    return thick < np.quantile(thick, 1 - hidden)


def outages(steps: int, hidden: float, longest: int, seed: int) -> Seen:
    """True where observed: this part lies in runs of 1 to `longest` steps."""
    random = np.random.default_rng(seed)
    seen = np.ones(steps, bool)
    while (~seen).mean() < hidden:
        start = random.integers(1, steps - 1)
        seen[start : start + random.integers(1, longest + 1)] = False
    seen[[0, -1]] = True
    return seen


def times(first: str, steps: int, step: str = "D") -> pd.DatetimeIndex:
    """Even times."""
    return pd.date_range(first, periods=steps, freq=step)


def degrees(rows: int, columns: int, south: float = 40.0, west: float = 0.0) -> dict[str, xr.Variable]:
    """Coordinates lat and lon of a quarter of a degree."""
    return {
        "lat": xr.Variable("lat", south + 0.25 * np.arange(rows), {"units": "degrees_north"}),
        "lon": xr.Variable("lon", west + 0.25 * np.arange(columns), {"units": "degrees_east"}),
    }


def pair(folder: Path, truth: xr.Dataset, name: str, seen: Seen, **encoding: object) -> xr.Dataset:
    """Write truth.nc, and gappy.nc in which a variable is NaN where it was not seen; return the second."""
    truth.to_netcdf(folder / "truth.nc")
    gappy = truth.assign({name: truth[name].where(xr.DataArray(seen, dims=truth[name].dims))})
    gappy[name].encoding = truth[name].encoding
    gappy.to_netcdf(folder / "gappy.nc", encoding={name: encoding} if encoding else None)
    return gappy
