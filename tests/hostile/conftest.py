"""Fixtures for the tests of broken input: a folder with valid files."""

import door
import pytest
from examples import make_sst

from da4dvar.workflows.twin import hide


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Limit each command to twenty seconds, as docs/broken-input.md states."""
    monkeypatch.setattr(door, "SECONDS", 20)


@pytest.fixture
def small(model):
    """Return a few days of the small sea, enough for one window."""
    return hide(make_sst(8), "random", 0.4, seed=3)
