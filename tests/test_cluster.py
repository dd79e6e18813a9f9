"""Tiles on a real cluster of two processes: the same bits, sent once, whoever is lost; each mistake a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster
from examples import make_sst
from streams import opened

import da4dvar
from da4dvar import stream_plan
from da4dvar.schedulers import InProcess


@pytest.fixture(scope="module")
def two() -> Iterator[LocalCluster]:
    """A cluster of two processes."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,
        silence_logs=50,
    ) as both:
        yield both


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with in.nc, whose solution takes so little that a few megabytes are enough for workers."""
    monkeypatch.setattr(stream_plan, "BASE", 0)
    monkeypatch.setattr("da4dvar.solver_memory.window_bytes", lambda *_: 10_000)
    ds = make_sst(100)
    seen = np.random.default_rng(0).random(ds.sst.shape) < 0.4
    ds.assign(sst=ds.sst.copy(data=np.where(seen, ds.sst, np.float32(np.nan)))).to_netcdf(tmp_path / "in.nc")
    return tmp_path


def fill(files: Path, model, output: str = "out.zarr", **options) -> xr.Dataset:
    """The output."""
    da4dvar.interpolate_file(files / "in.nc", files / output, model, **{"memory": "2MB"} | options)
    return opened(files / output)


def assert_bits(one: xr.Dataset, other: xr.Dataset) -> None:
    """Every value the same, bit for bit."""
    for name in other.variables:
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


@pytest.fixture
def expected(files, model, monkeypatch):
    """The output of this process alone, in the regions that workers are given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("da4dvar.file_to_file.scheduler_of", lambda _: InProcess(tiles=16))
        patch.setattr("da4dvar.file_to_file.fits_in_memory", lambda *_: False)
        return fill(files, model, "expected.zarr")


def test_workers_give_the_bits_of_one_process(files, model, expected, two):
    """A data set that fits in memory goes by regions nevertheless, and progress comes to its end."""
    calls = []
    filled = fill(files, model, scheduler=two.scheduler_address, progress=lambda *done: calls.append(done))
    assert_bits(filled, expected)
    assert calls[-1] == (filled.prior_term.size, filled.prior_term.size)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert {p.name for p in files.iterdir()} == {"in.nc", "expected.zarr", "out.zarr"}
