"""A user's mistake is one line that says what was got, expected and to do; nothing is written."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from cli.command import da4dvar, refused
from cli.test_verbs import RECIPE
from unprivileged import as_nobody, open_folder

from da4dvar.cli import main


@pytest.fixture
def files(tmp_path, gappy):
    """A folder with gappy.nc."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    return tmp_path


def spoil(files, change):
    """bad.nc: gappy.nc after a change."""
    with xr.open_dataset(files / "gappy.nc") as ds:
        change(ds.load()).to_netcdf(files / "bad.nc")


def with_units(ds, units):
    """The same in other units."""
    ds.sst.attrs["units"] = units
    return ds


def stretched(ds):
    """Every second day."""
    return ds.assign_coords(time=ds.time[0] + 2 * (ds.time - ds.time[0]))


CHANGES = {
    "variable absent": (lambda ds: ds.rename(sst="sst_skin"), "no variable 'sst'.*did you mean 'sst_skin'"),
    "dimension missing": (lambda ds: ds.isel(lat=0), "no dimension 'lat'.*--dim lat=NAME"),
    "other units": (lambda ds: with_units(ds, "kg m-3"), "cannot be converted.*'degC'"),
    "units that are none": (lambda ds: with_units(ds, "bananas"), "cannot be converted"),
    "other time step": (stretched, "steps of 2 days.*trained on 1 days"),
    "a day is missing": (lambda ds: ds.drop_isel(time=5), "steps from 1 days to 2 days"),
    "other grid spacing": (
        lambda ds: ds.assign_coords(lat=("lat", -40 + 0.5 * np.arange(9), ds.lat.attrs)),
        "'lat' has steps of 0.5.*0.25",
    ),
    "not monotonic": (lambda ds: ds.isel(time=[0, 2, 1, *range(3, 30)]), "not monotonic.*sortby"),
    "duplicates": (lambda ds: ds.isel(time=[0, 1, 1, *range(2, 30)]), "not monotonic or has duplicates"),
    "outside the climatology": (lambda ds: ds.assign_coords(lon=ds.lon + 1), "'lon' holds 152"),
    "no dates": (lambda ds: ds.assign_coords(time=np.arange(30)), "trained on dates.*CF units"),
    "nothing observed": (lambda ds: ds.where(False), "holds no observation"),
    "infinite": (lambda ds: ds.where(ds.lat > -39, -np.inf), "infinite values"),
    "text": (lambda ds: ds.assign(sst=ds.sst.astype(str)), "expected numbers"),
    "no place at all": (lambda ds: ds.drop_encoding().isel(lat=slice(0, 0)), "no entries"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_data_that_do_not_fit_the_model(files, model_path, what):
    """Each way of not fitting has its own line, and no output appears."""
    change, expected = CHANGES[what]
    spoil(files, change)
    before = sorted(files.iterdir())
    line = refused("interpolate", "bad.nc", "out.nc", "--model", model_path, cwd=files)
    import re

    assert re.search(expected, line), line
    assert sorted(files.iterdir()) == before


def test_files_that_are_none(files, model_path):
    """Missing, text, cut short, a folder, a glob without matches."""
    (files / "text.nc").write_text("not a data set")
    (files / "cut.nc").write_bytes((files / "gappy.nc").read_bytes()[:5000])
    (files / "folder.nc").mkdir()
    for name, expected in {
        "missing.nc": "no such file",
        "text.nc": "not a NetCDF file",
        "cut.nc": "not a NetCDF file|cut short",
        "folder.nc": "no Zarr store",
        "none*.nc": "no file matches",
    }.items():
        line = refused("interpolate", name, "out.nc", "--model", model_path, cwd=files)
        assert any(e in line for e in expected.split("|")), line
        assert name in line


def test_outputs_that_must_not_be_written(files, model_path):
    """An output that exists, is the input, has no known suffix, or has no folder."""
    (files / "there.nc").write_text("precious")
    model = ("--model", model_path)
    assert "--overwrite" in refused("interpolate", "gappy.nc", "there.nc", *model, cwd=files)
    assert (files / "there.nc").read_text() == "precious"
    same = refused("interpolate", "gappy.nc", "gappy.nc", *model, "--overwrite", cwd=files)
    assert "output and input are the same" in same
    link = refused("interpolate", "gappy*.nc", "./gappy.nc", *model, "--overwrite", cwd=files)
    assert "output and input are the same" in link
    assert ".nc or .zarr" in refused("interpolate", "gappy.nc", "out.csv", *model, cwd=files)
    assert "create it first" in refused("interpolate", "gappy.nc", "no/out.nc", *model, cwd=files)


def test_models_that_are_none(files, model_path):
    """Unknown, cut short, and a pickle, which is refused and never loaded."""
    (files / "cut.safetensors").write_bytes(model_path.read_bytes()[:300])
    (files / "pickle.safetensors").write_bytes(pickle.dumps({"a": 1}))
    for name, expected in {
        "oisst-tasmania": "no shipped model",
        "missing.safetensors": "no such model file",
        "cut.safetensors": "broken model file",
        "pickle.safetensors": "never loaded",
    }.items():
        assert expected in refused("interpolate", "gappy.nc", "out.nc", "--model", name, cwd=files)
    assert not (files / "out.nc").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("iterations = 2", "itertions = 2"), "did you mean 'iterations'"),
        (('kind = "unet"', 'kind = "unett"'), "did you mean 'unet'"),
        (("[layout]", "[lay_out]"), "did you mean 'layout'"),
        (("steps = 2", "step = 2"), "did you mean 'steps'"),
        (("truth.nc", "gone.nc"), "no such file"),
        (('variables = ["sst"]', 'variables = ["salt"]'), "no variable 'salt'"),
        (("time = 6", "tide = 6"), "window names 'tide'"),
        (("fraction = 0.4", "fraction = 4"), "fraction of observed cells is 4"),
        (("fraction = 0.4", 'fraction = "x"'), "gaps of kind 'random'"),
        (("2001-04-21", "2031-04-21"), "nothing between"),
        (("time = 6", "time = 600"), "600 cells along 'time'"),
    ],
)
def test_recipes_with_a_mistake(files, change, expected, truth):
    """A typo offers the nearest name; a value out of range is named."""
    import examples

    examples.make_sst(70).to_netcdf(files / "truth.nc")
    text = RECIPE.format(steps=2)
    assert change[0] in text
    (files / "recipe.toml").write_text(text.replace(*change))
    line = refused("train", "recipe.toml", "-o", "m.safetensors", cwd=files)
    assert expected in line, line
    assert not (files / "m.safetensors").exists()


def test_commands_that_are_none(files):
    """An unknown verb, an option without its value, a missing option, one file instead of two."""
    assert "No such command" in refused("fill", "gappy.nc")
    assert "--model" in refused("interpolate", "gappy.nc", "out.nc", cwd=files)
    assert "expected an input and an output" in refused("interpolate", "gappy.nc", "--model", "x", cwd=files)
    assert "NAME=OTHER" in refused(
        "interpolate", "gappy.nc", "out.nc", "--model", "x", "--variable", "sst", cwd=files
    )
    assert "no method 'kriging'" in refused("baseline", "gappy.nc", "o.nc", "--method", "kriging", cwd=files)
    assert "no system 'lorenz'" in refused("simulate", "lorenz", "o.nc", cwd=files)
    assert "unknown kind 'track'" in refused("gaps", "gappy.nc", "o.nc", "--kind", "track", cwd=files)


def test_a_window_without_observations_is_counted_on_stderr(files, model_path):
    """It is no mistake, but the user is told how many there are."""
    spoil(files, lambda ds: ds.where(ds.time < ds.time[10]))
    done = da4dvar("interpolate", "bad.nc", "out.nc", "--model", model_path, cwd=files)
    assert done.returncode == 0
    assert "windows hold no observation" in done.stderr


def test_a_full_disk_leaves_nothing_behind(files, model_path):
    """A write that fails half-way is one line, and an older output survives."""
    (files / "out.nc").write_text("older")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "import da4dvar.cli; da4dvar.cli.main()"
    )
    arguments = ["interpolate", "gappy.nc", "out.nc", "--model", str(model_path), "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        cwd=files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "could not be written" in done.stderr
    assert sorted(p.name for p in files.iterdir()) == ["gappy.nc", "out.nc"]
    assert (files / "out.nc").read_text() == "older"


def test_a_kill_never_leaves_a_half_written_output(files, model_path):
    """Killed at several moments, the output either does not exist or is whole."""
    arguments = ["interpolate", "gappy.nc", "out.nc", "--overwrite", "--model", str(model_path)]
    for delay in (0.5, 1.5, 2.5, 3.5):
        process = subprocess.Popen(
            [sys.executable, "-m", "da4dvar", *arguments],
            cwd=files,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (files / "out.nc").exists():
            with xr.open_dataset(files / "out.nc") as whole:
                assert whole.sst.load().notnull().any()


def test_a_folder_without_permission(files, monkeypatch, capfd):
    """An output where one may not write is one line and exit code 2; nothing is written."""
    monkeypatch.chdir(files)
    with open_folder() as folder:
        (folder / "closed").mkdir(mode=0o555)
        output = folder / "closed/out.nc"
        monkeypatch.setattr(sys, "argv", ["da4dvar", "interpolate", "gappy.nc", str(output), "--model", "x"])
        assert as_nobody(main) == "SystemExit: 2"
        assert not output.exists()
    said = capfd.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "not permitted to write" in said
    assert "\n" not in said
