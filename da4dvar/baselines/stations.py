"""Series of stations: their dimension, their distances, their scale, and what lasts in time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from da4dvar.errors import DataError
from da4dvar.fields.gaps.geometry import EARTH
from da4dvar.fields.labels.cf import axis_role, geographic

# Number of values from which the scale of a station is estimated from these alone.
ENOUGH = 30
# Smallest scale of a station, as a fraction of that of all.
LEAST = 1e-6
# Number of residuals on each side of a gap from which it is interpolated; more add nothing.
SIDE = 10
HEIGHTS = {"elev", "elevation", "altitude", "alt", "height", "z"}


def station_dim(array: xr.DataArray, time: str, station: str | None) -> str:
    """Return the dimension of the stations: as given, ``station``, or the only one besides time.

    Raises
    ------
    DataError
        If there is no such dimension, or several may be meant.
    """
    has = ", ".join(map(str, array.dims)) or "none"
    others = [str(d) for d in array.dims if d != time]
    for dim in (time, station):
        if dim is not None and dim not in array.dims:
            raise DataError(f"variable {array.name!r} has no dimension {dim!r}; it has {has}")
    if not others:
        raise DataError(
            f"variable {array.name!r} has no stations, only {time!r}; "
            "for a single series use linear interpolation"
        )
    if station is None and len(others) > 1 and "station" not in others:
        raise DataError(
            f"variable {array.name!r} may have its stations along any of {', '.join(others)}; "
            "name one, or stack them"
        )
    return station or ("station" if "station" in others else others[0])


def standardised(anomaly: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale of each station, shrunk towards that of all if it has few values, and scaled anomalies.

    A station that was never seen to vary has a tiny scale, so that its estimates stay where it was.
    """
    seen = np.isfinite(anomaly)
    count = seen.sum(0)
    squares = np.where(seen, anomaly, 0) ** 2
    typical = squares.sum() / max(1, count.sum())
    part = np.minimum(1, count / ENOUGH)
    scale = np.sqrt(part * squares.sum(0) / np.maximum(1, count) + (1 - part) * typical)
    scale = np.maximum(scale, LEAST * np.sqrt(typical)) if typical else np.ones_like(scale)
    return scale, anomaly / scale


class Memory:
    """ρ(τ) = Σ wₖ exp(−τ/Tₖ), wₖ ≥ 0: the correlation in time of series of unit variance."""

    def __init__(self, series: np.ndarray, lags: int) -> None:
        self.lags = lags
        seen = np.isfinite(series)
        values = np.where(seen, series, 0)
        moments = [
            (
                (values[lag:] * values[: len(values) - lag]).sum(),
                (seen[lag:] & seen[: len(values) - lag]).sum(),
            )
            for lag in range(min(2 * lags, len(values) - 1) + 1)
        ]
        product, pairs = np.array(moments, dtype=float).T
        scales = np.array([1e-3, *2.0 ** np.arange(12)])  # the first is a nugget
        basis = np.exp(-np.arange(len(pairs))[:, None] / scales)
        weight = np.sqrt(pairs / max(1, pairs[0]))
        rho = product / np.maximum(1, pairs) / max(product[0] / max(1, pairs[0]), 1e-12)
        weights, _ = nnls(basis * weight[:, None], rho * weight)
        total = weights.sum()
        weights = weights / total if total > 0 else np.eye(len(scales))[0]
        self.rho = np.exp(-np.arange(2 * lags + 1)[:, None] / scales) @ weights

    def carry(self, series: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Simple kriging at steps `at` from the nearest values, and the unexplained fraction of variance."""
        known = np.flatnonzero(np.isfinite(series))
        around = np.searchsorted(known, at)[:, None] + np.arange(-SIDE, SIDE)
        step = known[around.clip(0, len(known) - 1)]
        lag = np.abs(step - at[:, None])
        ok = (around >= 0) & (around < len(known)) & (lag <= self.lags)
        far = len(self.rho) - 1
        system = self.rho[np.abs(step[:, :, None] - step[:, None, :]).clip(0, far)]
        system = system * (ok[:, :, None] & ok[:, None, :])
        system[:, np.arange(2 * SIDE), np.arange(2 * SIDE)] = 1 + 1e-6
        right = np.where(ok, self.rho[lag.clip(0, far)], 0)
        weight = np.linalg.solve(system, right[..., None])[..., 0]
        return (weight * np.where(ok, series[step], 0)).sum(1), 1 - (weight * right).sum(1)


def distances(array: xr.DataArray, station: str) -> np.ndarray:
    """Return the chords between stations in km; inf if there are no latitudes and longitudes."""
    along = {name: c for name, c in array.coords.items() if c.dims == (station,)}
    found = [degrees for role in "YX" for degrees in geographic(along, role)[:1]]
    if len(found) < 2:
        return np.full((array.sizes[station],) * 2, np.inf)
    lat, lon = (np.radians(degrees.values.astype(float)) for degrees in found)
    place = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
    chord = EARTH * np.sqrt(((place[:, None] - place) ** 2).sum(-1))
    return np.where(np.isfinite(chord), chord, np.inf)


def heights(array: xr.DataArray, station: str) -> np.ndarray:
    """Return the differences of height between stations, in the units of the coordinate; 0 if there is none.

    The height is a coordinate with the axis Z or a common name, such as elev.
    """
    along = [c for c in array.coords.values() if c.dims == (station,) and c.dtype.kind in "iuf"]
    found = [c for c in along if axis_role(c) == "Z"] or [c for c in along if str(c.name).lower() in HEIGHTS]
    if not found:
        return np.zeros((array.sizes[station],) * 2)
    height = found[0].values.astype(float)
    return np.asarray(np.nan_to_num(abs(height[:, None] - height)))
