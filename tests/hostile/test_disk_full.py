"""A full disk: no verb leaves incomplete output, and earlier output is kept."""

import resource
import shutil
import signal

import pytest
from door import begun, content, ended
from hostile.verbs import OUTPUTS, arguments, prepare

pytestmark = pytest.mark.hostile

# Approximate size in bytes of the largest file that each verb writes.
LARGEST = {"interpolate to zarr": 1000, "gaps": 1000, "train": 20_000}


def full(limit):
    """Make writing fail beyond a file size, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.6])
@pytest.mark.parametrize("verb", OUTPUTS)
def test_a_full_disk(tmp_path, model_path, verb, part, earlier):
    """The error has one line and exit code 2, and an earlier output is unchanged."""
    prepare(tmp_path)
    output = OUTPUTS[verb]
    if earlier and output.endswith(".zarr"):
        (tmp_path / output).mkdir()
        (tmp_path / output / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    elif earlier:
        (tmp_path / output).write_text("older")
    before = content(tmp_path)
    limit, options = int(part * LARGEST.get(verb, 8000)), ["--overwrite"] if earlier else []
    if "interpolate" in verb:
        options += ["--quiet"]  # notes would fill the small disk before the output does
    child = begun(*arguments(verb, model_path), *options, cwd=tmp_path, limit=lambda: full(limit))
    said = ended(child, tmp_path)
    assert said.code == 2, said
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("error: ")
    shutil.rmtree(tmp_path / "out.safetensors.checkpoints", ignore_errors=True)
    assert content(tmp_path) == before


def test_a_training_that_is_stopped_by_a_full_disk_goes_on(tmp_path, model_path):
    """The training continues once there is space again."""
    prepare(tmp_path)
    command = arguments("train", model_path)
    said = ended(begun(*command, cwd=tmp_path, limit=lambda: full(4000)), tmp_path)
    assert said.code == 2
    assert "--resume" in said.err
    again = ended(begun(*command, "--resume", cwd=tmp_path), tmp_path)
    assert again.code == 0, again
    assert (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", ["recipe", "model"])
def test_what_fit_writes_beside_its_output(tmp_path, model, monkeypatch, name):
    """The recipe and the model are complete or absent."""
    from da4dvar.workflows.autofit.fill import write_recipe

    path = tmp_path / "x.toml"
    path.write_text("older")

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text" if name == "recipe" else "pathlib.Path.write_bytes", fails)
    with pytest.raises(ValueError, match="could not be written"):
        write_recipe({"title": "x"}, path) if name == "recipe" else model.save(path)
    monkeypatch.undo()
    assert ([p.name for p in tmp_path.iterdir()], path.read_text()) == (["x.toml"], "older")
