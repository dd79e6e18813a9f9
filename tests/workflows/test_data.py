"""The data of a recipe: where they come from, and how often they are read."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da4dvar.errors import DataError, RecipeError
from da4dvar.fields.files import store
from da4dvar.fields.gaps import holdout
from da4dvar.layout import Layout
from da4dvar.workflows.data import RecipeData, observations

LAYOUT = Layout(["pm"], axes=["time"])
RANGES: dict[str, Any] = {"train": {"time": [0, 149]}, "validation": {"time": [150, 199]}}
HIDDEN: dict[str, Any] = {"hidden": {"test": 0.1, "validation": 0.1}}


@pytest.fixture
def ds():
    """A series with a mask, and a complete variable beside it."""
    values = np.random.default_rng(0).standard_normal(400)
    good = np.arange(400) % 5 > 0
    arrays = {"pm": values, "good": good, "traffic": values**2}
    return xr.Dataset({n: ("time", v) for n, v in arrays.items()}, {"time": np.arange(400)})


@pytest.fixture
def calls(monkeypatch):
    """How often a file was opened, and how often points of a variable were chosen to be hidden."""
    counted: Counter[str] = Counter()

    def counting(module: Any, name: str) -> None:
        original = getattr(module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, call)

    counting(store, "_open_one")
    counting(holdout, "hidden_points")
    return counted


def test_files_are_opened_once_and_points_hidden_once(ds, tmp_path, calls):
    """However often the parts are asked for: one draw for the test, one for the validation."""
    ds.to_netcdf(tmp_path / "pm.nc")
    data = RecipeData({"path": "pm.nc", **HIDDEN}, LAYOUT, tmp_path)
    parts = [data.part(name) for name in ("train", "validation", "test", "train")]
    data.tests()
    assert calls == {"_open_one": 1, "hidden_points": 2}
    assert parts[0] is parts[3]
    data = RecipeData({"path": "pm.nc", **RANGES}, LAYOUT, tmp_path)
    assert [data.part(name).seen.sizes["time"] for name in ("train", "validation")] == [150, 50]
    assert calls["_open_one"] == 2


@pytest.mark.parametrize("table", [RANGES, HIDDEN], ids=["ranges", "hidden"])
def test_memory_gives_what_a_file_gives(ds, tmp_path, table):
    """The same parts, with mask and covariates, and without opening anything."""
    table = table | {"mask": "good", "covariates": ["traffic"]}
    ds.to_netcdf(tmp_path / "pm.nc")
    file = RecipeData({"path": "pm.nc", **table}, LAYOUT, tmp_path)
    memory = RecipeData(table, LAYOUT, given=ds)
    for name in ("train", "validation", *(["test"] if "hidden" in table else [])):
        xr.testing.assert_equal(memory.part(name).seen, file.part(name).seen)
        assert memory.part(name).seen.traffic.notnull().all()
    seen = memory.part("train").seen.pm
    assert not seen[~ds.good.values[: seen.size]].notnull().any()


def test_hidden_points_are_in_one_part_alone(ds):
    """The test sees the points of the validation, and a validation of other times keeps its points there."""
    data = RecipeData(HIDDEN, LAYOUT, given=ds)
    train, validation, test = (data.part(n) for n in ("train", "validation", "test"))
    assert validation.truth is not None
    assert test.truth is not None
    counts = [part.pm.notnull().astype(int) for part in (train.seen, validation.truth, test.truth)]
    assert (sum(counts) == 1).all()
    assert test.seen.pm.notnull().equals(test.truth.pm.isnull())
    assert data.tests()["all"].pm.equals(test.truth.pm.notnull())
    hidden = {"hidden": {"test": 0.2, "validation": 0.2}}
    table = hidden | {"train": {"time": [0, 239]}, "validation": {"time": [160, 399]}}
    data = RecipeData(table, LAYOUT, given=ds)
    assert [int(data.part(n).seen.time[0]) for n in ("train", "validation", "test")] == [0, 160, 0]


def test_a_lazy_data_set_stays_lazy(ds):
    """Parts are in memory; what the user gave is not read for the user."""
    lazy = ds.chunk({"time": 50})
    assert RecipeData(RANGES, LAYOUT, given=lazy).part("train").seen.pm.chunks is None
    assert lazy.pm.chunks is not None


@pytest.mark.parametrize(("table", "given", "message"), [
    (RANGES, False, "expected either `path` or `simulate`"),
    (RANGES | {"simulate": {"system": "lorenz96"}}, True, "got a data set and `simulate`"),
    ({"train": {}}, True, "no 'validation'"),
    (RANGES | {"noise": -1.0}, True, "expected a standard deviation"),
    ({"hidden": {"tests": 0.1}}, True, "unknown key 'tests'"),
])  # fmt: skip
def test_a_table_that_names_no_data_is_refused(ds, table, given, message):
    """Before any data are opened."""
    with pytest.raises(RecipeError, match=message):
        RecipeData(table, LAYOUT, given=ds if given else None)


@pytest.mark.parametrize(("mask", "name", "message"), [
    (("time", ["yes"] * 400), "pm", r"mask 'good' holds .*, expected numbers"),
    ((("time", "depth"), np.ones((400, 2))), "pm", "mask 'good' has a dimension 'depth', which 'pm' lacks"),
    (("time", np.ones(400)), "time", "variable 'pm' has a coordinate 'time'; give it another name"),
])  # fmt: skip
def test_masks_and_names_that_do_not_fit_are_refused(ds, mask, name, message):
    """A mask needs numbers on the cells of its variable, and a variable not the name of a coordinate."""
    with pytest.raises(DataError, match=message):
        observations(ds.assign(good=mask), {name: "pm"}, "good")
