"""Joint samples in the scores and the report of a file."""

import json

import numpy as np
import pytest
import xarray as xr
from door import ran

from da4dvar.fields.labels.samples import with_samples


@pytest.fixture
def folder(tmp_path):
    """Files with a truth, its gaps, and an estimate with samples, whose latitudes are in another order."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((20, 40, 8, 9)).cumsum(1)
    coords = {
        "time": xr.date_range("2001-01-01", periods=40),
        "lat": ("lat", 40 + np.arange(8) / 4, {"units": "degrees_north"}),
        "lon": ("lon", 5 + np.arange(9) / 4, {"units": "degrees_east"}),
    }
    drawn = xr.DataArray(values, dims=("realization", "time", "lat", "lon"))
    truth = drawn[0].drop_vars("realization", errors="ignore").to_dataset(name="sst").assign_coords(coords)
    seen = generator.random(truth.sst.shape) < 0.3
    filled = truth.copy(data={"sst": np.where(seen, truth.sst, values[1:].mean(0))})
    drawn = xr.where(xr.DataArray(seen, dims=truth.sst.dims), truth.sst, drawn[1:])
    drawn = drawn.transpose("realization", "time", "lat", "lon")
    with_samples(filled, "sst", drawn).sortby("lat", ascending=False).to_netcdf(tmp_path / "filled.nc")
    truth.to_netcdf(tmp_path / "truth.nc")
    truth.where(seen).to_netcdf(tmp_path / "gappy.nc")
    return tmp_path


def test_samples_are_scored(folder):
    """Energy and variogram score by kind of cell, and a table of boxes and periods."""
    command = ("evaluate", "filled.nc", "truth.nc", "--observed", "gappy.nc")
    scores = json.loads(ran(*command, "--json", cwd=folder).out)
    assert list(scores) == ["sst"]
    found = scores["sst"]
    assert 0 < found["unobserved"]["energy"] < found["unobserved"]["rmse"]
    assert "energy" not in found["observed"]
    assert found["boxes"]["1 x 1, 1 day"] == pytest.approx(0.9, abs=0.05)
    assert set(found["boxes"]) >= {"8 x 8, 7 days", "all, 30 days"}
    text = ran(*command, cwd=folder).out
    assert "energy  variogram" in text
    assert "in 90 %  box    1 day  7 days  30 days" in text


def test_samples_are_in_the_report(folder):
    """A histogram of ranks, the table of boxes, and the spectrum of the samples."""
    command = ("evaluate", "filled.nc", "truth.nc", "--observed", "gappy.nc")
    ran(*command, "--report", "r.html", "--figures", "png", cwd=folder)
    page = (folder / "r.html").read_text()
    assert "Joint samples" in page
    assert "4 x 4" in page
    assert (folder / "png/sst-samples.png").exists()
