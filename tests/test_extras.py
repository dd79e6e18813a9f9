"""Everything that the package imports is installed with it, or by an extra."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import da4dvar

PACKAGE = Path(da4dvar.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# xarray brings pandas; the contract tests are for those who have pytest.
ELSEWHERE = {"pandas", "pytest"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, at its head or within a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"da4dvar"}


def normal(name: str) -> str:
    """The name of a distribution as package indices write it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name).group()).lower()


def test_a_plain_installation_has_everything_but_dask_distributed() -> None:
    """`--fit` works after `pip install da4dvar`; without the extra, `errors.need` names it."""
    required = {normal(requirement) for requirement in PROJECT["dependencies"]}
    distributions = packages_distributions()
    missing = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in imported(path) - ELSEWHERE
        if not required & {normal(d) for d in distributions[name]}
    }
    assert missing == {"distributed"} <= set(PROJECT["optional-dependencies"])
