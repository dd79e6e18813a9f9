"""How far a station is from the nearest one that reported."""

from __future__ import annotations

import numpy as np
import xarray as xr

EARTH = 6371.0  # km, the mean radius


def distance_to_reporting(
    observed: xr.DataArray, station: str, lat: xr.DataArray, lon: xr.DataArray
) -> xr.DataArray:
    """min over the stations c that reported of 2R arcsin(√(sin²(Δφ/2) + cos φ cos φ_c sin²(Δλ/2))).

    The great circle by the haversine (Sinnott, 1984), on a sphere of R = 6371 km.

    Parameters
    ----------
    observed : DataArray of bool
        True where there was an observation.
    station : str
        The dimension of the stations; along the others each slice stands for itself.
    lat, lon : DataArray, dims (station,)
        φ and λ in degrees.

    Returns
    -------
    DataArray of float
        In km; 0 where observed, inf where no station reported, NaN for a station without a place.

    Examples
    --------
    >>> seen = xr.DataArray([[True, False], [False, False]], dims=("time", "station"))
    >>> place = xr.DataArray([0.0, 1.0], dims="station")
    >>> distance_to_reporting(seen, "station", place, 0 * place).values.round(1)
    array([[  0. , 111.2],
           [  inf,   inf]])
    """
    phi, lam = np.radians(lat.values.astype(float)), np.radians(lon.values.astype(float))
    lines = observed.transpose(..., station)
    seen = lines.values.reshape(-1, lines.sizes[station])
    out = np.full(seen.shape, np.inf)
    placed = np.isfinite(phi) & np.isfinite(lam)
    for k in range(phi.size):
        half = np.sin((phi - phi[k]) / 2) ** 2
        half = half + np.cos(phi) * np.cos(phi[k]) * np.sin((lam - lam[k]) / 2) ** 2
        distance = 2 * EARTH * np.arcsin(np.sqrt(np.minimum(half, 1)))
        order = np.argsort(np.where(placed, distance, np.inf))[: placed.sum()]
        # Nearest first, so that the first that reported is the one.
        there = seen[:, order]
        first = there.argmax(1)
        out[:, k] = np.where(there.any(1), distance[order][first], np.inf) if placed[k] else np.nan
    shaped: xr.DataArray = lines.astype(float).copy(data=out.reshape(lines.shape)).transpose(*observed.dims)
    shaped = xr.where(observed, 0.0, shaped).transpose(*observed.dims)
    return shaped.rename("distance").assign_attrs(
        long_name="distance to the nearest station that reported", units="km"
    )
