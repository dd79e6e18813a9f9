"""Killed processes leave the old output, no output, or the complete new output."""

import os
import resource
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from door import begun, content, ended
from examples import make_sst
from hostile.verbs import OUTPUTS, arguments, prepare

import da4dvar
from da4dvar.fields.files.store import load_dataset, write_dataset

pytestmark = pytest.mark.hostile


def ended_at(size: int) -> None:
    """Let the system end this process when a file exceeds a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def whole(path: Path) -> bool:
    """Whether an output can be read completely."""
    if path.suffix == ".safetensors":
        return da4dvar.load(path).signature is not None
    if path.suffix == ".html":
        return path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    return bool(load_dataset(path).sizes)


def bytes_of(path: Path) -> object:
    """Return the content of a file or store."""
    return content(path) if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("size", [200, 600, 3000, 9000])
@pytest.mark.parametrize("verb", OUTPUTS)
def test_ended_at_a_byte_of_the_write(tmp_path, model_path, verb, size):
    """Inputs and earlier output are unchanged, and only hidden files are left."""
    prepare(tmp_path)
    output = tmp_path / OUTPUTS[verb]
    if output.suffix != ".zarr":
        output.write_text("older")
    before = content(tmp_path)
    options = ["--overwrite"] if output.exists() else []
    child = begun(*arguments(verb, model_path), *options, cwd=tmp_path, limit=lambda: ended_at(size))
    said = ended(child, tmp_path)
    if said.code == 0:
        assert whole(output)
        return
    assert said.code == -signal.SIGXFSZ, said
    after = content(tmp_path)
    left = (".", "out.safetensors.checkpoints")
    assert {name: found for name, found in after.items() if not name.startswith(left)} == before


@pytest.mark.parametrize("verb", OUTPUTS)
def test_killed_at_any_moment(tmp_path, model_path, verb):
    """After SIGKILL at any time of a run, the output can be written again."""
    prepare(tmp_path)
    output = tmp_path / OUTPUTS[verb]
    command = [*arguments(verb, model_path), "--overwrite"]
    start = time.monotonic()
    first = ended(begun(*command, cwd=tmp_path), tmp_path)
    assert first.code == 0, first
    lasted, old = time.monotonic() - start, bytes_of(output)
    command += ["--resume"] if verb == "train" else []
    generator, killed = np.random.default_rng(len(verb)), 0
    # One moment in each third of a run: the first, which loads libraries from disk, may be slower.
    for delay in lasted * (np.array([0.1, 0.4, 0.7]) + 0.3 * generator.random(3)):
        child = begun(*command, cwd=tmp_path)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        killed += ended(child, tmp_path).code == -signal.SIGKILL
        if verb.endswith("zarr") and not output.exists():
            # The process ends between the two renames of a store.
            assert list(tmp_path.glob(f".{output.name}.*.replaced"))
            continue
        assert bytes_of(output) == old or whole(output)
    assert killed
    again = ended(begun(*command, cwd=tmp_path), tmp_path)
    assert again.code == 0, again
    assert whole(output)


def test_killed_between_the_two_renames_of_a_store(tmp_path):
    """Between both renames, the old store is complete under a hidden name."""
    path, replace = tmp_path / "old.zarr", os.replace
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(make_sst(3), path)
        ds = load_dataset(path)
        child = os.fork()
        if child == 0:

            def dying(source: str, target: str) -> None:
                replace(source, target)
                if str(target).endswith(".replaced"):
                    os.kill(os.getpid(), signal.SIGKILL)

            os.replace = dying
            write_dataset(ds, path, overwrite=True)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not path.exists()
    (kept,) = tmp_path.glob(".old.zarr.*.replaced")
    kept.rename(tmp_path / "again.zarr")
    assert load_dataset(tmp_path / "again.zarr").equals(ds)
