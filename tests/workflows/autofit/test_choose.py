"""The recipe that is chosen for data of a character builds, and says why."""

from dataclasses import replace

import pytest

from da4dvar.workflows.autofit.character import Character
from da4dvar.workflows.autofit.choose import choose, odd_between
from da4dvar.workflows.recipe import Recipe

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
    assert layouts["stations"]["channels"] == ["station"]
    assert layouts["many stations"]["channels"] == []
    assert "time" not in layouts["a few images"]["window"]
    assert layouts["a sea"]["window"] == {"lon": 32, "time": 15}


def test_of_several_variables_the_longest_memory_and_all_gaps_count():
    """Rain that forgets at once beside a temperature with a memory of twenty steps."""
    temperature = replace(CHARACTERS["stations"], memory=20, gap=1, lengths=(1, 2))
    rain = replace(CHARACTERS["stations"], memory=1, gap=5, lengths=(7,))
    tables, _ = choose({"rain": rain, "temperature": temperature})
    assert tables["layout"]["variables"] == ["rain", "temperature"]
    assert tables["layout"]["window"] == {"day": 128}
    assert tables["gaps"][0]["lengths"] == [7, 1, 2]


@pytest.mark.parametrize(("number", "expected"), [(1, 5), (6, 7), (7, 7), (40, 15)])
def test_odd_between(number, expected):
    """Odd, within the bounds, never shorter than asked for."""
    assert odd_between(number, 5, 15) == expected
