"""Files are filled in little memory, runs are resumed after a kill, and invalid requests are refused."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import streams
import xarray as xr
from door import ran
from examples import assert_bits, gappy_sst
from streams import opened

from da4dvar.errors import Da4dvarError, Da4dvarWarning, DataError
from da4dvar.fields.windows.grid import WindowGrid
from da4dvar.outofcore import interpolate_file as file_to_file
from da4dvar.outofcore import journal as journal_module
from da4dvar.outofcore import run as streamed
from da4dvar.outofcore import schedulers
from da4dvar.outofcore import store as region_store
from da4dvar.outofcore.identity import check_same
from da4dvar.outofcore.plan import Plan


class Killed(BaseException):
    """Stand-in for the end of a process, which nothing catches."""


@pytest.fixture
def files(tmp_path, little_memory):
    """Return a folder with in.nc and in.zarr, whose data exceed the memory."""
    ds = gappy_sst(60)
    ds.to_netcdf(tmp_path / "in.nc")
    ds.drop_encoding().to_zarr(tmp_path / "in.zarr", consolidated=False)
    return tmp_path


fill = partial(streams.fill, memory="400KB")


def killed_after(count: int, monkeypatch) -> None:
    """Make the process end at the `count`-th operation on the journal or the store."""
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
    """NetCDF and Zarr give the result of the computation in memory and leave no other files."""
    calls = []
    filled = fill(files, model, output, source, progress=lambda done, of: calls.append((done, of)))
    usual = model.interpolate(opened(files / source))
    xr.testing.assert_allclose(filled, usual, rtol=1e-4, atol=1e-4)
    for name, array in usual.data_vars.items():
        assert filled[name].attrs.keys() == array.attrs.keys()
    assert "sst interpolated by" in filled.attrs["history"]
    assert calls[-1] == (usual.prior_term.size, usual.prior_term.size)
    assert {p.name for p in files.iterdir()} == {"in.nc", "in.zarr", output}


def test_several_files_are_read_in_parts(files, model, monkeypatch):
    """Several files give the result of the whole; data that fit in memory are packed as in the input."""
    expected = fill(files, model, "whole.zarr")
    ds = opened(files / "in.nc")
    ds.isel(time=slice(0, 25)).to_netcdf(files / "a_1.nc")
    ds.isel(time=slice(25, None)).to_netcdf(files / "a_2.nc")
    assert_bits(fill(files, model, source="a_*.nc"), expected)
    monkeypatch.setattr(file_to_file, "stream", None)
    fill(files, model, "out.nc", memory="2GiB")
    with xr.open_dataset(files / "out.nc") as ds:
        assert ds.sst.encoding["dtype"] == np.dtype("int16")


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_and_resumed_the_bits_are_the_same(files, model, monkeypatch, seed):
    """A run that is killed and resumed gives the same bits, and the output appears at the end only."""
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
    """Both runs together solve each tile once, except for at most one."""
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
    """A full disk is reported in one line, and the run is resumed once there is space."""
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
    """If only the final NetCDF file cannot be written, resuming solves no tile."""

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
    """Return a folder with in.nc and a killed run to out.zarr."""
    with pytest.MonkeyPatch.context() as patch:
        killed_after(12, patch)
        with pytest.raises(Killed):
            fill(files, model)
    return files


def shifted(files: Path, model) -> dict:
    ds = opened(files / "in.nc")
    ds.assign_coords(time=ds.time + np.timedelta64(1, "D")).to_netcdf(files / "in.nc")
    return {}


def retrained(files: Path, model) -> dict:
    next(model.model.parameters()).data += 1e-6
    return {}


def rechunked(files: Path, model) -> dict:
    store, chunks = files / ".out.zarr.da4dvar" / "store.zarr", {"sst": {"chunks": (1, 9, 8)}}
    other = opened(store).drop_encoding()
    other.to_zarr(store, mode="w", zarr_format=3, consolidated=False, encoding=chunks)
    return {}


def moved(files: Path, model) -> dict:
    store = files / ".out.zarr.da4dvar" / "store.zarr"
    xr.Dataset(coords={"lat": np.arange(9.0)}).to_zarr(store, mode="a", consolidated=False)
    return {}


@pytest.mark.parametrize(("change", "text"), [
    (shifted, "source has other coordinates .*time"), (retrained, "the model is not the one"),
    (lambda *_: {"analysis": True}, "analysis is True.*began with False"),
    (lambda *_: {"batch_size": 3}, "batch_size is 3.*began with 16"),
    (rechunked, r"store\.zarr: its chunk size of 'sst'"), (moved, r"store\.zarr: its coordinate 'lat'"),
])  # fmt: skip
def test_a_run_is_resumed_as_it_began_or_not_at_all(interrupted, model, change, text):
    """A changed source, model, option or store is refused before anything is solved."""
    options = change(interrupted, model)
    with pytest.raises(DataError, match=text):
        fill(interrupted, model, resume=True, **options)
    assert (interrupted / ".out.zarr.da4dvar" / "plan.json").exists()


def test_a_second_run_is_refused(interrupted, model):
    """A second run is refused while the first lasts; later, it needs `resume` or `overwrite`."""
    with journal_module.Journal(interrupted / "out.zarr").locked():
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(DataError, match="another run is writing it"):
                fill(interrupted, model, **options)
    with pytest.raises(DataError, match=r"there is an interrupted run.*--resume.*--overwrite"):
        fill(interrupted, model)
    fill(interrupted, model, overwrite=True)


def test_an_output_that_is_there_stays_unless_it_is_to_be_replaced(files, model):
    """Resuming nothing starts with a warning; an existing output is replaced with `overwrite` only."""
    with pytest.warns(Da4dvarWarning, match="no interrupted run to resume; starting a new one"):
        first = fill(files, model, resume=True)
    for options in ({}, {"resume": True}):
        with pytest.raises(DataError, match="already exists"):
            fill(files, model, **options)
    assert_bits(fill(files, model, overwrite=True), first)


def test_too_little_memory_says_the_least_that_would_do(files, model):
    """The error gives the least memory, which then suffices; an ensemble needs memory for all data."""
    with pytest.raises(DataError, match=r"an ensemble needs all of the data at once.*give --memory"):
        fill(files, model, members=2, memory="200KB")
    assert not list(files.glob(".*"))
    with pytest.raises(DataError, match="give at least --memory") as caught:
        fill(files, model, memory="10KB")
    fill(files, model, memory=str(caught.value).split()[-1])


def test_a_plan_comes_back_for_the_same_version_only():
    """A run of another version and a broken plan are refused; lists in JSON are tuples again."""
    now = {"version": version("da4dvar"), "source": {}, "model": "m", "settings": {}}
    with pytest.raises(DataError, match=r"began with 0.0.1; continue with that version, or start over"):
        check_same(now | {"version": "0.0.1"}, now)
    plan = Plan(("time",), WindowGrid((9,), (6,), ((0, 3),)), (3,), (3,), 4)
    assert Plan.from_json(json.loads(json.dumps(asdict(plan)))) == plan
    for broken in ({}, {"grid": {"sizes": 1}}, {"grid": None}):
        with pytest.raises(DataError, match="plan of the interrupted run is broken; start over"):
            Plan.from_json(broken)


@pytest.mark.parametrize(("options", "message"), [
    ({"mask": xr.DataArray(1)}, "mask is of type DataArray, expected the name of a variable in the files"),
    ({"interval": 0.9}, "no calibration"), ({"members": 1}, "2 members or more"),
    ({"batch_size": 0}, "batch_size is 0, expected 1 or more"),
    ({"dim": "time"}, "dim is 'time', expected a mapping"),
    ({"model": 3}, "model is of type int, expected an Interpolator"),
])  # fmt: skip
def test_a_wrong_option_is_one_line_before_the_data_are_read(files, model, monkeypatch, options, message):
    """Nothing is opened, and nothing written."""
    monkeypatch.setattr(file_to_file, "open_in_parts", None)
    with pytest.raises(Da4dvarError, match=message):
        fill(files, options.pop("model", model), **options)


def command(model_path: Path) -> list[str]:
    """Arguments of a run with memory for a few days."""
    files = ["in.nc", "out.zarr", "--model", str(model_path)]
    return ["interpolate", *files, "--quiet", "--memory", "482MB"]


def process(files: Path, *arguments: str) -> subprocess.Popen:
    """Start the command line in a new process."""
    whole = [sys.executable, "-m", "da4dvar", *arguments]
    return subprocess.Popen(
        whole, cwd=files, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize("moments", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_processes_are_resumed(tmp_path, model_path, moments):
    """A run finishes after SIGKILL at random moments after it began."""
    gappy_sst(400).to_netcdf(tmp_path / "in.nc")
    output = tmp_path / "out.zarr"
    arguments = command(model_path)
    ran(*arguments, cwd=tmp_path)
    expected = opened(output)
    output.rename(tmp_path / "expected.zarr")
    generator, killed = np.random.default_rng(moments), 0
    plan = tmp_path / ".out.zarr.da4dvar" / "plan.json"
    for _ in range(moments):
        run = process(tmp_path, *arguments, "--resume")
        before = min(len(list(plan.parent.glob("done-*"))), 3)
        while run.poll() is None and not (plan.exists() and len(list(plan.parent.glob("done-*"))) > before):
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        killed += run.wait(60) == -signal.SIGKILL
        if output.exists():
            break
    assert killed
    if not output.exists():
        ran(*arguments, "--resume", cwd=tmp_path)
    assert_bits(opened(output), expected)
