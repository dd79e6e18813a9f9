"""The character of gappy data, and the recipe that is chosen for it."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from da4dvar.errors import DataError
from da4dvar.workflows.autofit.character import Character, character_of, memory_of, places
from da4dvar.workflows.autofit.choose import choose, odd_between
from da4dvar.workflows.recipe import Recipe


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
    assert (places(array, "time"), places(array.expand_dims(depth=1), "time")) == (expected, expected)


def test_a_long_tail_has_an_offset_for_its_logarithm():
    """A tenth of the median where nothing is negative and the tail is long, and none otherwise."""
    normal = series(0.0)
    assert character_of(np.exp(normal), "time").offset == pytest.approx(0.1, rel=0.05)
    assert character_of(normal, "time").offset is None
    assert character_of(normal + 20, "time").offset is None


CHARACTERS = {
    "a sea": Character("time", ("lat", "lon"), {"time": 900, "lat": 33, "lon": 120}, 0.3, 6, 9, True, True),
    "a few images": Character("time", ("y", "x"), {"time": 10, "y": 20, "x": 30}, 0.5, 2, 1, False, True),
    "stations": Character("day", ("station",), {"day": 4000, "station": 70}, 0.5, 3, 3, True, True),
    "many stations": Character("time", ("station",), {"time": 900, "station": 900}, 0.5, 3, 3, False, False),
    "one series": Character("time", (), {"time": 500}, 0.9, 30, 5, False, False),
}


@pytest.mark.parametrize("name", CHARACTERS)
def test_what_is_chosen_is_a_recipe(name, tmp_path):
    """Every table is one that a recipe knows, and the model can be built for the sizes."""
    character = CHARACTERS[name]
    tables, reasons = choose({"x": character})
    recipe = Recipe({"data": {"path": "x.nc", "hidden": {}}, **tables}, tmp_path)
    model = recipe.interpolator(character.sizes)
    assert model.time == character.time
    assert {reason.split(":")[0] for reason in reasons} == {"layout", "scaling", "gaps"}
    for dim, cells in recipe.layout.window.items():
        assert cells <= character.sizes[dim]


def test_the_layout_follows_the_shape_of_the_data():
    """A few stations are channels, ten images are ten channels, and years of days get a window."""
    layouts = {name: choose({"x": CHARACTERS[name]})[0]["layout"] for name in CHARACTERS}
    assert (layouts["stations"]["channels"], layouts["many stations"]["channels"]) == (["station"], [])
    assert "time" not in layouts["a few images"]["window"]
    assert layouts["a sea"]["window"] == {"lon": 32, "time": 15}


def test_of_several_variables_the_longest_memory_and_all_gaps_count():
    """Rain that forgets at once beside a temperature with a memory of twenty steps."""
    temperature = replace(CHARACTERS["stations"], memory=20, gap=1, lengths=(1, 2))
    rain = replace(CHARACTERS["stations"], memory=1, gap=5, lengths=(7,))
    tables, _ = choose({"rain": rain, "temperature": temperature})
    assert tables["layout"]["variables"] == ["rain", "temperature"]
    assert (tables["layout"]["window"], tables["gaps"][0]["lengths"]) == ({"day": 128}, [7, 1, 2])


@pytest.mark.parametrize(("number", "expected"), [(1, 5), (6, 7), (7, 7), (40, 15)])
def test_odd_between(number, expected):
    """Odd, within the bounds, never shorter than asked for."""
    assert odd_between(number, 5, 15) == expected
