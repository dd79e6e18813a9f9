"""Scores of joint samples: energy score, variogram score and rank histogram."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist

from da4dvar.fields.labels.samples import REALIZATION

# Pairs of cells of a field at one time of which the variogram score is taken, chosen at random.
PAIRS = 1000


def energy_score(samples: xr.DataArray, truth: xr.DataArray, time: str | None = None) -> float:
    """Mean over times of 1/M Σ_k ‖x_k − y‖ − 1/(2M²) Σ_kl ‖x_k − x_l‖, ‖x‖ the root mean square of a field.

    It is the CRPS of whole fields (Gneiting and Raftery, 2007). For one cell it is the CRPS of the samples,
    and for one sample the RMSE of each time.

    Parameters
    ----------
    samples : DataArray
        Samples x_k, with a dimension ``realization`` and the dimensions of `truth`.
    truth : DataArray
        y; cells where it or a sample is NaN are ignored.
    time : str, optional
        Dimension over which scores are averaged; by default all cells are one field.

    Returns
    -------
    float
        In the units of the variable; 0 is perfect. NaN if there are no valid cells.

    Examples
    --------
    >>> samples = xr.DataArray([[0.0, 1.0], [2.0, 1.0]], dims=("realization", "x"))
    >>> round(energy_score(samples, xr.DataArray([1.0, 1.0], dims="x")), 3)
    0.354
    """
    found = []
    for drawn, true in _fields(samples, truth, time):
        number, size = drawn.shape[0], np.sqrt(true.size)
        apart = 2 * pdist(drawn).sum() / (2 * number**2)
        found.append((np.linalg.norm(drawn - true, axis=1).mean() - apart) / size)
    return float(np.mean(found)) if found else float("nan")


def variogram_score(
    samples: xr.DataArray, truth: xr.DataArray, time: str | None = None, order: float = 0.5, seed: int = 0
) -> float:
    """Mean over pairs of cells of (abs(y_i − y_j)^p − 1/M Σ_k abs(x_ki − x_kj)^p)².

    It sees wrong correlations, which the energy score hardly does (Scheuerer and Hamill, 2015).

    Parameters
    ----------
    samples, truth, time
        See :func:`energy_score`.
    order : float
        p.
    seed : int
        Seed of the choice of the pairs, up to 1000 at each time.

    Returns
    -------
    float
        In units of the variable to the power 2p; 0 is perfect. NaN if there are no valid pairs.

    Examples
    --------
    >>> samples = xr.DataArray([[0.0, 1.0], [2.0, 1.0]], dims=("realization", "x"))
    >>> variogram_score(samples, xr.DataArray([1.0, 1.0], dims="x"))
    1.0
    """
    generator, found = np.random.default_rng(seed), []
    for drawn, true in _fields(samples, truth, time):
        if true.size < 2:
            continue
        if true.size * (true.size - 1) // 2 <= PAIRS:
            i, j = np.triu_indices(true.size, 1)
        else:
            i = generator.integers(true.size, size=PAIRS)
            j = (i + generator.integers(1, true.size, size=PAIRS)) % true.size
        expected = (np.abs(drawn[:, i] - drawn[:, j]) ** order).mean(0)
        found.append(np.mean((np.abs(true[i] - true[j]) ** order - expected) ** 2))
    return float(np.mean(found)) if found else float("nan")


def rank_histogram(samples: xr.DataArray, truth: xr.DataArray, bins: int = 10) -> np.ndarray:
    """Fraction of the truths at each rank among M samples, in some bins; 1/bins everywhere is perfect.

    The M + 1 ranks are spread evenly over the bins.

    Parameters
    ----------
    samples, truth
        See :func:`energy_score`.
    bins : int
        Number of bins.

    Returns
    -------
    array, shape (bin,)
        NaN if there are no valid cells.

    Examples
    --------
    >>> samples = xr.DataArray([[0.0, 0.0], [2.0, 2.0]], dims=("realization", "x"))
    >>> rank_histogram(samples, xr.DataArray([1.0, 3.0], dims="x"), bins=3).tolist()
    [0.0, 0.5, 0.5]
    """
    drawn = samples.transpose(REALIZATION, *truth.dims)
    known = truth.notnull() & drawn.notnull().all(REALIZATION)
    below = (drawn < truth).sum(REALIZATION).values[known.values]
    counts = np.bincount(below, minlength=drawn.sizes[REALIZATION] + 1) / max(below.size, 0.5)
    edges = np.linspace(0, counts.size, bins + 1)
    cumulated = np.interp(edges, np.arange(counts.size + 1), np.append(0.0, np.cumsum(counts)))
    out: np.ndarray = np.diff(cumulated)
    return out if below.size else np.full(bins, np.nan)


def _fields(
    samples: xr.DataArray, truth: xr.DataArray, time: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield samples of shape (sample, cell) and truth at each time, at the valid cells."""
    order = [d for d in truth.dims if d != time]
    lines = truth.transpose(time, *order) if time in truth.dims else truth.expand_dims("time")
    drawn = samples if time in truth.dims else samples.expand_dims("time")
    drawn = drawn.transpose(REALIZATION, *lines.dims)
    true = lines.values.reshape(lines.shape[0], -1).astype("float64")
    values = drawn.values.reshape(drawn.shape[0], *true.shape)
    for k in range(len(true)):
        here = np.isfinite(true[k]) & np.isfinite(values[:, k]).all(0)
        if here.any():
            yield values[:, k, here].astype("float64"), true[k, here]
