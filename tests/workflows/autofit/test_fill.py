"""From a gappy file alone to a filled one, with a table of what it is worth."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from da4dvar.workflows.autofit.scores import Scores, table_of
from door import ran, refused

from da4dvar.api import load
from da4dvar.baselines.linear import Linear
from da4dvar.baselines.logarithmic import Logarithmic
from da4dvar.cli import app
from da4dvar.config.tables import read_recipe
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.fields.files import store
from da4dvar.fields.gaps import holdout
from da4dvar.workflows.autofit.character import characters_of
from da4dvar.workflows.autofit.fill import fill_by_fit, known_levels, write_recipe
from da4dvar.workflows.recipe import Recipe

QUICK = ["train.steps=3", "train.draws=2", "train.batch=2"]
QUICK += ["prior.width=3", "solver.width=3", "solver.iterations=2"]
SETS = [word for setting in QUICK for word in ("--set", setting)]


def network(days: int = 240, stations: int = 6) -> xr.Dataset:
    """Stations that share a signal, a tenth of their days missing."""
    generator = np.random.default_rng(0)
    common = np.cumsum(generator.standard_normal(days))[:, None]
    values = 5 + common + 0.3 * generator.standard_normal((days, stations))
    values[generator.random(values.shape) < 0.1] = np.nan
    return xr.Dataset(
        {
            "pm": (("time", "station"), values, {"units": "ug/m3"}),
            "depth": ("station", np.arange(float(stations))),
        },
        coords={"time": xr.date_range("2001-01-01", periods=days), "station": list("abcdefgh"[:stations])},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a gappy file was filled by a model of its own."""
    path = tmp_path_factory.mktemp("fit")
    network().to_netcdf(path / "gappy.nc")
    said = ran(
        *("interpolate", "gappy.nc", "filled.nc", "--fit", "--save", "m.safetensors"),
        *("--variable", "pm=pm", *SETS),
        cwd=path,
    )
    (path / "out.json").write_text(json.dumps([said.out, said.err]))
    return path


def test_a_gappy_file_is_filled_and_every_choice_is_said(folder):
    """Gaps are filled and flagged; reasons go to stderr, and the scores of all methods to stdout."""
    with xr.open_dataset(folder / "filled.nc") as filled:
        assert filled.pm.notnull().all()
        assert filled.pm.attrs["units"] == "ug/m3"
        assert (filled.pm_flag == network().pm.isnull()).all()
        assert filled.pm.attrs["rmse_on_hidden_points"] > 0
    table, said = json.loads((folder / "out.json").read_text())
    for word in ("layout:", "scaling:", "gaps:", "first guess:", "wrote filled.nc"):
        assert word in said
    for method in ("learned", "linear", "climatology", "optimal_interpolation", "nearest_stations"):
        assert method in table
    assert "pm, all" in table


def test_the_recipe_that_was_used_can_be_run_again(folder):
    """Recipe and model can be used again; neither the output nor the recipe is replaced by accident."""
    tables = read_recipe(folder / "filled.recipe.toml")
    assert tables["prior"]["width"] == 3
    data = Recipe(tables, folder).data("test")
    assert not (data.seen.pm.notnull() & data.truth.pm.notnull()).any()
    ran("interpolate", "gappy.nc", "again.nc", "--model", "m.safetensors", "--quiet", cwd=folder)
    with xr.open_dataset(folder / "again.nc") as other, xr.open_dataset(folder / "filled.nc") as filled:
        np.testing.assert_allclose(other.pm, filled.pm, atol=1e-4)
    assert "exists" in refused("interpolate", "gappy.nc", "filled.nc", "--fit", cwd=folder)
    assert "filled.recipe.toml" in refused("interpolate", "gappy.nc", "filled.zarr", "--fit", cwd=folder)


def fill(ds: xr.Dataset, **options: object):
    return fill_by_fit(ds, variable={}, dim={}, settings=QUICK, **options)


def test_the_file_is_opened_once_and_points_are_hidden_once(tmp_path, monkeypatch):
    """From the command line on: one draw of the points for the test, and one of those for the validation."""
    network().to_netcdf(tmp_path / "gappy.nc")
    calls: list[str] = []
    for module, name in ((store, "_open_one"), (holdout, "hidden_points")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, name=name, original=original: calls.append(name) or original(*a)
        )
    files = [str(tmp_path / name) for name in ("gappy.nc", "filled.nc")]
    monkeypatch.setattr("sys.argv", ["da4dvar", "interpolate", *files, "--fit", "--variable", "pm=pm", *SETS])
    app(standalone_mode=False)
    assert sorted(calls) == ["_open_one", "hidden_points", "hidden_points"]


def test_a_data_set_in_memory_needs_no_file():
    """Its recipe names none; with the data set it gives the same parts again."""
    ds = network()[["pm"]]
    done = fill(ds)
    assert "path" not in done.fitted.tables["data"]
    seen = Recipe(done.fitted.tables, Path(), ds).data("train").seen
    assert 0 < seen.pm.count() < ds.pm.count()


def unlike_each_other() -> xr.Dataset:
    """A concentration and rain, with long tails, and temperatures in degrees Celsius, of some stations."""
    ds = network()[["pm"]]
    base = ((ds.pm - ds.pm.mean()) / ds.pm.std()).transpose("time", "station")
    generator = np.random.default_rng(1)
    rain = 3 * np.exp(1.5 * base) * (generator.random(base.shape) < 0.7)
    return xr.Dataset({"pm": 40 * np.exp(base), "temperature": 10 * base - 5, "rain": rain})


def test_variables_of_different_character_are_filled_together(tmp_path):
    """Each has a transformation of its own: the temperature, which is negative, has no logarithm."""
    ds = unlike_each_other()
    assert float(ds.temperature.min()) < 0
    done = fill(ds, method="auto")
    scores, baselines = done.fitted.scores, done.fitted.baselines
    offsets = {}
    method = baselines["logarithmic"]
    while isinstance(method, Logarithmic):
        offsets[method.variables] = method.offset
        method = method.method
    assert {name: c.offset for name, c in characters_of(ds, "time").items()} == {
        "pm": offsets[("pm",)],
        "temperature": None,
        "rain": offsets[("rain",)],
    }
    # What has no logarithm is filled as by the method without one.
    assert scores.of("logarithmic", "temperature") == scores.of("gaussian_em", "temperature")
    assert scores.of("logarithmic", "pm") != scores.of("gaussian_em", "pm")
    assert all(done.data[name].notnull().all() for name in ds)
    done.fitted.model.save(tmp_path / "model.safetensors")


def test_only_variables_of_one_layout_are_filled():
    """A mask of real numbers is not filled, and variables of different dimensions are refused together."""
    ds = network()[["pm"]].assign(good=("time", (np.arange(240) % 7 > 0).astype("float32")))
    done = fill(ds, mask="good", method="linear")
    assert "good_flag" not in done.data
    assert done.fitted.model.layout.variables == ("pm",)
    ds = network()[["pm"]].assign(mean=network().pm.mean("station").where(np.arange(240) % 3 > 0))
    with pytest.raises(DataError, match=r"different dimensions .* fit them one by one with --variable"):
        fill(ds)


def test_auto_takes_the_best():
    """The method with the lowest error fills and keeps what was seen; data without gaps are copied."""
    ds = network()[["pm"]]
    done = fill(ds, method="auto")
    assert done.method == done.fitted.scores.best()
    seen = ds.pm.notnull()
    assert (done.data.pm.where(seen) == ds.pm).where(seen, True).all()
    assert done.data.pm.notnull().all()
    said: list[str] = []
    complete = network().fillna(0.0)
    done = fill(complete, say=said.append)
    assert done.method == "none"
    xr.testing.assert_identical(done.data, complete)
    assert said == ["pm, depth: no gaps; copied unchanged"]


def test_a_table_names_the_best_first():
    """Sorted by the error over all gaps."""
    scores = Scores({"linear": [2.0, 1.0], "learned": [1.0, 3.0]}, ["x, all", "x, 1 step"], [50, 20])
    verdict, table = table_of(scores).split("\n\n")
    assert "best method at the hidden points: learned" in verdict
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["learned", "linear"]


def test_a_recipe_replaces_the_choice(tmp_path):
    """Its tables replace those that would be chosen, and one given back learns from the new file."""
    (tmp_path / "mine.toml").write_text('[first_guess]\nkind = "linear"\n[scaling]\nkind = "standard"\n')
    done = fill(network()[["pm"]], recipe=str(tmp_path / "mine.toml"))
    assert isinstance(done.fitted.model.first_guess, Linear)
    assert done.fitted.tables["scaling"] == {"kind": "standard"}
    ds = network()[["pm"]]
    tables = {"data": {"path": "gone.nc", "hidden": {"test": 0.1, "validation": 0.05, "seed": 3}}}
    write_recipe(tables, tmp_path / "before.toml")
    done = fill(ds, recipe=str(tmp_path / "before.toml"), paths=[str(tmp_path / "new.nc")])
    assert done.fitted.tables["data"] == tables["data"] | {"path": [str(tmp_path / "new.nc")]}


def test_intervals_that_cannot_be_given_cost_no_training():
    """25 of 540 days are too few to calibrate, and so are the known points for one level; both are said."""
    said: list[str] = []
    with pytest.warns(Da4dvarWarning, match="no error bars: variable 'pm': .* expected 50 or more"):
        done = fill(network(600, 1).isel(station=0)[["pm"]], interval=[0.9], say=said.append)
    assert done.method == "learned"
    assert done.data.pm.notnull().all()
    assert any(line.startswith("no intervals: ") for line in said)
    assert "pm_lower_90" not in done.data
    said: list[str] = []
    known = load("oisst-tasman").calibration
    assert known_levels(known, [0.9], said.append) == [0.9]
    assert known_levels(known, [1 - 1e-9], said.append) == ()
    assert [line[:30] for line in said] == ["no intervals: interval: got 1,"]
