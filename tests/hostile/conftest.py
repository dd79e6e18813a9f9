"""What the tests of broken files share: a folder with whole ones."""

from __future__ import annotations

import door
import pytest
import xarray as xr
from examples import make_sst

from da4dvar.workflows.twin import hide


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty seconds for each command, as docs/broken-input.md promises."""
    monkeypatch.setattr(door, "SECONDS", 20)


@pytest.fixture
def small(model: object) -> xr.Dataset:
    """A few days of the small sea, enough for a window."""
    return hide(make_sst(8), "random", 0.4, seed=3)
