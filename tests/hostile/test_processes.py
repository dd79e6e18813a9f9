"""Selected broken files in separate processes: exit code, one line, time and memory."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time

import pytest
from examples import make_sst
from hostile.models import changed, put
from hostile.verbs import prepare

pytestmark = pytest.mark.hostile

SECONDS, BYTES = 60, 1.2e9
FILL = ["interpolate", "gappy.nc", "out.nc", "--model"]


def process(folder, *arguments):
    """Run a command and return exit code, standard error, seconds and maximum memory."""
    begun = time.monotonic()
    with (folder.parent / "err").open("w+") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "da4dvar", *map(str, arguments)],
            cwd=folder,
            stdout=err,
            stderr=err,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return child.returncode, err.read(), time.monotonic() - begun, usage.ru_maxrss * 1024


def trap(folder, model):
    """Write a pickle that would create a file when loaded."""

    class Trap:
        def __reduce__(self):
            return (open, (str(folder / "sprung"), "w"))

    (folder / "m.safetensors").write_bytes(pickle.dumps(Trap()))
    return [*FILL, "m.safetensors"]


def cut(folder, model):
    """Write half a model file."""
    (folder / "m.safetensors").write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    return [*FILL, "m.safetensors"]


def flipped(folder, model):
    """Write a model file with one flipped bit in a weight."""
    whole = bytearray(model.read_bytes())
    whole[-2] ^= 1
    (folder / "m.safetensors").write_bytes(whole)
    return [*FILL, "m.safetensors"]


def endless(folder, model):
    """Write a model with a thousand million iterations."""
    changed(model, folder / "m.safetensors", lambda h: put(h, ("solver", "iterations"), 10**9))
    return [*FILL, "m.safetensors"]


def wide(folder, model):
    """Write a recipe whose network would take terabytes."""
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace("width = 4", "width = 400_000", 1))
    return ["train", "recipe.toml", "-o", "out.safetensors"]


def deep(folder, model):
    """Write a recipe that consists of brackets."""
    (folder / "recipe.toml").write_text("a = " + "[" * 100_000)
    return ["train", "recipe.toml", "-o", "out.safetensors"]


def empty(folder, model):
    """Write an empty data set."""
    (folder / "gappy.nc").write_bytes(b"")
    return [*FILL, model]


def pipe(folder, model):
    """Create a pipe without a writer as the data set."""
    (folder / "gappy.nc").unlink()
    os.mkfifo(folder / "gappy.nc")
    return [*FILL, model]


def units(folder, model):
    """Write units with an endless number."""
    ds = make_sst(12)
    ds.sst.attrs["units"] = "9**9**9**9**9"
    ds.to_netcdf(folder / "gappy.nc")
    return [*FILL, model]


def series(folder, model):
    """Ask for a simulation larger than the memory."""
    return ["simulate", "lorenz96", "out.nc", "--series", "1000000000000"]


@pytest.mark.parametrize("case", [trap, cut, flipped, endless, wide, deep, empty, pipe, units, series])
def test_a_process(tmp_path, model_path, case):
    """The command ends with one line and exit code 2, quickly, and nothing is written or executed."""
    prepare(tmp_path)
    arguments = case(tmp_path, model_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    code, said, seconds, memory = process(tmp_path, *arguments)
    assert code == 2, said
    assert len(said.splitlines()) == 1, said
    assert said.startswith("error: ")
    assert seconds < SECONDS
    assert memory < BYTES
    assert sorted(p.name for p in tmp_path.iterdir()) == before
