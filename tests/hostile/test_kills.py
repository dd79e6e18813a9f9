"""Processes that are killed: the output is the old one, or none, or the new one; never a half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hostile.door import content, environment
from hostile.verbs import OUTPUTS, arguments, prepare

import da4dvar
from da4dvar.fields.store import load_dataset, write_dataset

pytestmark = pytest.mark.hostile

# The system ends a process, without a word, with the byte by which one of its files becomes too large.
ENDED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
    "limit = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "import da4dvar.cli; da4dvar.cli.main()"
)


def whole(path: Path) -> bool:
    """Whether an output can be read to its end."""
    if path.suffix == ".safetensors":
        return da4dvar.load(path).signature is not None
    if path.suffix == ".html":
        return path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    return bool(load_dataset(path).sizes)


@pytest.mark.parametrize("size", [0, 1, 300, 3000])
@pytest.mark.parametrize("verb", OUTPUTS)
def test_ended_at_a_byte_of_the_write(tmp_path, model_path, verb, size):
    """The inputs and an output of before are as they were; beside them are hidden files at most."""
    prepare(tmp_path)
    output = tmp_path / OUTPUTS[verb]
    if output.suffix != ".zarr":
        output.write_text("older")
    before = content(tmp_path)
    options = ["--overwrite"] if output.exists() else []
    done = subprocess.run(
        [sys.executable, "-B", "-c", ENDED, str(size), *arguments(verb, model_path), *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        assert whole(output)
        return
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    after = {
        n: h for n, h in content(tmp_path).items() if not n.startswith((".", "out.safetensors.checkpoints"))
    }
    assert after == before


@pytest.mark.parametrize("verb", OUTPUTS)
def test_killed_at_any_moment(tmp_path, model_path, verb):
    """SIGKILL, at moments from the start to the end; what is left can be written over."""
    prepare(tmp_path)
    output = tmp_path / OUTPUTS[verb]
    command = [sys.executable, "-B", "-m", "da4dvar", *arguments(verb, model_path), "--overwrite"]
    resume = ["--resume"] if verb == "train" else []
    begun = time.monotonic()
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    lasted = time.monotonic() - begun
    old = content(output) if output.is_dir() else output.read_bytes()
    generator = np.random.default_rng(len(verb))
    for delay in lasted * np.sort(generator.uniform(0.4, 1.0, 4)):
        process = subprocess.Popen(
            [*command, *resume],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert output.exists()
        assert (content(output) if output.is_dir() else output.read_bytes()) == old or whole(output)
    again = subprocess.run(
        [*command, *resume], cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr
    assert whole(output)


def test_killed_between_the_two_renames_of_a_store(tmp_path):
    """A folder cannot be replaced in one step: in between, the old store has a hidden name, and is whole."""
    ds = load_dataset(written(tmp_path / "old.zarr"))
    replace = os.replace
    child = os.fork()
    if child == 0:

        def dying(source: str, target: str) -> None:
            replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

        os.replace = dying
        write_dataset(ds, tmp_path / "old.zarr", overwrite=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not (tmp_path / "old.zarr").exists()
    (kept,) = tmp_path.glob(".old.zarr.*.replaced")
    kept.rename(tmp_path / "again.zarr")
    assert load_dataset(tmp_path / "again.zarr").equals(ds)


def written(path: Path) -> Path:
    """A small store."""
    from examples import make_sst

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(make_sst(3), path)
    return path
