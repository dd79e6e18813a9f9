"""Tracks of two satellites across a small sea, and grids of it."""

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.fields.points import Points

START = np.datetime64("2020-01-01", "ns")


def field(time: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """A smooth wave."""
    days = (time - START) / np.timedelta64(1, "D")
    return np.sin(lat * 1.5 + 0.3 * days) * np.cos(lon * 1.2)


def tracks(number: int = 16, noise: float = 0.05, seed: int = 0, each: int = 16) -> Points:
    """Lines of two satellites across a small sea in eight days."""
    generator = np.random.default_rng(seed)
    time = START + (np.arange(number) * 12 + 6).astype("m8[h]").astype("m8[ns]")
    columns = {"time": [], "lat": [], "lon": [], "platform": []}
    for k in range(number):
        along = np.linspace(0, 1, each)
        columns["time"].append(time[k] + (along * 60).astype("m8[s]"))
        columns["lat"].append(40 + 4 * along)
        columns["lon"].append(generator.uniform(0, 3) + (1 if k % 2 else -1) * along + 0.5)
        columns["platform"].append(np.full(each, f"sat{k % 2}"))
    whole = {n: np.concatenate(c) for n, c in columns.items()}
    value = field(whole["time"], whole["lat"], whole["lon"])
    value = value + noise * generator.standard_normal(value.size)
    return Points("sla", value, **whole, attrs={"units": "m", "valid_min": -1})


def quiet(line: str) -> None:
    """Say nothing."""


def like(lat, lon, **variables) -> xr.Dataset:
    """A grid of a file with eight days."""
    coords = {"time": pd.date_range("2020-01-01T12:00", periods=8), "lat": lat, "lon": lon}
    places = {"lat": {"units": "degrees_north"}, "lon": {"units": "degrees_east"}}
    return xr.Dataset(variables, {n: (n, c, places.get(n, {})) for n, c in coords.items()})
