"""Unsuitable data for the verbs without a model: baseline, gaps, evaluate, calibrate, inspect."""

import numpy as np
import pytest
import xarray as xr
from door import da4dvar, done_or_refused, refused
from examples import make_sst
from hostile.verbs import gappy

from da4dvar.fields.files.store import load_dataset

pytestmark = pytest.mark.hostile

METHODS = ["linear", "climatology", "optimal_interpolation", "eof_iteration", "nearest_stations"]


ODD = {
    "times out of order": lambda ds: ds.isel(time=[0, 2, 1, *range(3, 12)]),
    "times twice": lambda ds: ds.isel(time=[0, 1, 1, *range(2, 12)]),
    "no times": lambda ds: ds.isel(time=slice(0, 0)), "one time": lambda ds: ds.isel(time=[0]),
    "all NaN": lambda ds: ds.assign(sst=ds.sst * np.nan),
    "infinite": lambda ds: ds.assign(sst=ds.sst.where(ds.sst < 15, np.inf)),
    "constant": lambda ds: ds.assign(sst=ds.sst * 0),
    "huge": lambda ds: ds.assign(sst=(ds.sst * 1e37).astype("f4")),
    "a missing time": lambda ds: ds.assign_coords(time=ds.time.where(ds.time != ds.time[3])),
    "no coordinates": lambda ds: ds.drop_vars(["time", "lat", "lon"]),
    "no place": lambda ds: ds.isel(lat=slice(0, 0)), "text": lambda ds: ds.assign(sst=ds.sst.astype(str)),
    "nothing": lambda ds: ds.drop_vars("sst"), "no dimensions": lambda ds: xr.Dataset({"sst": 5.0}),
}  # fmt: skip


COMMANDS = {
    **{method: ["baseline", "in.nc", "out.nc", "--method", method] for method in METHODS},
    **{
        k: ["gaps", "in.nc", "out.nc", "--kind", k, "--fraction", "0.5"]
        for k in ("random", "blocks", "tracks")
    },
    "evaluate": ["evaluate", "in.nc", "truth.nc"],
    "report": ["evaluate", "in.nc", "truth.nc", "--report", "out.html"],
    "inspect": ["inspect", "in.nc"],
    "calibrate": ["calibrate", "MODEL", "in.nc", "truth.nc", "-o", "c.safetensors", "--members", "2"],
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("verb", COMMANDS)
def test_odd_data(tmp_path, model_path, verb, what):
    """Done, or refused in one line; what was observed of a finite file stays finite."""
    ODD[what](gappy()).to_netcdf(tmp_path / "in.nc")
    make_sst(12).to_netcdf(tmp_path / "truth.nc")
    command = [model_path if part == "MODEL" else part for part in COMMANDS[verb]]
    said = done_or_refused(*command, cwd=tmp_path)
    assert said is not None or verb != "inspect"
    if verb in METHODS:
        assert said is None or not what.startswith("times")
        if said is not None and what != "huge":
            assert not np.isinf(load_dataset(tmp_path / "out.nc").sst).any()


def test_scores_are_of_one_unit(tmp_path):
    """A truth in kelvin gives the scores of one in degrees, with a note."""
    truth = make_sst(12).drop_encoding()
    gappy().to_netcdf(tmp_path / "in.nc")
    truth.to_netcdf(tmp_path / "c.nc")
    kelvin = (truth.sst.astype("f8") + 273.15).assign_attrs(units="K")
    truth.assign(sst=kelvin).to_netcdf(tmp_path / "k.nc")
    one, other = (da4dvar("evaluate", "in.nc", f"{n}.nc", cwd=tmp_path) for n in "ck")
    assert one.code == other.code == 0
    assert "converted from K to degC" in other.err
    rmse = [float(said.out.splitlines()[1].split()[3]) for said in (one, other)]
    np.testing.assert_allclose(*rmse, atol=1e-3)


@pytest.mark.parametrize("units", ["bananas", "kg"])
def test_units_that_cannot_be_compared_are_told(tmp_path, units):
    """The scores come with a note."""
    gappy().to_netcdf(tmp_path / "in.nc")
    truth = make_sst(12)
    truth.sst.attrs["units"] = units
    truth.to_netcdf(tmp_path / "truth.nc")
    assert "cannot be converted" in da4dvar("evaluate", "in.nc", "truth.nc", cwd=tmp_path).err


@pytest.mark.parametrize("kind", ["text", "dates", "another dimension", "NaN"])
def test_masks_that_are_none(tmp_path, model_path, kind):
    """A mask must have numbers on the cells of its variable; NaN means not observed."""
    ds = gappy()
    masks = {
        "text": ds.sst.astype(str), "dates": ds.time,
        "another dimension": xr.ones_like(ds.sst).expand_dims(depth=2), "NaN": ds.sst * np.nan,
    }  # fmt: skip
    ds.assign(good=masks[kind]).to_netcdf(tmp_path / "in.nc")
    refused("interpolate", "in.nc", "out.nc", "--model", model_path, "--mask", "good", cwd=tmp_path)


def test_a_mask_with_gaps_is_transplanted_as_one(tmp_path):
    """NaN in a transplanted mask counts as a gap."""
    make_sst(12).to_netcdf(tmp_path / "truth.nc")
    gappy().to_netcdf(tmp_path / "masks.nc")
    kind = ("--kind", "transplanted", "--masks", "masks.nc:sst")
    assert done_or_refused("gaps", "truth.nc", "out.nc", *kind, cwd=tmp_path)
    seen = load_dataset(tmp_path / "out.nc").sst.notnull().mean()
    assert 0.2 < float(seen) < 0.6


@pytest.mark.parametrize("number", ["0", "-1", "1000000000000", "nan", "x", "1.5"])
@pytest.mark.parametrize("option", ["--series", "--steps"])
def test_simulations_of_no_size(tmp_path, option, number):
    """Simulations that are empty or larger than the memory are refused."""
    refused("simulate", "lorenz63", "out.nc", option, number, cwd=tmp_path)
