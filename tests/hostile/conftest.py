"""What the tests of broken files share: a folder with whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from examples import make_sst

from da4dvar.workflows.twin import hide


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with gappy.nc and truth.nc."""
    truth = make_sst()
    truth.to_netcdf(tmp_path / "truth.nc")
    hide(truth, "random", 0.4, seed=3).to_netcdf(tmp_path / "gappy.nc")
    return tmp_path


@pytest.fixture
def small(model: object) -> xr.Dataset:
    """A few days of the small sea, enough for a window."""
    return hide(make_sst(8), "random", 0.4, seed=3)
