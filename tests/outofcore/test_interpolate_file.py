"""From file to file: streamed where memory is small, gone on with after a kill, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from examples import assert_bits, gappy_sst
from streams import opened

import da4dvar
from da4dvar.errors import Da4dvarWarning, DataError
from da4dvar.outofcore import interpolate_file as file_to_file
from da4dvar.outofcore import journal as journal_module
from da4dvar.outofcore import plan as stream_plan
from da4dvar.outofcore import run as streamed
from da4dvar.outofcore import schedulers
from da4dvar.outofcore import store as region_store

SMALL = "400KB"


class Killed(BaseException):
    """A stand-in for the end of a process, which nothing catches."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with in.nc, whose data are larger than a memory from which Python itself is not counted."""
    monkeypatch.setattr(stream_plan, "BASE", 0)
    monkeypatch.setattr("da4dvar.outofcore.memory.window_bytes", lambda *_: 10_000)
    ds = gappy_sst(60)
    ds.to_netcdf(tmp_path / "in.nc")
    ds.drop_encoding().to_zarr(tmp_path / "in.zarr", consolidated=False)
    return tmp_path


def fill(files: Path, model, output: str = "out.zarr", source: str = "in.nc", **options) -> xr.Dataset:
    """The streamed output."""
    da4dvar.interpolate_file(files / source, files / output, model, **{"memory": SMALL} | options)
    return opened(files / output)


def killed_after(count: int, monkeypatch) -> None:
    """The process ends at the moment of the `count`-th thing that it does."""
    left = [count]

    def dying(original):
        def run(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            result = original(*arguments, **named)
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return result

        return run

    for owner, name in (
        (schedulers, "solve_tile"),
        (streamed, "finish_region"),
        (region_store, "write"),
        (journal_module.Journal, "put"),
        (journal_module.Journal, "put_terms"),
        (journal_module.Journal, "finish"),
        (journal_module.Journal, "publish"),
        (journal_module.Journal, "end"),
    ):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))


@pytest.mark.parametrize("output", ["out.nc", "out.zarr"])
@pytest.mark.parametrize("source", ["in.nc", "in.zarr"])
def test_a_file_larger_than_memory_is_filled_as_in_memory(files, model, source, output):
    """NetCDF and Zarr, in and out; nothing is left beside the output."""
    calls = []
    filled = fill(files, model, output, source, progress=lambda done, of: calls.append((done, of)))
    usual = model.interpolate(opened(files / source))
    xr.testing.assert_allclose(filled, usual, rtol=1e-4, atol=1e-4)
    assert {n: a.attrs.keys() for n, a in filled.data_vars.items()} == {
        n: a.attrs.keys() for n, a in usual.data_vars.items()
    }
    assert "sst interpolated by" in filled.attrs["history"]
    assert calls[-1] == (usual.prior_term.size, usual.prior_term.size)
    assert {p.name for p in files.iterdir()} == {"in.nc", "in.zarr", output}


def test_what_fits_is_filled_in_memory(files, model, monkeypatch):
    """There is one region, and the file is what the usual way writes: packed as it was."""
    monkeypatch.setattr(file_to_file, "stream", None)
    fill(files, model, "out.nc", memory="2GiB")
    with xr.open_dataset(files / "out.nc") as ds:
        assert ds.sst.encoding["dtype"] == np.dtype("int16")


def test_several_files_are_read_in_parts(files, model):
    """The result is that of the one file that they were cut from."""
    expected = fill(files, model, "whole.zarr")
    ds = opened(files / "in.nc")
    ds.isel(time=slice(0, 25)).to_netcdf(files / "a_1.nc")
    ds.isel(time=slice(25, None)).to_netcdf(files / "a_2.nc")
    assert_bits(fill(files, model, source="a_*.nc"), expected)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_and_resumed_the_bits_are_the_same(files, model, monkeypatch, seed):
    """Finished regions are not solved again, and nothing has the output's name before the end."""
    expected = fill(files, model, "expected.zarr")
    generator = np.random.default_rng(seed)
    for _ in range(30):
        with pytest.MonkeyPatch.context() as patch:
            killed_after(int(generator.integers(0, 30)), patch)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", Da4dvarWarning)
                    fill(files, model, resume=True)
                break
            except Killed:
                finished = {p.name for p in (files / ".out.zarr.da4dvar").glob("done-*")}
    else:
        pytest.fail("never came to an end")
    assert_bits(opened(files / "out.zarr"), expected)
    assert not list(files.glob(".*")), finished


def test_finished_regions_are_not_solved_again(files, model, monkeypatch):
    """The tiles solved in both runs are those of the field, and at most one more."""
    solved, original = [], schedulers.solve_tile

    def counted(model, job, number, done):
        solved.append(number)
        if len(solved) == 3:
            raise Killed
        return original(model, job, number, done)

    monkeypatch.setattr(schedulers, "solve_tile", counted)
    with pytest.raises(Killed):
        fill(files, model)
    fill(files, model, resume=True)
    assert len(solved) > 3
    assert len(solved) == len(set(solved)) + 1


@pytest.mark.parametrize(("owner", "name"), [(journal_module.np, "save"), (region_store, "write")])
@pytest.mark.parametrize("output", ["out.zarr", "out.nc"])
def test_a_full_disk_leaves_what_can_be_resumed(files, model, owner, name, output):
    """One line that says what to do, and the rest is solved once there is space."""
    expected, calls = fill(files, model, "expected.zarr"), []
    with pytest.MonkeyPatch.context() as patch:
        original = getattr(owner, name)

        def full(*arguments, **named):
            calls.append(1)
            if len(calls) > 1:
                raise OSError(28, "No space left on device")
            return original(*arguments, **named)

        patch.setattr(owner, name, full)
        with pytest.raises(DataError, match=r"No space left.*kept in \.out.*da4dvar.*--resume") as caught:
            fill(files, model, output)
    assert "\n" not in str(caught.value)
    assert not (files / output).exists()
    resumed = fill(files, model, output, resume=True)
    np.testing.assert_array_equal(resumed.sst, expected.sst)


def test_a_disk_that_is_full_at_the_very_end_loses_nothing(files, model, monkeypatch):
    """All regions are kept while the NetCDF file cannot be written; to go on solves none."""

    def full(ds, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xr.Dataset, "to_netcdf", full)
        with pytest.raises(DataError, match=r"No space left.*--resume"):
            fill(files, model, "out.nc")
    assert not (files / "out.nc").exists()
    monkeypatch.setattr(schedulers, "solve_tile", None)
    fill(files, model, "out.nc", resume=True)
    assert not list(files.glob(".*"))


@pytest.fixture
def interrupted(files, model):
    """in.nc, and a run to out.zarr that was killed."""
    with pytest.MonkeyPatch.context() as patch:
        killed_after(12, patch)
        with pytest.raises(Killed):
            fill(files, model)
    return files


def test_an_interrupted_run_is_not_forgotten_by_mistake(interrupted, model):
    """Neither --resume nor --overwrite: the user is to say which; the latter begins anew."""
    with pytest.raises(DataError, match=r"interrupted run is beside it.*--resume.*--overwrite"):
        fill(interrupted, model)
    fill(interrupted, model, overwrite=True)


def touched(files: Path, model) -> dict:
    later = os.stat(files / "in.nc").st_mtime_ns + 10**9
    os.utime(files / "in.nc", ns=(later, later))
    return {}


def shifted(files: Path, model) -> dict:
    ds = opened(files / "in.nc")
    ds.assign_coords(time=ds.time + np.timedelta64(1, "D")).to_netcdf(files / "in.nc")
    return {}


def longer(files: Path, model) -> dict:
    ds = opened(files / "in.nc")
    later = ds.assign_coords(time=ds.time + np.timedelta64(60, "D"))
    xr.concat([ds, later], "time").to_netcdf(files / "in.nc")
    return {}


def retrained(files: Path, model) -> dict:
    next(model.model.parameters()).data += 1e-6
    return {}


def rechunked(files: Path, model) -> dict:
    store = files / ".out.zarr.da4dvar" / "store.zarr"
    other = opened(store).load()
    other.drop_encoding().to_zarr(
        store, mode="w", zarr_format=3, consolidated=False, encoding={"sst": {"chunks": (1, 9, 8)}}
    )
    return {}


def moved(files: Path, model) -> dict:
    store = files / ".out.zarr.da4dvar" / "store.zarr"
    xr.Dataset(coords={"lat": np.arange(9.0)}).to_zarr(store, mode="a", consolidated=False)
    return {}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (touched, "source was written to, or is another file"),
        (shifted, "source has other coordinates .*time"),
        (longer, "source has other coordinates"),
        (retrained, "the model is not the one"),
        (lambda *_: {"keep_observed": True}, "keep_observed is True.*began with False"),
        (lambda *_: {"batch_size": 3}, "batch_size is 3.*began with 16"),
        (rechunked, r"store\.zarr: its chunks of 'sst'"),
        (moved, r"store\.zarr: its coordinate 'lat'"),
    ],
)
def test_a_run_is_resumed_as_it_began_or_not_at_all(interrupted, model, change, text):
    """Another source, model, option or store is noticed before anything is solved."""
    options = change(interrupted, model)
    with pytest.raises(DataError, match=text):
        fill(interrupted, model, resume=True, **options)
    assert (interrupted / ".out.zarr.da4dvar" / "plan.json").exists()


def test_a_second_run_is_refused(interrupted, model):
    """While the first has the journal, whatever the options."""
    with journal_module.Journal(interrupted / "out.zarr").locked():
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(DataError, match="another run is writing it"):
                fill(interrupted, model, **options)


def test_resuming_nothing_begins_and_says_so(files, model):
    """There need not have been a first run."""
    with pytest.warns(Da4dvarWarning, match="nothing to resume; the run begins"):
        fill(files, model, resume=True)


def test_an_output_that_is_there_stays_unless_it_is_to_be_replaced(files, model):
    """Also with --resume, where there is nothing to resume; --overwrite replaces it."""
    first = fill(files, model)
    for options in ({}, {"resume": True}):
        with pytest.raises(DataError, match="already exists"):
            fill(files, model, **options)
    assert_bits(fill(files, model, overwrite=True), first)


def test_a_batch_of_no_windows_is_refused(files, model):
    """Before anything is written."""
    with pytest.raises(DataError, match="batch_size is 0, expected 1 or more"):
        fill(files, model, batch_size=0)


def test_too_little_memory_says_the_least_that_would_do(files, model):
    """And that much does."""
    with pytest.raises(DataError, match="give at least --memory") as caught:
        fill(files, model, memory="10KB")
    fill(files, model, memory=str(caught.value).split()[-1])


def test_what_needs_all_data_at_once_is_refused_before_work(files, model):
    """An ensemble cannot be streamed yet: the message says what it would take."""
    with pytest.raises(DataError, match=r"an ensemble needs all of the data at once.*give --memory"):
        fill(files, model, members=2, memory="200KB")
    assert not list(files.glob(".*"))


def process(files: Path, model_path: Path, *options: str) -> subprocess.Popen:
    """The command line on a memory with room for a few days."""
    command = [sys.executable, "-m", "da4dvar", "interpolate", "in.nc", "out.zarr", "--quiet", *options]
    return subprocess.Popen(
        [*command, "--model", str(model_path), "--memory", "482MB"],
        cwd=files,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def kill_and_resume(files: Path, model_path: Path, moments: int, seed: int) -> None:
    """Kill as many runs, each a random time after its journal was there, and let the last come to its end."""
    whole = process(files, model_path)
    assert whole.wait(120) == 0
    expected = opened(files / "out.zarr")
    (files / "out.zarr").rename(files / "expected.zarr")
    generator, killed = np.random.default_rng(seed), 0
    plan = files / ".out.zarr.da4dvar" / "plan.json"
    for _ in range(moments):
        run = process(files, model_path, "--resume")
        before = len(list(plan.parent.glob("done-*")))
        while run.poll() is None and not (
            plan.exists() and len(list(plan.parent.glob("done-*"))) > min(before, 3)
        ):
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        killed += run.wait(60) == -signal.SIGKILL
        if (files / "out.zarr").exists():
            break
    assert killed
    if not (files / "out.zarr").exists():
        assert process(files, model_path, "--resume").wait(120) == 0
    assert_bits(opened(files / "out.zarr"), expected)


@pytest.fixture
def years(tmp_path):
    """A series of some years, so that a run takes a while."""
    gappy_sst(400).to_netcdf(tmp_path / "in.nc")
    return tmp_path


def test_a_killed_process_is_resumed(years, model_path):
    """SIGKILL, once."""
    kill_and_resume(years, model_path, 1, seed=0)


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(years, model_path):
    """SIGKILL, twenty times, at random moments of a run."""
    kill_and_resume(years, model_path, 20, seed=1)


def test_a_run_of_another_version_is_not_gone_on_with():
    """Its regions may have been made by other rules than the rest would be."""
    now = {"version": version("da4dvar"), "source": {}, "model": "m", "settings": {}}
    with pytest.raises(DataError, match=r"began with 0.0.1; go on with that one, or begin anew"):
        file_to_file.plan_of(now | {"version": "0.0.1"}, now)
