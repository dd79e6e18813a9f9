"""Tests of evaluate --report."""

import json

import numpy as np
import pytest
import xarray as xr
from door import ran, refused


@pytest.fixture
def files(files, truth):
    """Add filled.nc, an estimate with error bars, to the files."""
    filled = truth.copy(deep=True)
    filled["sst"] = truth.sst + 0.1
    filled["sst_std"] = truth.sst * 0 + 0.1
    filled.drop_encoding().to_netcdf(files / "filled.nc")
    return files


FILES = ("evaluate", "filled.nc", "truth.nc")


def test_a_report_beside_the_table(files, model_path):
    """The scores go to stdout, and the page with the minimisation of the model to the file."""
    options = ["--observed", "gappy.nc", "--report", "r.html", "--model", model_path, "--at", "2001-03-10"]
    said = ran(*FILES, *options, "--json", cwd=files)
    assert json.loads(said.out)["sst"]["all"]["crps"] == pytest.approx(0.1 * 0.6024, rel=0.01)
    assert said.err == "wrote r.html\n"
    assert "prior term" in (files / "r.html").read_text()


def test_mistakes_of_a_report(files, model_path):
    """Each user error gives one line, and nothing is written."""
    (files / "there.html").write_text("mine")
    salt = xr.Dataset({"salt": ("time", np.zeros(3))})
    salt.to_netcdf(files / "salt.nc")
    seen = ("--observed", "gappy.nc")
    for arguments, expected in {
        (*FILES, "--report", "there.html"): "--overwrite",
        (*FILES, "--report", "no/r.html"): "create it first",
        (*FILES, "--report", "r.pdf"): ".html",
        (*FILES, "--figures", "no/f"): "create it first",
        (*FILES, "--figures", "truth.nc"): "expected a folder",
        (*FILES, "--report", "r.html", "--model", str(model_path)): "--observed",
        (*FILES, "--report", "r.html", *seen, "--model", "lorenz96"): "no variable 'x'",
        (*FILES, "--report", "r.html", *seen, "--model", "nemo"): "no shipped model",
        (*FILES, "--report", "r.html", "--at", "1999-01-01"): "outside the data",
        (*FILES, "--at", "2001-03-10"): "--report",
        ("evaluate", "filled.nc", "salt.nc", "--report", "r.html"): "no variable in common",
    }.items():
        assert expected in refused(*arguments, cwd=files)
