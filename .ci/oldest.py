"""The oldest versions that pyproject.toml allows, as constraints for pip.

python .ci/oldest.py > oldest.txt

Of torch there are builds for the CPU and others of gigabytes: it stays the one that constraints.txt names.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("test",)


def lower_bounds(project: dict) -> dict[str, str]:
    """The version behind the `>=` of each requirement of the package and of its tests."""
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(r for extra in EXTRAS for r in extras[extra])]
    found: dict[str, str] = {}
    for requirement in requirements:
        name, version = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
        if found.setdefault(name, version) != version:
            raise SystemExit(f"{name} has two lower bounds: {found[name]} and {version}")
    return found


def pinned() -> dict[str, str]:
    """What constraints.txt pins."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, version in (lower_bounds(project) | pinned()).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
