"""A small sea and a model that has seen it: enough to walk through the whole house."""

import pytest
from examples import make_sst, train_tiny

import da4dvar


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    """A model file of a few training steps."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    train_tiny().save(path)
    return path


@pytest.fixture
def model(model_path):
    """The same model, loaded anew for each test."""
    return da4dvar.load(model_path)


@pytest.fixture
def truth():
    """A complete field, but for land."""
    return make_sst()


@pytest.fixture
def gappy(truth):
    """The same with three fifths of it hidden."""
    from da4dvar.workflows.twin import hide

    return hide(truth, "random", 0.4, seed=3)


@pytest.fixture
def files(tmp_path, gappy, truth):
    """A folder with gappy.nc and truth.nc."""
    gappy.to_netcdf(tmp_path / "gappy.nc")
    truth.to_netcdf(tmp_path / "truth.nc")
    return tmp_path


@pytest.fixture
def little_memory(monkeypatch):
    """Count neither Python itself nor much for a window, so that small data exceed a small memory."""
    monkeypatch.setattr("da4dvar.outofcore.plan.BASE", 0)
    monkeypatch.setattr("da4dvar.outofcore.memory.window_bytes", lambda *_: 10_000)
