"""Tests of the commands on files."""

import json

import numpy as np
import pytest
import xarray as xr
from door import ran
from examples import RECIPE, make_sst


def test_interpolate_writes_a_file_that_says_how(files, model_path):
    """The output has values, flags, cost terms, the packing of the input, and the command in its history."""
    ran("interpolate", "gappy.nc", "filled.nc", "--model", model_path, cwd=files)
    with xr.open_dataset(files / "filled.nc") as filled, xr.open_dataset(files / "gappy.nc") as gappy:
        assert set(filled.data_vars) == {"sst", "sst_flag", "observation_term", "prior_term"}
        assert (filled.sst.encoding["dtype"], filled.sst.encoding["scale_factor"]) == ("int16", 0.01)
        first, *rest = filled.attrs["history"].splitlines()
        assert "da4dvar interpolate gappy.nc filled.nc --model" in first
        assert rest[1:] == [gappy.attrs["history"]]
        assert filled.time.encoding["units"] == gappy.time.encoding["units"]
    assert sorted(p.name for p in files.iterdir()) == ["filled.nc", "gappy.nc", "truth.nc"]


def test_interpolate_joins_files(files, model_path):
    """Files given by name or by a glob are one data set; the suffix chooses between NetCDF and Zarr."""
    with xr.open_dataset(files / "gappy.nc") as gappy:
        gappy.isel(time=slice(0, 14)).to_netcdf(files / "part1.nc")
        gappy.isel(time=slice(14, None)).to_netcdf(files / "part2.nc")
    for name, inputs in (("a.nc", ["gappy.nc"]), ("b.nc", ["part1.nc", "part2.nc"]), ("c.nc", ["part*.nc"])):
        ran("interpolate", *inputs, name, "--model", model_path, cwd=files)
    a, b, c = (xr.open_dataset(files / f"{n}.nc").load() for n in "abc")
    xr.testing.assert_equal(a.sst, b.sst)
    xr.testing.assert_equal(b.sst, c.sst)
    ran("interpolate", "gappy.nc", "filled.zarr", "--model", model_path, cwd=files)
    xr.open_dataset(files / "gappy.nc").load().to_zarr(files / "gappy.zarr", consolidated=False)
    ran("interpolate", "gappy.zarr", "again.nc", "--model", model_path, cwd=files)
    one, other = xr.open_zarr(files / "filled.zarr", consolidated=False), xr.open_dataset(files / "again.nc")
    np.testing.assert_allclose(one.sst, other.sst, atol=0.011)
    other.close()


def test_interpolate_overwrites_only_when_told(files, model_path):
    """--overwrite replaces a file or a store."""
    (files / "filled.nc").write_text("mine")
    (files / "filled.zarr").mkdir()
    for output in ("filled.nc", "filled.zarr"):
        ran("interpolate", "gappy.nc", output, "--model", model_path, "--overwrite", cwd=files)
    assert xr.open_zarr(files / "filled.zarr", consolidated=False).sst.notnull().any()
    assert sorted(p.name for p in files.iterdir()) == ["filled.nc", "filled.zarr", "gappy.nc", "truth.nc"]


def test_interpolate_keeps_observed_values(files, model_path):
    """Observed values equal those of the packed input exactly."""
    ran("interpolate", "gappy.nc", "filled.nc", "--model", model_path, cwd=files)
    with xr.open_dataset(files / "filled.nc") as filled, xr.open_dataset(files / "gappy.nc") as gappy:
        observed = gappy.sst.notnull().values
        assert (filled.sst.values[observed] == gappy.sst.values[observed]).all()


def test_train_inspect_and_resume(files):
    """Training writes a model file whose provenance can be read, and --resume continues it."""
    truth = make_sst(70)
    truth.to_netcdf(files / "truth.nc")
    (files / "recipe.toml").write_text(RECIPE.format(steps=2))
    said = ran("train", "recipe.toml", "-o", "m.safetensors", "--set", "solver.iterations=3", cwd=files)
    assert said.err == "wrote m.safetensors\n"
    shown = json.loads(ran("inspect", "m.safetensors", "--json", cwd=files).out)
    assert shown["solver"]["iterations"] == 3
    assert shown["provenance"]["recipe"]["layout"]["variables"] == ["sst"]
    assert shown["provenance"]["versions"]["torch"]
    arguments = ["train", "recipe.toml", "-o", "m.safetensors", "--set", "train.steps=4"]
    ran(*arguments, "--resume", "--overwrite", "--set", "solver.iterations=3", cwd=files)
    ran("interpolate", "gappy.nc", "filled.nc", "--model", "m.safetensors", cwd=files)


def test_simulate_baseline_evaluate(tmp_path):
    """The error of linear interpolation in a twin experiment is near 0.54 of the variance."""
    ran("simulate", "lorenz96", "l96.nc", "--series", "8", "--steps", "200", "--seed", "1", cwd=tmp_path)
    ran("baseline", "l96.nc", "out.nc", "--method", "linear", "--variable", "x=x_observed", cwd=tmp_path)
    arguments = ["evaluate", "out.nc", "l96.nc", "--observed", "l96.nc", "--variable", "x=x_observed"]
    scores = json.loads(ran(*arguments, "--json", cwd=tmp_path).out)["x"]
    assert scores["observed"]["cells"] == 8 * 50 * 20
    assert 0.45 < scores["all"]["r_score"] < 0.65
    assert "R-score" in ran(*arguments, cwd=tmp_path).out


@pytest.mark.parametrize("options", [
    ["--kind", "tracks", "--fraction", "0.2"], ["--kind", "random", "--fraction", "0.2"],
    ["--kind", "blocks", "--fraction", "0.6", "--block", "time=3", "--block", "lat=3"],
    ["--kind", "transplanted", "--masks", "gappy.nc:seen"],
])  # fmt: skip
def test_gaps_hides_a_part(files, options):
    """Every kind of gap hides part of a file with a land mask and keeps its attributes."""
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
    """--history computes the climatology from another file."""
    make_sst(400, start="2000-01-01").to_netcdf(files / "history.nc")
    arguments = ["baseline", "gappy.nc", "clim.nc", "--method", "climatology", "--history", "history.nc"]
    ran(*arguments, cwd=files)
    with xr.open_dataset(files / "clim.nc") as filled:
        assert filled.sst.isel(lat=slice(2, None)).notnull().all()
