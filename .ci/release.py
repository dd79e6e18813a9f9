"""Whether a version is ready to be published: a list with what is done and what is open.

python .ci/release.py [--without-install]

The archives are built from the commit, and are kept in dist/. The last check installs the wheel in an
environment of its own for every Python from 3.11 to 3.13 on this machine, which takes minutes.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ".ci/conda/recipe.yaml"
LARGEST = 10 * 10**6  # bytes
# Packages that conda-forge calls by another name, or splits.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "dask": "dask-core", "cf-xarray": "cf_xarray"}
BY_HAND = (
    "CI has passed on this commit (make test, make -j2 check)",
    "make slow, make oldest and make newest have passed since the last change of a dependency",
    "the changelog has been read as a user reads it",
    "the commit is tagged, and the archives in dist/ are those that are published",
    f"the feedstock has {RECIPE} with the url of the published archive and the sha256 above",
)
Check = tuple[str, list[str]]


def read(root: Path, path: str) -> str:
    """The text of a file of the project."""
    return (root / path).read_text(encoding="utf-8")


def versions(root: Path) -> dict[str, str]:
    """The version that each file states."""
    package = re.search(r'^__version__ = "([^"]+)"', read(root, "da4dvar/__init__.py"), re.MULTILINE)
    citation = re.search(r"^version: (\S+)$", read(root, "CITATION.cff"), re.MULTILINE)
    return {
        "pyproject.toml": tomllib.loads(read(root, "pyproject.toml"))["project"]["version"],
        "da4dvar/__init__.py": package[1] if package else "none",
        "CITATION.cff": citation[1] if citation else "none",
        RECIPE: str(yaml.safe_load(read(root, RECIPE))["context"]["version"]),
    }


def one_version(root: Path) -> list[str]:
    """What is wrong with the versions."""
    found = versions(root)
    if len(set(found.values())) == 1:
        return []
    return [f"{path} says {version}" for path, version in found.items()]


def changelog(root: Path) -> list[str]:
    """What is wrong with the changelog: its newest section is to be that of the version, with a date."""
    version = versions(root)["pyproject.toml"]
    first = re.search(r"^## (.+)$", read(root, "CHANGELOG.md"), re.MULTILINE)
    heading = first[1] if first else "nothing"
    if re.fullmatch(rf"{re.escape(version)}, \d{{4}}-\d\d-\d\d", heading):
        return []
    return [f"CHANGELOG.md begins with {heading!r}, expected '{version}, YYYY-MM-DD'"]


def requirements(root: Path) -> list[str]:
    """What the conda recipe and pyproject.toml require differently."""
    project = tomllib.loads(read(root, "pyproject.toml"))["project"]
    wanted = {f"python {project['requires-python']}"}
    for requirement in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w.-]+)(>=[\w.]+)", requirement).groups()
        wanted.add(f"{CONDA.get(name, name.lower())} {bound}")
    run = set(yaml.safe_load(read(root, RECIPE))["requirements"]["run"])
    lacking = [f"the recipe lacks {r}" for r in sorted(wanted - run)]
    return [*lacking, *(f"pyproject.toml lacks {r}" for r in sorted(run - wanted))]


def clean(root: Path) -> list[str]:
    """What of the work tree is not in the commit, and whether the version has a tag already."""
    changed = git(root, "status", "--porcelain").splitlines()
    tag = f"v{versions(root)['pyproject.toml']}"
    tagged = [f"there is a tag {tag} already; raise the version"] if git(root, "tag", "-l", tag) else []
    return [f"not committed: {line[3:]}" for line in changed] + tagged


def git(root: Path, *arguments: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def built(root: Path, dist: Path) -> list[Path]:
    """Build the archive of the sources from the commit and, from that archive alone, the wheel."""
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        git(root, "archive", "-o", f"{folder}/commit.tar", "--prefix", "commit/", "HEAD")
        sources = backend("build_sdist", unpacked(Path(folder) / "commit.tar", "commit"), dist)
        shutil.copy(sources, folder)
        inside = sources.name.removesuffix(".tar.gz")
        wheel = backend("build_wheel", unpacked(Path(folder) / sources.name, inside), dist)
    return [sources, wheel]


def unpacked(archive: Path, inside: str) -> Path:
    """Unpack an archive where it is; return the folder that it holds."""
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent, filter="data")
    return archive.parent / inside


def backend(what: str, source: Path, dist: Path) -> Path:
    """Call a function of the build backend in a folder of sources; return the file that it makes."""
    code = "import sys, setuptools.build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"
    command = [sys.executable, "-c", code, what, str(dist.resolve())]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return dist / done.stdout.splitlines()[-1]


def complete(root: Path, wheel: Path) -> list[str]:
    """What is wrong with the wheel: its size, and modules or models that it lacks."""
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = git(root, "ls-files", "da4dvar").split()
    lacking = [f"{wheel.name} lacks {file}" for file in listed if file not in names]
    size = wheel.stat().st_size
    large = f"{wheel.name} has {size / 1e6:.1f} MB, expected less than {LARGEST / 1e6:.0f} MB"
    return [*lacking, *([large] if size >= LARGEST else [])]


def installs(root: Path) -> list[str]:
    """What fails when the wheel is installed and used where no path leads to the checkout."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "tests/test_wheel.py"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else done.stdout.strip().splitlines()[-5:]


def checks(root: Path, install: bool) -> Iterator[Check]:
    """Yield each check with what is open."""
    yield "one version everywhere", one_version(root)
    yield "the changelog has a section of this version", changelog(root)
    yield "the conda recipe requires what pyproject.toml requires", requirements(root)
    yield "the work tree is the commit, which has no tag yet", clean(root)
    paths = built(root, root / "dist")
    yield "the wheel is complete and small", complete(root, paths[-1])
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"      dist/{path.name}, {path.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
    if install:
        yield "the wheel works outside the checkout", installs(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=ast.get_docstring(ast.parse(read(ROOT, ".ci/release.py"))))
    parser.add_argument("--without-install", action="store_true", help="leave out the last, slow check")
    install = not parser.parse_args().without_install
    open_ones = 0
    for name, wrong in checks(ROOT, install):
        print(f"[{' ' if wrong else 'x'}] {name}")
        for line in wrong:
            print(f"      {line}")
        open_ones += bool(wrong)
    print("By hand:")
    for line in BY_HAND:
        print(f"[ ] {line}")
    raise SystemExit(f"{open_ones} open" if open_ones else 0)


if __name__ == "__main__":
    main()
