"""Processor seconds per million values of every classical method, with and without standard errors.

python recipes/speed/classical.py [--days 365] [--rows 24] [--columns 24] [--only optimal_interpolation]

A field of waves and noise moves under moving clouds, which hide half of it; methods for stations get every
40th cell of it as a station. Sparse coding learns from the whole field, and the smoother `letks` gets
Lorenz-96 series. Times are those of the processor on all threads, and include the estimation of a method's
parameters. Optimal interpolation has additional rows: with a covariance that is given, and without standard
errors; the other methods with standard errors get them with the estimate.
"""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import torch
import xarray as xr
from measuring import arguments
from scipy.ndimage import gaussian_filter

from da4dvar import simulate
from da4dvar.baselines.climatology import Climatology
from da4dvar.baselines.kinds import KINDS
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.optimal_interpolation import OptimalInterpolation
from da4dvar.baselines.solve_kernels import Analysis
from da4dvar.evaluation.text import as_columns
from da4dvar.variational.dynamics.lorenz96 import Lorenz96

STATIONS = {"nearest_stations", "gaussian_em", "window_gaussian"}
EVERY = 40  # cells to a station


def clouded(days: int, rows: int, columns: int, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Return a field of moving waves with a season under moving clouds, and the field itself."""
    generator = np.random.default_rng(seed)
    t, y, x = np.meshgrid(*map(np.arange, (days, rows, columns)), indexing="ij")
    field = 2 * np.cos(2 * np.pi * t / 365) * (1 + 0.01 * y)
    for _ in range(12):
        ky, kx = generator.normal(size=2) / generator.uniform(3, 15)
        frequency = generator.normal() / generator.uniform(5, 30)
        phase = generator.uniform(0, 2 * np.pi)
        field += generator.uniform(0.2, 0.6) * np.cos(kx * x + ky * y - frequency * t + phase)
    small = gaussian_filter(generator.standard_normal(field.shape), (3, 1.5, 1.5))
    field += 0.2 * small / small.std()
    clouds = gaussian_filter(generator.standard_normal((days, rows, columns + days)), (1, 4, 6))
    clouds = np.stack([day[:, days - k : days - k + columns] for k, day in enumerate(clouds)])
    noisy = field + 0.1 * generator.standard_normal(field.shape)
    noisy[clouds < np.quantile(clouds, 0.5)] = np.nan
    coords = {
        "time": xr.date_range("2001-01-01", periods=days),
        "lat": ("lat", -20 + 0.25 * np.arange(rows), {"units": "degrees_north"}),
        "lon": ("lon", 150 + 0.25 * np.arange(columns), {"units": "degrees_east"}),
    }
    seen, truth = (
        xr.Dataset({"x": (("time", "lat", "lon"), v.astype("float32"))}, coords) for v in (noisy, field)
    )
    return seen, truth


def stations(ds: xr.Dataset) -> xr.Dataset:
    """Return every 40th cell of a field as a station."""
    return ds.stack(station=("lat", "lon")).isel(station=slice(None, None, EVERY)).reset_index("station")


def on_arrays(dynamics: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Return the tendency of a state in NumPy arrays."""
    tendency: np.ndarray = dynamics(torch.from_numpy(x)).numpy()
    return tendency


def without_errors(analysis: Analysis, neighbours: int) -> np.ndarray:
    """Return NaN for standard errors, in no time."""
    return np.full(analysis.seen.shape, np.nan)


def timed(method: Any, ds: xr.Dataset) -> tuple[float, xr.Dataset]:
    """Return the processor seconds of an interpolation, and its result."""
    began = time.process_time()
    out = method.interpolate(ds)
    return time.process_time() - began, out


def main(days: int, rows: int, columns: int, only: str) -> None:
    """Measure every method and print the table."""
    seen, truth = clouded(days, rows, columns)
    table = [["method", "data", "values", "s", "s per million values", "standard error", "error in the gaps"]]

    def add(name: str, method: Any, ds: xr.Dataset, true: xr.Dataset) -> None:
        seconds, out = timed(method, ds)
        (variable,) = true.data_vars
        error = (out[variable] - true[variable]).where(ds[variable].isnull())
        values, sizes = ds[variable].size, "×".join(map(str, ds[variable].shape))
        std = f"{variable}_std" in out and bool(out[f"{variable}_std"].notnull().any())
        table.append(
            [
                name,
                sizes,
                f"{values}",
                f"{seconds:.1f}",
                f"{1e6 * seconds / values:.1f}",
                "yes" if std else "",
                f"{float(np.sqrt((error**2).mean())):.3f}",
            ]
        )
        print("  ".join(table[-1]), flush=True)

    for name, path in KINDS["baseline"].items():
        if only and name != only:
            continue
        module, kind = path.split(":")
        cls = getattr(import_module(module), kind)
        if name == "letks":
            series, dynamics = simulate.lorenz96(series=16, steps=200, seed=1), Lorenz96(axis=-1)
            gaps, true = series[["x_observed"]].rename(x_observed="x"), series[["x"]]
            add(name, cls(partial(on_arrays, dynamics), 0.05, float(np.sqrt(2))), gaps, true)
        elif name == "sparse_coding":
            add(name, cls(history=truth, dims=("lat", "lon")), seen, truth)
        elif name == "combination":
            add("combination of linear and climatology", cls([Linear(), Climatology()]), seen, truth)
        elif name == "logarithmic":
            add("logarithmic, linear", cls(Linear(), 10.0), seen + 10, truth + 10)
        elif name in STATIONS:
            add(name, cls(), stations(seen), stations(truth))
        else:
            add(name, cls(), seen, truth)
        if name == "optimal_interpolation":
            given = OptimalInterpolation().fitted(seen)
            add("optimal_interpolation, covariance given", given, seen, truth)
            with mock.patch.object(Analysis, "standard_error", without_errors):
                add("optimal_interpolation, covariance given, estimate only", given, seen, truth)
    print("\n" + as_columns(table))


if __name__ == "__main__":
    options = arguments(__doc__, ("--days", 365), ("--rows", 24), ("--columns", 24), ("--only", ""))
    main(options.days, options.rows, options.columns, options.only)
