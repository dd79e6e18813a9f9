"""Recipes in valid TOML with one invalid value."""

import contextlib
import copy
import math
import tomllib

import pytest
from door import limits
from examples import RECIPE, make_sst
from hostile.models import put, remove, ways

from da4dvar.errors import Da4dvarError, RecipeError
from da4dvar.workflows.recipe import Recipe

pytestmark = pytest.mark.hostile

WHOLE = tomllib.loads(RECIPE.format(steps=0))
MORE = {
    "data": {
        "noise": 0.1,
        "mask": "good",
        "observed": {"sst": "sst"},
        "covariates": ["depth"],
        "derived": [],
    },
    "cost": {"initial": "zero", "time": "time", "learn_weights": True, "prior_weight": 1.0},
    "train": {"precision": "float32", "nu": [1, 0.1, 0.1], "iterations": [1], "buffer": "1MB", "seed": 0},
    "uncertainty": {"members": 2, "withheld": 0.5},
    "first_guess": {"kind": "linear"},
    "observations": [{"variable": "sst", "of": "sst", "error": 0.1, "operator": {"kind": "identity"}}],
}
VALUES = [10**12, -1, 0, 2**70, 1.5, math.nan, math.inf, "5", "", "../x", "a\nb", True, [], [[]], {}, [1] * 5]


@pytest.fixture
def folder(tmp_path):
    """Create a folder with the data of the recipe."""
    ds = make_sst(70)
    ds.assign(good=(ds.sst > 14).astype("int8"), depth=ds.lat * 0 + ds.lon).to_netcdf(tmp_path / "truth.nc")
    return tmp_path


def trained_or_refused(tables, folder):
    """Train a recipe, or expect one line of error."""
    if isinstance(tables.setdefault("train", {}), dict):
        tables["train"].setdefault("steps", 0)
    with limits(), contextlib.suppress(Da4dvarError):
        return Recipe(tables, folder).train(folder / "checkpoints")
    return None


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize(
    ("section", "known"), [*WHOLE.items(), *MORE.items()], ids=lambda v: v if isinstance(v, str) else ""
)
def test_any_value_in_any_place(folder, section, known, value):
    """What is refused is refused in one line; what is not, is trained; also what a recipe need not say."""
    for way in ways(section, known):
        tables = copy.deepcopy(WHOLE)
        whole = tables.get(section)
        tables[section] = whole | copy.deepcopy(known) if isinstance(whole, dict) else copy.deepcopy(known)
        put(tables, way, value)
        trained_or_refused(tables, folder)


@pytest.mark.parametrize("section", WHOLE)
def test_anything_left_out(folder, section):
    """Each entry of each table in turn."""
    for way in ways(section, WHOLE[section]):
        tables = copy.deepcopy(WHOLE)
        remove(tables, way)
        trained_or_refused(tables, folder)


@pytest.mark.parametrize("section", [*WHOLE, *MORE])
def test_a_key_that_no_table_has(folder, section):
    """The unknown key is named in the error."""
    tables = copy.deepcopy(WHOLE)
    if isinstance(tables.get(section, {}), dict):
        tables.setdefault(section, {})["nonsense"] = 1
    else:
        tables["nonsense"] = 1
    with limits(), pytest.raises(RecipeError, match=r"nonsense|no `kind`|uncertainty|expected"):
        Recipe(tables, folder).train(folder / "checkpoints")


@pytest.mark.parametrize(("way", "value", "said"), [
    (("train", "batch"), 10**12, "batch is 1000000000000, expected up to"),
    (("train", "validation_samples"), 10**12, "validation_samples"),
    (("train", "steps"), "5", "steps is '5', expected a whole number"),
    (("train", "rate"), math.inf, "rate is inf"),
    (("train", "device"), "abacus", "there are: auto, cpu, cuda"),
    (("train", "precision"), "8-bit", "float32"), (("prior", "width"), 10**5, "make them narrower"),
    (("prior", "width"), 2**62, "prior of kind 'unet'"), (("prior", "kernel"), 4, "expected an odd number"),
    (("prior", "boundary"), ["zero"] * 4, "prior of kind 'unet'"),
    (("solver", "iterations"), 0, "iterations is 0"),
    (("layout", "window"), {"time": 10**12}, "prior of kind 'unet'"),
    (("layout", "variables"), "sst", r"expected a list: \['sst'\]"),
    (("data", "path"), 5, "path is 5, expected text or a list"),
    (("data", "path"), "/dev/null", "a pipe or a device"), (("data", "path"), "x\0y.nc", "no such file"),
    (("data", "truth"), "sst", "expected a table"),
    (("data", "train"), {"time": [5, "x"]}, "does not select a part of the data"),
    (("data", "train"), {"time": [[], {}]}, "does not select a part of the data"),
    (("gaps", "fraction"), True, "expected a number"),
], ids=str)  # fmt: skip
def test_a_mistake_is_named(folder, way, value, said):
    """The error says what was found and what was expected."""
    tables = copy.deepcopy(WHOLE)
    put(tables, way, value)
    with limits(), pytest.raises(Da4dvarError, match=said) as raised:
        Recipe(tables, folder).train(folder / "checkpoints")
    assert "\n" not in str(raised.value)


def test_without_a_change_it_is_trained(folder):
    """The recipe that the other tests change is valid, with and without optional tables."""
    assert trained_or_refused(WHOLE, folder) is not None
    tables = copy.deepcopy(WHOLE)
    for section in ("data", "cost", "train"):
        more = {k: v for k, v in MORE[section].items() if k not in ("covariates", "derived", "buffer")}
        tables[section] = tables.get(section, {}) | more
    assert trained_or_refused(tables, folder) is not None
