"""NetCDF files with missing or changed bytes, and files of other formats."""

import os

import netCDF4
import numpy as np
import pytest
import xarray as xr
from door import da4dvar, done_or_refused, refused
from examples import make_sst

pytestmark = pytest.mark.hostile

VERBS = {
    "interpolate": lambda model: ["interpolate", "in.nc", "out.nc", "--model", model],
    "baseline": lambda model: ["baseline", "in.nc", "out.nc"],
    "gaps": lambda model: ["gaps", "in.nc", "out.nc", "--kind", "random", "--fraction", "0.5"],
    "evaluate": lambda model: ["evaluate", "in.nc", "truth.nc", "--report", "out.html"],
    "inspect": lambda model: ["inspect", "in.nc"],
}
FORMATS = ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("part", [0, 0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_cut_short(files, model_path, part, form):
    """Truncated files of every format are refused."""
    ds = make_sst(30).drop_encoding()
    ds.to_netcdf(files / "in.nc", format=form)
    whole = (files / "in.nc").read_bytes()
    (files / "in.nc").write_bytes(whole[: int(part * len(whole))])
    refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=files)


@pytest.mark.parametrize("verb", VERBS)
def test_cut_short_for_every_verb(files, model_path, verb):
    """Every verb refuses a truncated file."""
    whole = (files / "gappy.nc").read_bytes()
    for part in (0.1, 0.5, 0.95):
        (files / "in.nc").write_bytes(whole[: int(part * len(whole))])
        refused(*VERBS[verb](model_path), cwd=files)


@pytest.mark.parametrize("seed", range(12))
def test_bytes_changed_anywhere(files, model_path, seed):
    """There is never a traceback, and the input is unchanged."""
    generator = np.random.default_rng(seed)
    whole = bytearray((files / "gappy.nc").read_bytes())
    for at in generator.integers(0, len(whole), 1 + seed * 3):
        whole[at] ^= 1 << int(generator.integers(8))
    (files / "in.nc").write_bytes(whole)
    done_or_refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=files)


@pytest.mark.parametrize(
    "what", ["empty", "text", "zip", "zeros", "folder", "pipe", "nowhere", "itself", "null"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_file_of_data(files, model_path, verb, what):
    """Every verb refuses other files in one line."""
    path = files / "in.nc"
    contents = {"empty": b"", "text": b"time,sst\n1,2\n", "zip": b"PK\x03\x04" * 100, "zeros": bytes(5000)}
    if what in contents:
        path.write_bytes(contents[what])
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "nowhere":
        path.symlink_to(files / "nothing.nc")
    elif what == "itself":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/null")
    refused(*VERBS[verb](model_path), cwd=files)


def test_groups_alone(files, model_path):
    """Variables in a group do not count as variables of the file."""
    with netCDF4.Dataset(files / "in.nc", "w") as file:
        group = file.createGroup("deep")
        group.createDimension("time", 3)
        group.createVariable("sst", "f4", ("time",))[:] = 1
    line = refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=files)
    assert "its variables are in groups (deep)" in line


def test_groups_beside_the_data(files, model_path):
    """Groups are ignored, and the variables of the file are filled."""
    with xr.open_dataset(files / "gappy.nc") as ds:
        ds.load().to_netcdf(files / "in.nc")
    with netCDF4.Dataset(files / "in.nc", "a") as file:
        file.createGroup("deep").createDimension("time", 3)
    assert done_or_refused("interpolate", "in.nc", "out.nc", "--model", model_path, cwd=files)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "shift-jis"])
def test_attributes_that_are_not_utf_8(files, model_path, encoding):
    """Some letters may be lost, but no data."""
    with netCDF4.Dataset(files / "gappy.nc", "a") as file:
        file["sst"].setncattr("comment", np.frombuffer("température が".encode(encoding, "replace"), "S1"))
        file.setncattr_string("more", "x")
    assert done_or_refused("interpolate", "gappy.nc", "out.nc", "--model", model_path, cwd=files)


@pytest.mark.parametrize("wrong", [
    "days since banana", "days since 0000-00-00", "fortnights since 2000-01-01", "days", 10**18, -(10**18),
    2**62,
])  # fmt: skip
def test_times_that_cannot_be_read(files, model_path, wrong):
    """Units that are none, or a number of days beyond all dates."""
    with netCDF4.Dataset(files / "gappy.nc", "a") as file:
        if isinstance(wrong, str):
            file["time"].units = wrong
        else:
            file["time"][3] = wrong
    refused("interpolate", "gappy.nc", "out.nc", "--model", model_path, cwd=files)


@pytest.mark.parametrize("scale", [0.0, np.nan, np.inf, -0.01, 1e-300, "0.01", [0.01, 0.02]])
def test_a_scale_factor_that_is_none(files, model_path, scale):
    """The file is filled from the values that result, or refused."""
    with netCDF4.Dataset(files / "gappy.nc", "a") as file:
        file["sst"].scale_factor = scale
    done_or_refused("interpolate", "gappy.nc", "out.nc", "--model", model_path, cwd=files)
    assert da4dvar("inspect", "gappy.nc", cwd=files).code in (0, 2)
