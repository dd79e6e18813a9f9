"""The table of docs/dependencies.md: what the package needs to run, by which licence.

python .ci/licences.py

Run with the Python of an environment where the package is installed: it reads what is installed there.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement


def needed(name: str) -> list[str]:
    """The names of what a distribution needs on this machine, without its extras."""
    requirements = map(Requirement, distribution(name).requires or [])
    return [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]


def licence(name: str) -> str:
    """The licence that a distribution states: an expression, a classifier, or the first line of a text."""
    metadata = distribution(name).metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    if named := [c.rpartition(" :: ")[2] for c in classifiers if c != "License :: OSI Approved"]:
        return ", ".join(named)
    return (metadata.get("License") or "not stated").strip().splitlines()[0]


def rows() -> dict[str, list[str]]:
    """Every distribution that is needed, with its licence and with what needs it, the direct ones first."""
    found: dict[str, list[str]] = {}
    waiting = [(name, "da4dvar") for name in needed("da4dvar")]
    while waiting:
        name, by = waiting.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = [distribution(name).version, licence(name), by]
        except PackageNotFoundError:
            continue  # for another platform
        waiting += [(other, key) for other in needed(name)]
    return found


def main() -> None:
    print("| package | version | licence | needed by |\n|---|---|---|---|")
    for name, (version, stated, by) in rows().items():
        print(f"| {name} | {version} | {stated} | {by} |")


if __name__ == "__main__":
    main()
