"""Files that are not recipes, and paths that are not files."""

import os

import numpy as np
import pytest
from door import limits, refused
from examples import RECIPE, make_sst

from da4dvar.config.tables import read_recipe
from da4dvar.errors import RecipeError

pytestmark = pytest.mark.hostile

TEXTS = {
    "empty": b"", "binary": bytes(range(256)), "zeros": bytes(1000), "utf-16": "title = 'x'".encode("utf-16"),
    "latin-1": "title = 'å'".encode("latin-1"), "half a line": b"[data",
    "a key twice": b"[data]\npath = 'a'\npath = 'b'\n", "a table twice": b"[data]\n[data]\n",
    "deep lists": b"a = " + b"[" * 100_000, "deep lists that end": b"a = " + b"[" * 400 + b"]" * 400,
    "deep tables": b"a = " + b"{b=" * 100_000, "a long key": b"a" + b".a" * 100_000 + b" = 1",
    "many long keys": b"".join(b"x%d" % k + b".a" * 99 + b" = 1\n" for k in range(2000)),
    "a long header": b"[a" + b".a" * 100_000 + b"]", "a long number": b"a = " + b"1" * 100_000,
    "a long text": b"title = '" + b"x" * 2**20 + b"'", "a date that is none": b"a = 2001-13-45",
    "only a title": b"title = 'x'", "json": b'{"data": {}}', "yaml": b"data:\n  path: a\n",
    "infinite": b"a = inf\nb = nan",
}  # fmt: skip

SETTINGS = [
    "", "=", "a", ".=1", "a.b.c.d=1", "train" + ".x" * 5000 + "=1", "train.steps=" + "1" * 5000,
    "train.steps=" + "[" * 5000, "train.steps=-1", "train.steps=nan", "train.batch=1e400", "train=5",
]  # fmt: skip


@pytest.mark.parametrize("what", TEXTS)
def test_what_is_no_recipe(files, what):
    """The error has one line, whatever the bytes."""
    (files / "r.toml").write_bytes(TEXTS[what])
    refused("train", "r.toml", "-o", "m.safetensors", cwd=files)


@pytest.mark.parametrize("seed", range(20))
def test_a_recipe_with_noise_in_it(tmp_path, seed):
    """Bytes are changed, inserted or removed a hundred times."""
    generator = np.random.default_rng(seed)
    whole = RECIPE.format(steps=0).encode()
    path = tmp_path / "r.toml"
    for _ in range(100):
        at, length = generator.integers(len(whole)), generator.integers(0, 8)
        path.write_bytes(whole[:at] + generator.bytes(generator.integers(0, 8)) + whole[at + length :])
        try:
            with limits():
                read_recipe(path)
        except RecipeError as error:
            said = str(error)
            assert "\n" not in said


@pytest.mark.parametrize("end", range(0, 700, 35))
def test_a_recipe_cut_short(files, end):
    """A recipe truncated after some characters is refused."""
    (files / "r.toml").write_bytes(RECIPE.format(steps=0).encode()[:end])
    refused("train", "r.toml", "-o", "m.safetensors", cwd=files)


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "pipe", "long name", "below a file", "device", "closed"]
)
def test_a_path_that_is_no_recipe(files, kind):
    """A pipe is not waited for, and a device is not read to its end."""
    paths = {"long name": "x" * 5000 + ".toml", "below a file": "gappy.nc/r.toml", "device": "/dev/zero"}
    path = files / "r.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "closed":
        path.symlink_to(path)
    refused("train", paths.get(kind, "r.toml"), "-o", "m.safetensors", cwd=files)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s[:20])
def test_a_setting_that_is_none(files, setting):
    """Settings of `--set` are checked like the file."""
    make_sst(70).to_netcdf(files / "truth.nc")
    (files / "r.toml").write_text(RECIPE.format(steps=0))
    refused("train", "r.toml", "-o", "m.safetensors", "--set", setting, cwd=files)
