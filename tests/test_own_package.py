"""The tutorial on a package of one's own is done as it is written, from its empty folder on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import da4dvar
from da4dvar.config import kinds

ROOT = Path(da4dvar.__file__).parents[1]
BLOCK = re.compile(r"^```\{code-block\} \w+\n:caption: (.+?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall((ROOT / "docs/tutorials/own-package.md").read_text("utf-8")))


def run(command: str, folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """A command of the tutorial in a new interpreter, with da4dvar and some folders to import from."""
    line = [sys.executable, "-m", *command.split()]
    known = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path))), "PYTHONSAFEPATH": "1"}
    return subprocess.run(line, cwd=folder, env=known, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    """The author's folder, and a folder of its own in which the package is installed."""
    folder, site = tmp_path_factory.mktemp("smoothing"), tmp_path_factory.mktemp("site")
    for name in ("pyproject.toml", "smoothing.py", "recipe.toml"):
        (folder / name).write_text(BLOCKS[name], encoding="utf-8")
    once = BLOCKS["once"].strip().replace(" -e .", f" --no-index --target {site} .")
    for line in (once, *BLOCKS["the author"].splitlines()):
        done = run(line, folder, site)
        assert done.returncode == 0, done.stderr
    return folder, site


def test_a_colleague_with_the_package_fills_a_file(author):
    """In a new interpreter, by the entry point alone: nothing registers the class."""
    folder, site = author
    done = run(BLOCKS["the colleague"].strip(), folder, site)
    assert done.returncode == 0, done.stderr
    assert (folder / "filled.nc").exists()


@pytest.fixture
def copied(author, tmp_path):
    """A folder with the module alone: it can be imported, but nothing names it."""
    shutil.copy(author[0] / "smoothing.py", tmp_path)
    return tmp_path


def test_a_colleague_without_it_is_told_what_is_missing(author, copied):
    """In the line that the page shows, though the module itself lies there to be imported."""
    folder, _ = author
    done = run(BLOCKS["the colleague"].strip().replace("filled.nc", "none.nc"), folder, copied)
    assert (done.stderr, done.returncode) == (BLOCKS["without the package"], 2)
    assert not (folder / "none.nc").exists()


def test_what_is_registered_loads_without_an_installation(author, copied, monkeypatch):
    """The last block of the page."""
    monkeypatch.syspath_prepend(copied)
    monkeypatch.setattr(kinds, "REGISTERED", {section: {} for section in kinds.KINDS})
    exec(BLOCKS["register"], {})
    prior = da4dvar.load(author[0] / "smooth.safetensors").model.cost.prior
    assert type(prior) is sys.modules["smoothing"].Smooth
    monkeypatch.delitem(sys.modules, "smoothing")
