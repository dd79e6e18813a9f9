"""The door of the command line: from a gappy file to a filled one, without a model."""

import json

import numpy as np
import pytest
import xarray as xr
from door import ran, refused
from workflows.autofit.test_fit import QUICK, network

from da4dvar.cli import app
from da4dvar.config.tables import read_recipe
from da4dvar.fields.files import store
from da4dvar.workflows.recipe import Recipe

SETS = [word for setting in QUICK for word in ("--set", setting)]


@pytest.fixture
def folder(tmp_path):
    """A folder with a gappy file."""
    network().to_netcdf(tmp_path / "gappy.nc")
    return tmp_path


def test_no_option_is_needed(folder):
    """The table goes to stdout, what was done to stderr; there is no recipe without a network."""
    said = ran("interpolate", "gappy.nc", "filled.nc", "--minutes", "0.05", cwd=folder)
    with xr.open_dataset(folder / "filled.nc") as out, xr.open_dataset(folder / "gappy.nc") as gappy:
        seen = gappy.pm.notnull().values
        assert out.pm.notnull().all()
        assert out.pm.values[seen].tobytes() == gappy.pm.values[seen].tobytes()
        np.testing.assert_array_equal(out.pm_flag == 0, seen)
        assert out.depth.equals(gappy.depth)
        winner = out.pm.attrs["filled_by"]
        assert "interpolate gappy.nc filled.nc --minutes 0.05" in out.attrs["history"]
    assert said.out.startswith(f"pm: filled by {winner}; expect an error of ")
    for method in ("linear", "gaussian_em", "nearest_stations"):
        assert method in said.out
    assert f"wrote filled.nc, filled: pm by {winner}" in said.err
    assert sorted(p.name for p in folder.iterdir()) == ["filled.nc", "gappy.nc"]


def test_options_of_the_output(folder):
    """Error bars, limits and codes of flags work with every method; JSON is all that goes to stdout."""
    options = "--method linear --std --interval 0.9 --max-gap 2D --flags argo --json -q"
    said = ran("interpolate", "gappy.nc", "filled.nc", *options.split(), cwd=folder)
    found = json.loads(said.out)
    assert found["filled_by"] == {"pm": "linear"}
    assert found["scores"]["pm"]["rmse"]["linear"][0] > 0
    assert said.err == ""
    with xr.open_dataset(folder / "filled.nc") as out:
        assert {"pm_std", "pm_lower_90", "pm_upper_90", "pm_flag"} <= set(out)
        assert set(np.unique(out.pm_flag)) == {0, 8, 9}


def test_the_network_and_its_recipe_can_be_used_again(folder):
    """A network that fills leaves its recipe next to the output, and its file with --save."""
    learned = ("--method", "learned", "--minutes", "0.02", *SETS)
    ran("interpolate", "gappy.nc", "filled.nc", *learned, "--save", "m.safetensors", cwd=folder)
    tables = read_recipe(folder / "filled.recipe.toml")
    assert tables["prior"]["width"] == 3
    assert Recipe(tables, folder).data("train").seen.pm.notnull().any()
    ran("interpolate", "gappy.nc", "again.nc", "--model", "m.safetensors", "-q", cwd=folder)
    with xr.open_dataset(folder / "again.nc") as other, xr.open_dataset(folder / "filled.nc") as filled:
        np.testing.assert_allclose(other.pm, filled.pm, atol=1e-4)
    assert "exists" in refused("interpolate", "gappy.nc", "filled.nc", *learned, cwd=folder)


def test_save_needs_a_network(folder):
    """Without one nothing is written, and the message says how to train it."""
    command = ("interpolate", "gappy.nc", "filled.nc", "--method", "linear", "--save", "m.safetensors")
    line = refused(*command, cwd=folder)
    assert "there is no network to save, as the best methods are linear" in line
    assert "--method learned" in line


def test_the_file_is_read_once(folder, monkeypatch):
    """However many methods are compared: it is opened to learn its size, and to read it."""
    calls: list[str] = []
    original = store._open_one
    monkeypatch.setattr(store, "_open_one", lambda *a: calls.append("opened") or original(*a))
    words = ["interpolate", str(folder / "gappy.nc"), str(folder / "filled.nc"), "--minutes", "0.02"]
    monkeypatch.setattr("sys.argv", ["da4dvar", *words])
    app(standalone_mode=False)
    assert len(calls) <= 2
