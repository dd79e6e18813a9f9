"""What the package says of what it needs."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

import da4dvar

ROOT = Path(da4dvar.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LISTED = dict(
    re.findall(
        r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
)
COPYLEFT = re.compile(r"\bA?GPL|General Public License", re.IGNORECASE)


def names(requirements: list[str]) -> set[str]:
    """The names of requirements, as package indices write them."""
    return {re.match(r"[\w.-]+", r).group().lower().replace("_", "-") for r in requirements}


def test_every_dependency_is_listed_with_its_licence() -> None:
    """In docs/dependencies.md, which a command makes; and none binds those who use the package."""
    assert names(PROJECT["dependencies"]) <= set(LISTED)
    assert not [name for name, licence in LISTED.items() if COPYLEFT.search(licence)]


def test_the_package_is_under_its_licence() -> None:
    """The same in the metadata, the citation and the text."""
    assert PROJECT["license"] == "Apache-2.0"
    assert "license: Apache-2.0" in (ROOT / "CITATION.cff").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert f"version: {da4dvar.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert PROJECT["version"] == da4dvar.__version__


@pytest.fixture
def oldest() -> dict:
    """What .ci/oldest.py defines."""
    return runpy.run_path(str(ROOT / ".ci/oldest.py"))


def test_the_oldest_versions_are_the_lower_bounds(oldest: dict, capsys: pytest.CaptureFixture) -> None:
    """Of everything that the package and its tests need, but for what constraints.txt pins."""
    oldest["main"]()
    lines = capsys.readouterr().out.split()
    wanted = names([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    assert {line.partition("==")[0].lower() for line in lines} == wanted
    assert (ROOT / "constraints.txt").read_text().strip() in lines
    assert all(f"{n}>={v}" in PROJECT["dependencies"] for n, v in [lines[1].split("==")])


def test_two_bounds_for_one_name_are_no_bound(oldest: dict) -> None:
    """An extra that asks for less than the package would hide what was tested."""
    project = {"dependencies": ["a>=2.0"], "optional-dependencies": {"test": ["a>=1.0"]}}
    with pytest.raises(SystemExit, match=r"a has two lower bounds: 2\.0 and 1\.0"):
        oldest["lower_bounds"](project)
