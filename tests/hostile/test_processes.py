"""Selected broken files in separate processes: exit code, one line, time and memory."""

import os
import pickle
import time

import pytest
from door import BYTES, begun, ended
from examples import make_sst
from hostile.models import changed, put
from hostile.verbs import prepare

pytestmark = pytest.mark.hostile

SECONDS = 60
CASES = [
    "a pickle", "half a model", "a flipped bit", "endless iterations", "a network of terabytes",
    "nothing but brackets", "no bytes", "a pipe", "units without end", "a simulation larger than any memory",
]  # fmt: skip


class Trap:
    """What would leave a file behind if a pickle of it were loaded."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


def made(case, folder, model):
    """Put a broken file in a folder, and return the command that reads it."""
    weights, recipe = model.read_bytes(), (folder / "recipe.toml").read_text()
    if case == "a pipe":
        (folder / "gappy.nc").unlink()
        os.mkfifo(folder / "gappy.nc")
    if case == "a simulation larger than any memory":
        return ["simulate", "lorenz96", "out.nc", "--series", "1000000000000"]
    broken = {
        "a pickle": pickle.dumps(Trap()),
        "half a model": weights[: len(weights) // 2],
        "a flipped bit": weights[:-2] + bytes([weights[-2] ^ 1]) + weights[-1:],
    }
    recipes = {
        "a network of terabytes": recipe.replace("width = 4", "width = 400_000", 1),
        "nothing but brackets": "a = " + "[" * 100_000,
    }
    if case in broken:
        (folder / "m.safetensors").write_bytes(broken[case])
    elif case == "endless iterations":
        changed(model, folder / "m.safetensors", lambda h: put(h, ("solver", "iterations"), 10**9))
    elif case in recipes:
        (folder / "recipe.toml").write_text(recipes[case])
        return ["train", "recipe.toml", "-o", "out.safetensors"]
    elif case == "no bytes":
        (folder / "gappy.nc").write_bytes(b"")
    elif case == "units without end":
        ds = make_sst(12)
        ds.sst.attrs["units"] = "9**9**9**9**9"
        ds.to_netcdf(folder / "gappy.nc")
    known = (folder / "m.safetensors").exists()
    return ["interpolate", "gappy.nc", "out.nc", "--model", "m.safetensors" if known else model]


@pytest.mark.parametrize("case", CASES)
def test_a_process(tmp_path, model_path, case):
    """The command ends with one line and exit code 2, quickly, and nothing is written or executed."""
    prepare(tmp_path)
    arguments = made(case, tmp_path, model_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    # What a process shares with this one is part of its memory.
    shared = ended(begun("inspect", "gone.nc", cwd=tmp_path), tmp_path).memory
    start = time.monotonic()
    said = ended(begun(*arguments, cwd=tmp_path), tmp_path)
    assert (said.code, said.out) == (2, ""), said
    assert len(said.err.splitlines()) == 1, said
    assert said.err.startswith("error: ")
    assert time.monotonic() - start < SECONDS
    assert said.memory < shared + BYTES
    assert sorted(p.name for p in tmp_path.iterdir()) == before
