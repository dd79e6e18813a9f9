"""Distances to the nearest station that reported."""

from __future__ import annotations

import numpy as np
import xarray as xr
from sklearn.metrics.pairwise import haversine_distances

from da4dvar.fields.gaps.geometry import EARTH, distance_to_reporting


def test_the_nearest_is_the_nearest_of_all_that_reported():
    """Against all pairs of an independent implementation, in either order of dimensions."""
    generator = np.random.default_rng(0)
    lat, lon = generator.uniform(-80, 80, 15), generator.uniform(-180, 180, 15)
    seen = xr.DataArray(generator.random((40, 15)) < 0.2, dims=("time", "station"))
    pairs = EARTH * haversine_distances(np.radians(np.stack([lat, lon], -1)))
    expected = np.where(seen.values[:, None, :], pairs[None], np.inf).min(-1)
    place = [xr.DataArray(v, dims="station") for v in (lat, lon)]
    found = distance_to_reporting(seen, "station", *place)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    turned = distance_to_reporting(seen.T, "station", *place)
    np.testing.assert_array_equal(turned.T, found)
    assert found.attrs["units"] == "km"


def test_a_station_without_a_place_is_near_to_none():
    """Its distance is not known, and it is nobody's nearest."""
    seen = xr.DataArray([[False, True, False]], dims=("time", "station"))
    lat, lon = (xr.DataArray(v, dims="station") for v in ([0.0, np.nan, 1.0], [0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(distance_to_reporting(seen, "station", lat, lon), [[np.inf, 0, np.inf]])
