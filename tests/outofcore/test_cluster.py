"""Tiles on a cluster give the same bits, survive lost workers and report errors in one line."""

import os
import pickle
import signal
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import streams
import torch
import xarray as xr
from distributed import Client, LocalCluster
from examples import assert_bits, gappy_sst
from hypothesis import given
from hypothesis import strategies as st

from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.outofcore import cluster, schedulers
from da4dvar.outofcore import plan as stream_plan
from da4dvar.outofcore.journal import Journal
from da4dvar.outofcore.schedulers import InProcess
from da4dvar.training.distributed import free_port


@pytest.fixture(scope="module")
def two():
    """Start a cluster of two processes."""
    dashboard = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with LocalCluster(2, threads_per_worker=1, memory_limit=0, silence_logs=50, **dashboard) as both:
        yield both


@pytest.fixture
def files(tmp_path, little_memory):
    """Return a folder with in.nc, for whose solution a few megabytes suffice."""
    gappy_sst(100).to_netcdf(tmp_path / "in.nc")
    return tmp_path


fill = partial(streams.fill, memory="2MB")


class Stopped(BaseException):
    """Stand-in for Ctrl-C."""


def numbers_asked(monkeypatch) -> list[tuple[int, ...]]:
    """Record the tiles that are submitted to workers from now on."""
    asked, submit = [], Client.submit

    def noting(client, function, name, number, **named):
        asked.append(number)
        return submit(client, function, name, number, **named)

    monkeypatch.setattr(Client, "submit", noting)
    return asked


def die(name: str, number: tuple[int, ...]) -> None:
    """Stand-in for a tile that kills any worker."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def in_tiles():
    """Solve in this process, with the regions that workers get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("da4dvar.outofcore.interpolate_file.scheduler_of", lambda _: InProcess(tiles=16))
        patch.setattr("da4dvar.outofcore.interpolate_file.fits_in_memory", lambda *_: False)
        yield patch


@pytest.fixture
def expected(files, model):
    """Return the output of this process alone."""
    with in_tiles():
        return fill(files, model, "expected.zarr")


def test_workers_give_the_bits_of_one_process(files, model, expected, two):
    """Workers give the same bits by regions, even for data that fit in memory, and report progress."""
    calls = []
    filled = fill(files, model, scheduler=two.scheduler_address, progress=lambda *done: calls.append(done))
    assert_bits(filled, expected)
    assert calls[-1] == (filled.prior_term.size, filled.prior_term.size)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert {p.name for p in files.iterdir()} == {"in.nc", "expected.zarr", "out.zarr"}


def test_a_run_begun_alone_is_gone_on_with_by_workers(files, model, expected, two, monkeypatch):
    """Workers resume a run of one process without solving finished regions again."""
    original, count = Journal.finish, [0]

    def stopped(journal, number):
        original(journal, number)
        count[0] += 1
        if count[0] == 3:
            raise Stopped

    with in_tiles() as patch:
        patch.setattr(Journal, "finish", stopped)
        with pytest.raises(Stopped):
            fill(files, model)
    asked = numbers_asked(monkeypatch)
    assert_bits(fill(files, model, scheduler=two.scheduler_address, resume=True), expected)
    assert len(asked) == len(set(asked)) > 0
    assert (0, 0, 0) not in asked


def test_a_run_of_workers_is_gone_on_with_alone(files, model, expected, two, monkeypatch):
    """One process resumes a run of workers without solving any finished tile again."""

    def stopped(done, of):
        if done > of / 2:
            raise Stopped

    asked = numbers_asked(monkeypatch)
    with pytest.raises(Stopped):
        fill(files, model, scheduler=two.scheduler_address, progress=stopped)
    solved = [n for n in asked if Journal(files / "out.zarr").solved(n)]
    assert solved
    again, original = [], schedulers.solve_tile

    def noted(model, job, number, tell):
        again.append(number)
        return original(model, job, number, tell)

    monkeypatch.setattr(schedulers, "solve_tile", noted)
    assert_bits(fill(files, model, resume=True), expected)
    assert again
    assert not set(again) & set(solved)


def test_a_worker_is_sent_the_model_once_and_a_tile_is_a_number(files, model, two, monkeypatch):
    """Each worker gets the plugin once, tasks are small, and few are submitted at once."""
    sizes, waiting, received = [], [], []
    submit, result = Client.submit, cluster._result

    def small(client, function, *arguments, **named):
        sizes.append(len(pickle.dumps((function, arguments))))
        waiting.append(len(sizes) - len(received))
        return submit(client, function, *arguments, **named)

    def receive(*arguments):
        received.append(arguments)
        return result(*arguments)

    sent, register = [], Client.register_plugin

    def registered(client, plugin, name):
        sent.append(len(pickle.dumps(plugin)))
        return register(client, plugin, name)

    monkeypatch.setattr(Client, "submit", small)
    monkeypatch.setattr(Client, "register_plugin", registered)
    monkeypatch.setattr(cluster, "_result", receive)
    fill(files, model, scheduler=two.scheduler_address)
    assert len(sizes) >= 16
    assert max(sizes) < 1000
    assert len(sent) == 1
    assert max(waiting) <= 4
    with Client(two, set_as_default=False) as client:
        left = client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("da4dvar")])
    assert list(left.values()) == [[], []]


def test_an_infinite_value_is_told_as_if_there_were_no_workers(files, model, two):
    """A worker reports infinite values as one process does, and can be used for the next run."""
    with xr.open_dataset(files / "in.nc") as ds:
        bad = ds.load()
    bad.sst[60, 4, 4] = np.inf
    bad.drop_encoding().to_netcdf(files / "in.nc")
    with pytest.raises(DataError, match="infinite values"):
        fill(files, model, scheduler=two.scheduler_address)


def test_threads_give_the_bits_of_one_process(files, model, expected):
    """Workers in threads give the same bits and restore the number of threads of torch."""
    before = torch.get_num_threads()
    assert_bits(fill(files, model, scheduler="threads"), expected)
    assert torch.get_num_threads() == before


def test_a_lost_worker_costs_its_tiles_and_not_the_run(files, model, expected, two):
    """A run finishes after one of two workers is killed."""
    with Client(two, set_as_default=False) as client:
        victims = list(client.run(os.getpid).values())

    def kill(done, of):
        if victims and done > of / 4:
            os.kill(victims.pop(), signal.SIGKILL)
            victims.clear()

    assert_bits(fill(files, model, scheduler=two.scheduler_address, progress=kill), expected)
    assert not victims


def test_a_tile_that_takes_workers_with_it_is_told_in_a_line(files, model, two, monkeypatch):
    """A tile that kills its workers is reported, and the run can be resumed."""
    monkeypatch.setattr(cluster, "solve_there", die)
    two.scheduler.allowed_failures, before = 0, two.scheduler.allowed_failures
    try:
        with pytest.raises(DataError, match=r"1 workers died while solving tile.*more memory"):
            fill(files, model, scheduler=two.scheduler_address)
    finally:
        two.scheduler.allowed_failures = before
    assert (files / ".out.zarr.da4dvar" / "plan.json").exists()


@pytest.mark.parametrize(("options", "text"), [
    ({"scheduler": "process"}, "scheduler is 'process', expected threads, processes or an .*did you"),
    ({"scheduler": "tcp://"}, "tcp:// does not answer"),
    ({"scheduler": "tcp://127.0.0.1:PORT"}, r"scheduler tcp://127.0.0.1:\d+ does not answer within"),
    ({"scheduler": "threads", "members": 2}, "but an ensemble needs all of the data at once"),
    ({"scheduler": "threads", "memory": "10KB"}, "give at least --memory"),
])  # fmt: skip
def test_what_no_scheduler_can_do_is_refused_before_work(files, model, options, text, monkeypatch):
    """Invalid options and a scheduler that does not answer are refused before anything is written."""
    monkeypatch.setattr(schedulers, "PATIENCE", 1)
    scheduler = options["scheduler"].replace("PORT", str(free_port()))
    with pytest.raises(DataError, match=text):
        fill(files, model, **options | {"scheduler": scheduler})
    assert [p.name for p in files.iterdir()] == ["in.nc"]


def test_without_the_package_of_dask_the_extra_is_named(files, model, monkeypatch):
    """Without `distributed`, the error names the extra to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"not installed; pip install 'da4dvar\[distributed\]'"):
        fill(files, model, scheduler="processes")


@given(
    cores=st.integers(1, 200),
    memory=st.integers(1, 10**12),
    need=st.integers(5 * 10**8, 10**11),
    kind=st.sampled_from(schedulers.LOCAL),
)
def test_all_processes_together_keep_to_the_memory(cores, memory, need, kind):
    """Workers and this process together fit in memory, with at most one worker per core."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Da4dvarWarning)
        local = schedulers.Local(kind, cores).within(memory, need)
    common = stream_plan.BASE if kind == "threads" else 0
    assert 1 <= local.workers <= cores
    assert common + (local.workers + 1) * (local.share - common) <= max(memory, common)
    if local.workers > 1:
        assert local.share >= need
    if local.workers < cores:
        assert common + (local.workers + 2) * (need - common) > memory


def test_fewer_workers_than_cores_are_told():
    """A warning gives the memory that would suffice for all cores."""
    with pytest.warns(Da4dvarWarning, match=r"suffices for 2 of 8 workers; give --memory 5400MB for all"):
        schedulers.Local("processes", 8).within(2 * 10**9, 6 * 10**8)
