"""A disk that is full: no verb leaves half of anything, and what was there before stays."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from hostile.door import content, environment
from hostile.verbs import OUTPUTS, arguments, prepare

pytestmark = pytest.mark.hostile

# A file that grows beyond the limit fails to, as on a full disk.
LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "limit = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "import da4dvar.cli; da4dvar.cli.main()"
)
SMALLEST = {"interpolate to zarr": 500, "gaps": 500}


def run(folder, limit, verb, model, *options):
    """A verb, in a process whose files may have so many bytes."""
    return subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(limit), *arguments(verb, model), *options],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("part", [0, 0.5])
@pytest.mark.parametrize("verb", OUTPUTS)
def test_a_full_disk(tmp_path, model_path, verb, part, earlier):
    """One line and exit code 2; a file of before is as it was."""
    prepare(tmp_path)
    output = OUTPUTS[verb]
    if earlier and output.endswith(".zarr"):
        (tmp_path / output).mkdir()
        (tmp_path / output / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    elif earlier:
        (tmp_path / output).write_text("older")
    before = content(tmp_path)
    limit = int(part * (SMALLEST.get(verb, 4000)))
    done = run(tmp_path, limit, verb, model_path, *(["--overwrite"] if earlier else []))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    shutil.rmtree(tmp_path / "out.safetensors.checkpoints", ignore_errors=True)
    assert content(tmp_path) == before


def test_a_training_that_is_stopped_by_a_full_disk_goes_on(tmp_path, model_path):
    """Once there is space again."""
    prepare(tmp_path)
    done = run(tmp_path, 4000, "train", model_path)
    assert done.returncode == 2
    assert "--resume" in done.stderr
    again = run(tmp_path, 10**9, "train", model_path, "--resume")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out.safetensors").exists()
