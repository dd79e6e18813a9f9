"""Errors and intervals of methods in the ETT_h1 row of TSI-Bench, next to the published ones.

    python recipes/tsi-bench/measure.py PATH/TO/ETTh1.csv [--part test] [--methods window_gaussian,linear]

Windows, patterns and splits are those of the benchmark (see the README of this recipe). Choices are made on
the validation months (`--part validation`); the test months are for the table. Prints the mean absolute error
and the mean square error in standard deviations of the training months, as means over the seeds of the masks,
the fraction of cut values in 90 % intervals, and CPU seconds per seed.
"""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from da4dvar.baselines.gaussian_em import GaussianEM
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.window_gaussian import WindowGaussian
from da4dvar.evaluation.text import as_columns

HERE = Path(__file__).parent
WINDOW, DAY = 48, 24
MONTHS = {"train": slice(14), "validation": slice(14, 19), "test": slice(19, None)}
PATTERNS = ("point01", "point05", "point09", "block05", "subseq05")
DIMS = ("window", "time", "series")
COLUMNS = (
    "method", "pattern", "MAE (MSE)", "MAE by seed", "CPU s", "in 90 % stated", "in 90 % calibrated",
)  # fmt: skip
# The published errors are of the test months.
TEST_COLUMNS = ("best network", "ahead of")
# The quantile of |z| for intervals of 90 % under a normal distribution.
NORMAL = 1.645


def read(path: Path) -> dict[str, xr.DataArray]:
    """Return the windows of each part, in standard deviations of the training months."""
    table = pd.read_csv(path, index_col=0, parse_dates=True)
    month = table.index.to_period("M")
    parts = {name: table[month.isin(month.unique()[those])] for name, those in MONTHS.items()}
    mean, std = parts["train"].mean(), parts["train"].std(ddof=0)
    windows = {}
    for name, part in parts.items():
        values = ((part - mean) / std).to_numpy()[: len(part) // WINDOW * WINDOW]
        coords = {"series": list(table.columns)}
        windows[name] = xr.DataArray(values.reshape(-1, WINDOW, len(mean)), coords, DIMS, "ett")
    return windows


def cut(pattern: str, shape: tuple[int, int, int], generator: np.random.Generator) -> np.ndarray:
    """Return where values are cut from windows of shape (window, time, series).

    Points are cut independently. Subsequences of 36 steps are cut from as many randomly chosen series of
    windows as make half of the values. Blocks of 6 steps of 6 adjacent series may overlap; 0.36 times the
    number of values, over the 36 of a block, is their number for each possible first series in a window.
    """
    windows, steps, series = shape
    if pattern.startswith("point"):
        return generator.random(shape) < int(pattern[-2:]) / 10
    out = np.zeros(shape, bool)
    if pattern == "subseq05":
        length, width = 36, 1
        number = np.ceil(0.5 * windows * series * steps / length)
        which = generator.choice(windows * series, int(number), replace=False)
    else:
        length, width = 6, 6
        number = np.ceil(0.36 * windows * (series - width + 1) * steps * series / (length * width))
        which = generator.choice(windows * (series - width + 1), int(number))
    firsts = generator.integers(0, steps - length + 1, len(which))
    for window, one, first in zip(*divmod(which, series - width + 1), firsts, strict=True):
        out[window, first : first + length, one : one + width] = True
    return out


def linear(gappy: xr.DataArray, train: xr.DataArray, **settings: float) -> xr.Dataset:
    """Linear interpolation in each window, and the mean of the training months where there is nothing."""
    return Linear(**settings).interpolate(gappy).fillna(0.0)


def gaussian_em(gappy: xr.DataArray, train: xr.DataArray, **settings: float) -> xr.Dataset:
    """`GaussianEM` with each of the values in a window as a station and each window as a time."""
    both = xr.concat([train, gappy], "window").stack(station=DIMS[1:]).reset_index("station", drop=True)
    filled = GaussianEM("window", lags=0, memory=0, **{"prior": 100.0, **settings}).interpolate(both)
    alone = filled.isel(window=slice(train.sizes["window"], None))
    return alone.map(lambda a: gappy.copy(data=a.values.reshape(gappy.shape)))


def window_gaussian(gappy: xr.DataArray, train: xr.DataArray, **settings: float) -> xr.Dataset:
    """`WindowGaussian` with the moments of the training months."""
    history = xr.DataArray(
        train.values.reshape(-1, train.sizes["series"]), {"series": train.series}, DIMS[1:], train.name
    )
    own: dict[str, Any] = {"station": "series", "window": WINDOW, "cycle": DAY, "history": history}
    return WindowGaussian(**{**own, **settings}).interpolate(gappy)


METHODS: dict[str, Callable[..., xr.Dataset]] = {
    "window_gaussian": window_gaussian,
    "gaussian_em": gaussian_em,
    "linear": linear,
}


@dataclass(frozen=True)
class Score:
    """Scores under one mask.

    Attributes
    ----------
    mae, mse : float
        Errors at the values cut.
    stated, calibrated : float
        Fraction of the cut values in the 90 % intervals of the method's standard error, and in those whose
        width is the multiple of it that holds 90 % of the cut values in the worst fifth of the validation
        months.
    seconds : float
        CPU time, in seconds.
    """

    mae: float
    mse: float
    stated: float = np.nan
    calibrated: float = np.nan
    seconds: float = 0.0


def score(
    method: str,
    settings: dict[str, float],
    pattern: str,
    part: str,
    parts: dict[str, xr.DataArray],
    seed: int,
) -> Score:
    """Cut the same pattern from all parts, and fill the windows of the validation months and of `part`."""
    generator = np.random.default_rng(seed)
    masks = {name: cut(pattern, a.shape, generator) for name, a in parts.items()}
    gappy = {name: a.where(~masks[name]) for name, a in parts.items()}
    start = time.process_time()
    together = dict.fromkeys(["validation", part])
    filled = METHODS[method](xr.concat([gappy[p] for p in together], "window"), gappy["train"], **settings)
    seconds = time.process_time() - start
    windows = [parts[name].sizes["window"] for name in together]
    split = dict(zip(together, np.split(np.arange(sum(windows)), np.cumsum(windows)[:-1]), strict=True))
    error = {n: abs(filled.ett.isel(window=at) - parts[n]).where(masks[n]).values for n, at in split.items()}
    errors = float(np.nanmean(error[part])), float(np.nanmean(error[part] ** 2))
    if "ett_std" not in filled:
        return Score(*errors, seconds=seconds)
    ratio = {n: error[n] / filled.ett_std.isel(window=at).where(masks[n]).values for n, at in split.items()}
    fifths = np.array_split(ratio["validation"], 5)
    width = max(np.nanquantile(fifth, 0.9) for fifth in fifths)
    stated, calibrated = (float(np.mean(ratio[part][masks[part]] <= limit)) for limit in (NORMAL, width))
    return Score(*errors, stated, calibrated, seconds)


def row(method: str, pattern: str, scores: list[Score], published: pd.DataFrame | None) -> list[str]:
    """Return a line of the table, compared with published errors if there are any of the same months."""
    mae = np.array([s.mae for s in scores])
    stated, calibrated = (np.mean([getattr(s, name) for s in scores]) for name in ("stated", "calibrated"))
    line = [
        method,
        pattern,
        f"{mae.mean():.3f} ({np.mean([s.mse for s in scores]):.3f})",
        f"{mae.min():.3f} to {mae.max():.3f}",
        f"{np.mean([s.seconds for s in scores]):.0f}",
        *("" if np.isnan(f) else f"{100 * f:.1f} %" for f in (stated, calibrated)),
    ]
    if published is None:
        return line
    networks = published[published.kind == "network"].set_index("method")[f"{pattern}_mae"]
    return [
        *line,
        f"{networks.min():.3f} {networks.idxmin()}",
        f"{(networks > mae.mean()).sum()} of {len(networks)}",
    ]


def main(
    path: Path,
    part: str,
    methods: list[str],
    patterns: Sequence[str],
    seeds: int,
    settings: dict[str, float] | None = None,
) -> None:
    parts = read(path)
    published = pd.read_csv(HERE / "published.csv") if part == "test" else None
    print(f"{part} months, {parts[part].sizes['window']} windows, seeds 0 to {seeds - 1}")
    rows = [[*COLUMNS, *(() if published is None else TEST_COLUMNS)]]
    for method in methods:
        for pattern in patterns:
            scores = [score(method, settings or {}, pattern, part, parts, seed) for seed in range(seeds)]
            rows.append(row(method, pattern, scores, published))
    print(as_columns(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path, help="ETTh1.csv")
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--methods", default="window_gaussian", help=f"of {', '.join(METHODS)}")
    parser.add_argument("--patterns", default=",".join(PATTERNS))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds of the masks")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="of the methods")
    given = parser.parse_args()
    settings = {name: ast.literal_eval(value) for name, value in (of.split("=") for of in given.set)}
    main(given.path, given.part, given.methods.split(","), given.patterns.split(","), given.seeds, settings)
