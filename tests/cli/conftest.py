"""A folder with inputs of all commands."""

import pytest
from examples import RECIPE, make_sst

from da4dvar.simulate import lorenz96

BENCHMARK = """
title = "small"
rows = ["linear"]
[test]
simulate = { system = "lorenz96", series = 2, steps = 20 }
truth = { x = "x" }
observed = { x = "x_observed" }
"""


@pytest.fixture
def folder(tmp_path, gappy, monkeypatch):
    """Go to a folder with gappy.nc, truth.nc, l96.nc, a recipe, and a benchmark with one row."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    make_sst(70).to_netcdf(tmp_path / "truth.nc")
    lorenz96(series=1, steps=4).to_netcdf(tmp_path / "l96.nc")
    (tmp_path / "recipe.toml").write_text(RECIPE.format(steps=2))
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/benchmark.toml").write_text(BENCHMARK)
    (tmp_path / "bench/linear.toml").write_text('[row]\nsolver = "linear"\n[baseline]\nkind = "linear"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path
