"""evaluate --report: a page beside the table, and mistakes in one line."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import xarray as xr
from cli.command import da4dvar

from da4dvar.cli import main


@pytest.fixture
def files(tmp_path, gappy, truth):
    """gappy.nc, truth.nc, and an estimate of the climate of its kind."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    truth.to_netcdf(tmp_path / "truth.nc")
    filled = truth.copy(deep=True)
    filled["sst"] = truth.sst + 0.1
    filled["sst_std"] = truth.sst * 0 + 0.1
    filled.drop_encoding().to_netcdf(tmp_path / "filled.nc")
    return tmp_path


FILES = ("evaluate", "filled.nc", "truth.nc")


def test_a_report_beside_the_table(files, model_path):
    """The scores go to stdout as ever, the page and the descent of the model to the file."""
    options = ["--observed", "gappy.nc", "--report", "r.html", "--model", model_path, "--at", "2001-03-10"]
    done = da4dvar(*FILES, *options, "--json", cwd=files)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sst"]["all"]["crps"] == pytest.approx(0.1 * 0.6024, rel=0.01)
    assert done.stderr == "wrote r.html\n"
    assert "prior term" in (files / "r.html").read_text()


def line(monkeypatch, capsys, arguments):
    """What a command that must fail says, run in this process."""
    monkeypatch.setattr(sys, "argv", ["da4dvar", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert len(said.err.strip().splitlines()) == 1
    return said.err


def test_mistakes_of_a_report(files, model_path, monkeypatch, capsys):
    """Each is one line, and nothing is written."""
    (files / "there.html").write_text("mine")
    monkeypatch.chdir(files)
    salt = xr.Dataset({"salt": ("time", np.zeros(3))})
    salt.to_netcdf(files / "salt.nc")
    before = sorted(files.iterdir())
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
        (*FILES, "--report", "r.html", "--at", "1999-01-01"): "not among the times",
        (*FILES, "--at", "2001-03-10"): "--report",
        ("evaluate", "filled.nc", "salt.nc", "--report", "r.html"): "no variable in common",
    }.items():
        assert expected in line(monkeypatch, capsys, arguments)
    assert sorted(files.iterdir()) == before
    assert (files / "there.html").read_text() == "mine"
