"""What the package says of what it needs."""

import ast
import re
import runpy
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import da4dvar

ROOT = Path(da4dvar.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROW = re.compile(r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|", re.MULTILINE)
LISTED = dict(ROW.findall((ROOT / "docs/dependencies.md").read_text()))
# xarray brings pandas; the contract tests are for those who have pytest.
ELSEWHERE = {"pandas", "pytest", "da4dvar"}
COPYLEFT = re.compile(r"\bA?GPL|General Public License", re.IGNORECASE)


def names(requirements: list[str]) -> set[str]:
    """The names of requirements, as package indices write them."""
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", r).group()).lower() for r in requirements}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, at its head or within a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


def test_a_plain_installation_has_everything_but_two_extras():
    """Filling a file works after `pip install da4dvar`; without an extra, `errors.need` names it."""
    required, brought_by = names(PROJECT["dependencies"]), packages_distributions()
    used = set.union(*map(imported, (ROOT / "da4dvar").rglob("*.py"))) - ELSEWHERE
    missing = {name for name in used if not required & names(brought_by.get(name, [name]))}
    assert missing == {"distributed", "statsmodels"} <= set(PROJECT["optional-dependencies"])


def test_every_dependency_is_listed_with_its_licence():
    """Dependencies are listed, none is copyleft, and the package's licence is the same everywhere."""
    assert names(PROJECT["dependencies"]) <= set(LISTED)
    assert not [name for name, licence in LISTED.items() if COPYLEFT.search(licence)]
    assert PROJECT["license"] == "Apache-2.0"
    citation = (ROOT / "CITATION.cff").read_text()
    assert "license: Apache-2.0" in citation
    assert f"version: {da4dvar.__version__}\n" in citation
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["version"] == da4dvar.__version__


@pytest.fixture
def oldest():
    """What .ci/oldest.py defines."""
    return runpy.run_path(str(ROOT / ".ci/oldest.py"))


def test_the_oldest_versions_are_the_lower_bounds(oldest, capsys):
    """All requirements have one lower bound each, except what constraints.txt pins."""
    oldest["main"]()
    lines = capsys.readouterr().out.split()
    wanted = names([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    assert {line.partition("==")[0].lower() for line in lines} == wanted
    assert (ROOT / "constraints.txt").read_text().strip() in lines
    assert lines[1].replace("==", ">=") in PROJECT["dependencies"]
    project = {"dependencies": ["a>=2.0"], "optional-dependencies": {"test": ["a>=1.0"]}}
    with pytest.raises(SystemExit, match=r"a has two lower bounds: 2\.0 and 1\.0"):
        oldest["lower_bounds"](project)
