"""Files larger than memory, filled region by region without a model."""

import numpy as np
import pytest
import xarray as xr
from door import da4dvar as shell
from door import ran, refused

import da4dvar
from da4dvar.errors import ModelError
from da4dvar.outofcore import store as region_store
from da4dvar.workflows.autofit.fill import fit
from da4dvar.workflows.autofit.regions import sides_of
from da4dvar.workflows.autofit.state import from_state

SMALL = ("--memory", "40MB", "--minutes", "0.1")


def field(times: int = 40, side: int = 64) -> xr.Dataset:
    """A wave under moving clouds, with land, and a variable that is not filled."""
    t, y, x = np.ogrid[:times, :side, :side]
    wave = (15 + 3 * np.sin(x / 9 + t / 7) * np.cos(y / 11)).astype("float32")
    cloud = np.sin(x / 5 + t) * np.cos(y / 6 - t / 2) > 0.4
    wave[cloud | (x + y < 20) & (t >= 0)] = np.nan
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), wave, {"units": "degC"}),
            "depth": (("lat", "lon"), wave[0] * 0 + 1),
        },
        {
            "time": xr.date_range("2001-01-01", periods=times),
            "lat": ("lat", np.arange(side) / 4, {"units": "degrees_north"}),
            "lon": ("lon", np.arange(side) / 4, {"units": "degrees_east"}),
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a field, and the field filled in memory and in regions by a method that is local."""
    path = tmp_path_factory.mktemp("regions")
    field().to_netcdf(path / "gappy.nc")
    options = ("--method", "linear", "--std", "--minutes", "0.1")
    ran("interpolate", "gappy.nc", "memory.nc", *options, cwd=path)
    ran("interpolate", "gappy.nc", "regions.zarr", *options, "--memory", "40MB", cwd=path)
    return path


def test_regions_give_what_memory_gives(folder):
    """The same estimates, flags and labels, and observed values to the last bit."""
    whole = xr.open_dataset(folder / "memory.nc")
    parts = xr.open_zarr(folder / "regions.zarr", consolidated=False)
    gappy = xr.open_dataset(folder / "gappy.nc")
    assert sorted(parts) == sorted(whole)
    np.testing.assert_allclose(parts.sst, whole.sst, rtol=1e-6)
    observed = gappy.sst.notnull().values
    np.testing.assert_array_equal(parts.sst.values[observed], gappy.sst.values[observed])
    assert (parts.sst_flag.values[observed] == 0).all()
    np.testing.assert_array_equal(parts.sst_flag == 2, parts.sst.isnull())
    np.testing.assert_array_equal(parts.depth, gappy.depth)
    assert parts.sst.attrs["units"] == "degC"


def test_an_interrupted_run_is_continued_with_its_own_fit(tmp_path, monkeypatch):
    """After a failure in the second region, the rest is filled by the methods that were chosen before."""
    field().to_netcdf(tmp_path / "gappy.nc")
    write, done = region_store.write, []

    def fails(*args):
        if len(done) == 1:
            raise OSError("no space left on device")
        done.append(write(*args))

    monkeypatch.setattr(region_store, "write", fails)
    said = shell("interpolate", "gappy.nc", "out.zarr", *SMALL, "--method", "linear", cwd=tmp_path)
    assert (said.code, "continue with --resume" in said.err) == (2, True)
    monkeypatch.setattr(region_store, "write", write)
    refused("interpolate", "gappy.nc", "out.zarr", *SMALL, cwd=tmp_path)
    said = shell("interpolate", "gappy.nc", "out.zarr", *SMALL, "--resume", "--interval", "0.9", cwd=tmp_path)
    assert (said.code, "interval is [0.9], but the interrupted run began with []" in said.err) == (2, True)
    ran("interpolate", "gappy.nc", "out.zarr", *SMALL, "--resume", cwd=tmp_path)
    filled = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    assert filled.sst.attrs["filled_by"] == "linear"
    assert float(filled.sst_flag.isin([1, 3]).sum()) > 0


def test_a_fit_survives_as_a_file(tmp_path):
    """A fit read back fills like the one that was written, with the same error bars."""
    ds = field(30, 16)
    fitted = fit(ds, minutes=0.05, method="linear", say=print)
    fitted.save(tmp_path / "fit.json")
    again = da4dvar.load_fit(tmp_path / "fit.json")
    xr.testing.assert_identical(again.interpolate(ds, interval=0.9), fitted.interpolate(ds, interval=0.9))
    with pytest.raises(ModelError, match="damaged fit"):
        from_state({"variables": {"sst": {}}, "time": "time"})


def test_the_help_of_baseline_names_the_command_for_larger_files(folder):
    """That command fills region by region, with the estimates of da4dvar baseline."""
    (line,) = (
        line.strip()
        for line in shell("baseline", "--help").out.splitlines()
        if line.strip().startswith("da4dvar interpolate")
    )
    _, *arguments = line.replace("big.zarr", "gappy.nc").replace("2GiB", "40MB").split()
    assert "region by region" in ran(*arguments, "--minutes", "0.1", cwd=folder).err
    ran("baseline", "gappy.nc", "baseline.nc", "--method", "linear", cwd=folder)
    with xr.open_dataset(folder / "baseline.nc") as whole:
        parts = xr.open_zarr(folder / "filled.zarr", consolidated=False)
        np.testing.assert_allclose(parts.sst, whole.sst, rtol=1e-6)


def test_regions_hold_all_times_and_fit_in_memory():
    """The sides of a region follow from the memory, and too little of it is refused."""
    ds = field()
    fitted = fit(ds, minutes=0.05, method="linear", say=print)
    sides = sides_of(ds, fitted, 40_000_000)
    assert set(sides) == {"lat", "lon"}
    assert sides["lat"] < 64
    with pytest.raises(ValueError, match="--memory is too low"):
        sides_of(ds, fitted, 1_000_000)
