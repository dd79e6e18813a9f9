"""Every verb on real files, as a process."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from cli.command import da4dvar
from examples import make_sst

RECIPE = """
title = "a small sea"
[data]
path = "truth.nc"
truth = {{ sst = "sst" }}
train = {{ time = ["2001-03-01", "2001-04-20"] }}
validation = {{ time = ["2001-04-21", "2001-05-09"] }}
[gaps]
kind = "random"
fraction = 0.4
[layout]
variables = ["sst"]
axes = ["lat", "lon"]
channels = ["time"]
window = {{ time = 6, lat = 5, lon = 6 }}
[scaling]
kind = "anomaly"
harmonics = 1
[prior]
kind = "unet"
width = 4
[solver]
kind = "lstm"
width = 4
iterations = 2
[train]
steps = {steps}
batch = 2
validate_every = 2
validation_samples = 2
device = "cpu"
"""


@pytest.fixture
def files(tmp_path, gappy, truth):
    """A folder with gappy.nc and truth.nc."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    truth.to_netcdf(tmp_path / "truth.nc")
    return tmp_path


def ran(*arguments, cwd):
    """Run a command that must succeed; its standard output."""
    done = da4dvar(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_interpolate_writes_a_file_that_says_how(files, model_path):
    """The output holds values, flags and terms, keeps its packing, and its history has the command."""
    ran("interpolate", "gappy.nc", "filled.nc", "--model", model_path, cwd=files)
    with xr.open_dataset(files / "filled.nc") as filled, xr.open_dataset(files / "gappy.nc") as gappy:
        assert set(filled.data_vars) == {"sst", "sst_flag", "observation_term", "prior_term"}
        assert filled.sst.encoding["dtype"] == "int16"
        assert filled.sst.encoding["scale_factor"] == 0.01
        first, *rest = filled.attrs["history"].splitlines()
        assert "da4dvar interpolate gappy.nc filled.nc --model" in first
        assert rest[1:] == [gappy.attrs["history"]]
        assert filled.time.encoding["units"] == gappy.time.encoding["units"]
    assert sorted(p.name for p in files.iterdir()) == ["filled.nc", "gappy.nc", "truth.nc"]


def test_interpolate_writes_zarr_and_reads_it(files, model_path):
    """By suffix: NetCDF to Zarr, and Zarr to NetCDF, with the same values."""
    ran("interpolate", "gappy.nc", "filled.zarr", "--model", model_path, cwd=files)
    xr.open_dataset(files / "gappy.nc").load().to_zarr(files / "gappy.zarr", consolidated=False)
    ran("interpolate", "gappy.zarr", "again.nc", "--model", model_path, cwd=files)
    one, other = xr.open_zarr(files / "filled.zarr", consolidated=False), xr.open_dataset(files / "again.nc")
    np.testing.assert_allclose(one.sst, other.sst, atol=0.011)
    other.close()


def test_interpolate_joins_files(files, model_path):
    """Two files in a row, by name or by glob, are one data set."""
    with xr.open_dataset(files / "gappy.nc") as gappy:
        gappy.isel(time=slice(0, 14)).to_netcdf(files / "part1.nc")
        gappy.isel(time=slice(14, None)).to_netcdf(files / "part2.nc")
    for name, inputs in (("a.nc", ["gappy.nc"]), ("b.nc", ["part1.nc", "part2.nc"]), ("c.nc", ["part*.nc"])):
        ran("interpolate", *inputs, name, "--model", model_path, cwd=files)
    a, b, c = (xr.open_dataset(files / f"{n}.nc").load() for n in "abc")
    xr.testing.assert_equal(a.sst, b.sst)
    xr.testing.assert_equal(b.sst, c.sst)


def test_interpolate_overwrites_only_when_told(files, model_path):
    """--overwrite replaces a file and a store."""
    (files / "filled.nc").write_text("mine")
    (files / "filled.zarr").mkdir()
    for output in ("filled.nc", "filled.zarr"):
        ran("interpolate", "gappy.nc", output, "--model", model_path, "--overwrite", cwd=files)
    assert xr.open_zarr(files / "filled.zarr", consolidated=False).sst.notnull().any()
    assert sorted(p.name for p in files.iterdir()) == ["filled.nc", "filled.zarr", "gappy.nc", "truth.nc"]


def test_interpolate_keeps_observed_values(files, model_path):
    """--keep-observed puts them back, to the last bit of the packed file."""
    ran("interpolate", "gappy.nc", "filled.nc", "--model", model_path, "--keep-observed", cwd=files)
    with xr.open_dataset(files / "filled.nc") as filled, xr.open_dataset(files / "gappy.nc") as gappy:
        observed = gappy.sst.notnull().values
        assert (filled.sst.values[observed] == gappy.sst.values[observed]).all()


def test_train_inspect_and_resume(files):
    """A recipe becomes a model file; its provenance can be read; --resume goes on."""
    truth = make_sst(70)
    truth.to_netcdf(files / "truth.nc")
    (files / "recipe.toml").write_text(RECIPE.format(steps=2))
    done = da4dvar("train", "recipe.toml", "-o", "m.safetensors", "--set", "solver.iterations=3", cwd=files)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "wrote m.safetensors\n"
    shown = json.loads(ran("inspect", "m.safetensors", "--json", cwd=files))
    assert shown["solver"]["iterations"] == 3
    assert shown["provenance"]["recipe"]["layout"]["variables"] == ["sst"]
    assert shown["provenance"]["versions"]["torch"]
    arguments = ["train", "recipe.toml", "-o", "m.safetensors", "--set", "train.steps=4"]
    ran(*arguments, "--resume", "--overwrite", "--set", "solver.iterations=3", cwd=files)
    ran("interpolate", "gappy.nc", "filled.nc", "--model", "m.safetensors", cwd=files)


def test_simulate_baseline_evaluate(tmp_path):
    """A twin experiment, filled by lines, scored: the R-score of the setting is near 0.38."""
    ran("simulate", "lorenz96", "l96.nc", "--series", "8", "--steps", "200", "--seed", "1", cwd=tmp_path)
    ran("baseline", "l96.nc", "out.nc", "--method", "linear", "--variable", "x=x_observed", cwd=tmp_path)
    arguments = ["evaluate", "out.nc", "l96.nc", "--observed", "l96.nc", "--variable", "x=x_observed"]
    scores = json.loads(ran(*arguments, "--json", cwd=tmp_path))["x"]
    assert scores["observed"]["cells"] == 8 * 50 * 20
    assert 0.3 < scores["all"]["r_score"] < 0.45
    assert "R-score" in ran(*arguments, cwd=tmp_path)


def test_the_same_seed_gives_the_same_file(tmp_path):
    """Simulations and gaps are functions of their seed."""
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        ran(
            "simulate",
            "lorenz63",
            f"{name}.nc",
            "--series",
            "2",
            "--steps",
            "20",
            "--seed",
            seed,
            cwd=tmp_path,
        )
    a, b, c = (xr.open_dataset(tmp_path / f"{n}.nc").load() for n in "abc")
    xr.testing.assert_equal(a, b)
    assert not a.equals(c)


@pytest.mark.parametrize(
    "options",
    [
        ["--kind", "tracks", "--fraction", "0.2"],
        ["--kind", "random", "--fraction", "0.2"],
        ["--kind", "blocks", "--fraction", "0.6", "--block", "time=3", "--block", "lat=3"],
        ["--kind", "transplanted", "--masks", "gappy.nc:seen"],
    ],
)
def test_gaps_hides_a_part(files, options):
    """Every kind of gap, on a file with a land mask and labels that survive."""
    with xr.open_dataset(files / "gappy.nc") as ds:
        ds.assign(seen=ds.sst.notnull().astype("int8")).to_netcdf(files / "masks.nc")
    options = [o.replace("gappy.nc", "masks.nc") for o in options]
    ran("gaps", "truth.nc", "hidden.nc", "--seed", "1", *options, cwd=files)
    with xr.open_dataset(files / "hidden.nc") as hidden, xr.open_dataset(files / "truth.nc") as truth:
        seen = hidden.sst.notnull()
        assert 0.05 < float(seen.mean()) < 0.8
        assert bool((hidden.sst == truth.sst).where(seen, True).all())
        assert hidden.sst.attrs == truth.sst.attrs


def test_baseline_climatology_from_other_years(files):
    """The climatology of one file fills another."""
    make_sst(400, start="2000-01-01").to_netcdf(files / "history.nc")
    arguments = ["baseline", "gappy.nc", "clim.nc", "--method", "climatology", "--history", "history.nc"]
    ran(*arguments, cwd=files)
    with xr.open_dataset(files / "clim.nc") as filled:
        assert filled.sst.isel(lat=slice(2, None)).notnull().all()


def test_inspect_shows_a_data_set(files):
    """Dimensions, ranges and how much is missing."""
    text = ran("inspect", "gappy.nc", cwd=files)
    assert "missing: 6" in text
    assert "degC" in text


def test_the_doors_are_quick_and_light():
    """Rule 11: importing da4dvar and asking for help load neither torch nor xarray."""
    import subprocess
    import sys

    code = (
        "import sys; sys.argv = ['da4dvar', '--help']\n"
        "import da4dvar, da4dvar.cli\n"
        "try:\n    da4dvar.cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pytorch_lightning', 'xarray', 'dask', 'distributed', 'matplotlib'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "verb", ["", "interpolate", "train", "evaluate", "simulate", "gaps", "baseline", "inspect"]
)
def test_help_has_an_example(verb, tmp_path):
    """--help of every verb shows how it is used."""
    text = ran(*([verb] if verb else []), "--help", cwd=tmp_path)
    assert "Usage:" in text
    assert not verb or f"Example: da4dvar {verb}" in text
