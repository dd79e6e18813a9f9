"""What is seen of gappy data before anything is learned."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from da4dvar.errors import DataError
from da4dvar.workflows.autofit.character import character_of, memory_of, places


def series(correlation: float, steps: int = 4000, cells: int = 5) -> xr.DataArray:
    """First-order auto-regressive series."""
    noise = np.random.default_rng(0).standard_normal((steps, cells))
    values = lfilter([1.0], [1.0, -correlation], noise, axis=0)
    return xr.DataArray(values, dims=("time", "station"))


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, 1), (0.5, 2), (0.85, 7)])
def test_memory_of_an_auto_regressive_series(correlation, expected):
    """ρ^lag falls below 1/e at lag −1/ln ρ; with gaps too."""
    array = series(correlation)
    assert memory_of(array, "time", False) == expected
    thin = array.where(np.random.default_rng(1).random(array.shape) < 0.6)
    assert memory_of(thin, "time", False) == expected


def test_a_season_is_no_memory():
    """White noise around a strong season has none, once the season is known."""
    time = xr.date_range("2001-01-01", periods=1500)
    season = 10 * np.cos(2 * np.pi * np.arange(1500) / 365.25)
    array = series(0.0, 1500).assign_coords(time=time) + xr.DataArray(season, dims="time")
    assert memory_of(array, "time", True) == 1
    assert memory_of(array, "time", False) > 20


def test_gaps_and_what_is_observed():
    """Nine tenths of the gaps have at most `gap` steps, land is not missing, and no data are refused."""
    array = series(0.5, 400).where(np.arange(400)[:, None] % 4 == 0)
    array[:, 0] = np.nan
    found = character_of(array, "time")
    assert (found.gap, found.observed, found.dated, found.seasonal) == (3, 0.25, False, False)
    with pytest.raises(DataError, match="fewer than two times"):
        character_of(series(0.0, 1), "time")
    with pytest.raises(DataError, match="no observation at all"):
        character_of(series(0.0, 9) * np.nan, "time")


@pytest.mark.parametrize(("dims", "expected"), [
    (("time",), ()), (("time", "station"), ("station",)), (("time", "y", "x"), ("y", "x")),
    (("x", "time", "y"), ("x", "y")), (("member", "time", "lat", "lon"), ("lat", "lon")),
    (("lon", "lat", "time", "member"), ("lat", "lon")),
])  # fmt: skip
def test_places_are_found_by_role_or_come_last(dims, expected):
    """Latitude and longitude wherever they are; else the last two; a dimension of one entry is no place."""
    roles = {"lat": "Y", "lon": "X"}
    coords = {d: (d, np.arange(3.0), {"axis": roles[d]}) for d in dims if d in roles}
    array = xr.DataArray(np.zeros([3] * len(dims)), dims=dims, coords=coords)
    assert places(array, "time") == expected
    assert places(array.expand_dims(depth=1), "time") == expected


def test_a_long_tail_has_an_offset_for_its_logarithm():
    """A tenth of the median where nothing is negative and the tail is long, and none otherwise."""
    normal = series(0.0)
    assert character_of(np.exp(normal), "time").offset == pytest.approx(0.1, rel=0.05)
    assert character_of(normal, "time").offset is None
    assert character_of(normal + 20, "time").offset is None
