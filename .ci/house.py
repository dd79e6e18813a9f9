"""The floors of the package: what each part is for, and what it imports.

python .ci/house.py

Imports go down only, those under TYPE_CHECKING and within functions included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "da4dvar"
# From the ground up; parts of one floor do not know of each other.
FLOORS = (
    ("errors", "progress"),
    ("layout",),
    ("fields", "variational"),
    ("baselines",),
    ("simulate", "testing"),
    ("config",),
    ("analysis",),
    ("training", "modelfile"),
    ("interpolator",),
    ("api",),
    ("evaluation", "outofcore"),
    ("workflows",),
    ("accessor",),
    ("cli",),
)
Graph = dict[str, set[str]]


def name_of(file: Path, package: Path) -> str:
    """The dotted name of a module below the package; a package's own is that of its folder."""
    parts = file.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path, modules: set[str]) -> Iterator[str]:
    """The modules of the package that a file imports anywhere, as dotted names below the package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "da4dvar":
                # `from da4dvar.a import b` may name a module a.b, or something within a.
                yield rest if rest in modules else rest.rpartition(".")[0]


def module_graph(package: Path = PACKAGE) -> Graph:
    """What each module imports, for all modules but the top of the package itself."""
    files = {name_of(file, package): file for file in sorted(package.rglob("*.py"))}
    modules = set(files)
    return {m: {i for i in imported(f, modules) if i and i != m} for m, f in files.items() if m}


def part_graph(modules: Graph) -> Graph:
    """The same between the parts: the packages and the modules at the top."""
    parts: Graph = {}
    for module, imports in modules.items():
        part = module.split(".")[0]
        parts.setdefault(part, set()).update(i.split(".")[0] for i in imports if i.split(".")[0] != part)
    return parts


def upward(parts: Graph) -> list[str]:
    """Imports that do not go down, as "part -> part"."""
    floor = {part: number for number, floor in enumerate(FLOORS) for part in floor}
    floor["__main__"] = len(FLOORS)
    unknown = [f"{part} stands on no floor" for part in parts if part not in floor]
    return unknown + [
        f"{part} -> {other}"
        for part, others in sorted(parts.items())
        for other in sorted(others)
        if part in floor and other in floor and floor[other] >= floor[part]
    ]


def order(graph: Graph) -> list[str]:
    """The nodes, each behind what it imports.

    Raises
    ------
    graphlib.CycleError
        If there is a circle.
    """
    return list(TopologicalSorter(graph).static_order())


def purpose(part: str) -> str:
    """The first line of a part's docstring."""
    file = PACKAGE / part / "__init__.py"
    file = file if file.exists() else PACKAGE / f"{part}.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]


def main() -> None:
    modules = module_graph()
    parts = part_graph(modules)
    for number, floor in reversed(list(enumerate(FLOORS))):
        for part in floor:
            print(f"{number:>2}  {part:<13} {purpose(part)}")
            print(f"    {'':<13} imports {', '.join(sorted(parts[part])) or 'nothing'}")
    arrows = sum(map(len, parts.values()))
    print(f"\n{len(parts)} parts, {len(FLOORS)} floors, {arrows} arrows, {len(upward(parts))} upward")
    order(modules)


if __name__ == "__main__":
    main()
