"""What is written keeps to the CF conventions."""

import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import da4dvar
from da4dvar.fields.files.store import write_dataset
from da4dvar.workflows.fill import fill_classically

ROOT = Path(da4dvar.__file__).parents[1]


def test_no_fill_value_belongs_to_a_complete_coordinate(tmp_path, gappy, model):
    """Complete coordinates have no fill value; windows have calendar, type and reference date of the data."""
    depth = ("lat", np.where(np.arange(9) > 2, 100.0, np.nan))
    write_dataset(gappy.assign_coords(depth=depth), tmp_path / "out.nc")
    with netCDF4.Dataset(tmp_path / "out.nc") as file:
        filled = {name: "_FillValue" in variable.ncattrs() for name, variable in file.variables.items()}
    assert filled == {"sst": True, "time": False, "lat": False, "lon": False, "depth": True}
    gappy.time.encoding |= {"dtype": np.dtype("int32")}
    write_dataset(model.interpolate(gappy), tmp_path / "windows.nc")
    with netCDF4.Dataset(tmp_path / "windows.nc") as file:
        dates, centres = file["time"], file["window_time"]
        assert centres.units == dates.units == "days since 1990-01-01"
        assert centres.calendar == dates.calendar == "standard"
        assert centres.dtype == dates.dtype == np.dtype("int32")


def test_flags_are_of_the_type_of_their_values(model_path, gappy, tmp_path):
    """Also where the file came by way of a store, whose attributes have one kind of whole number."""
    write_dataset(gappy, tmp_path / "in.nc")
    for name, scheduler in (("memory.nc", None), ("regions.nc", "threads")):
        paths = (tmp_path / "in.nc", tmp_path / name, model_path)
        da4dvar.interpolate_file(*paths, scheduler=scheduler, memory="4GiB")
        with netCDF4.Dataset(tmp_path / name) as file:
            flag = file["sst_flag"]
            assert flag.flag_values.dtype == flag.dtype == np.dtype("int8"), name
            assert len(flag.flag_meanings.split()) == flag.flag_values.size


def test_a_standard_error_says_whose_and_what_it_is(gappy):
    """By the modifier of CF, listed beside its variable; an error of a temperature is a difference."""
    gappy.sst.attrs |= {"units_metadata": "temperature: on_scale"}
    filled = fill_classically(gappy, "optimal_interpolation", {}, {})
    assert filled.sst.attrs == gappy.sst.attrs | {"ancillary_variables": "sst_flag sst_std"}
    assert filled.sst.encoding == gappy.sst.encoding
    assert filled.sst_std.attrs == {
        "long_name": "standard error of sst",
        "units": "degC",
        "units_metadata": "temperature: difference",
        "standard_name": "sea_surface_temperature standard_error",
    }


@pytest.mark.slow
def test_the_checker_finds_nothing_that_the_input_has_not():
    """The script of `make cf`, where the environment that it makes is there."""
    checker = ROOT / ".venv-cf/bin/compliance-checker"
    if not checker.exists():
        pytest.skip("make cf installs the checker")
    command = [sys.executable, ROOT / ".ci/cf.py", "--checker", checker]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
