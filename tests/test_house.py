"""The plan of the package: imports that only go down, two wings, files that hold one idea."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from graphlib import CycleError
from pathlib import Path

import pytest

import da4dvar

PACKAGE = Path(da4dvar.__file__).parent
SCRIPT = Path(__file__).parents[1] / ".ci" / "house.py"
ARRAYS = {"xarray", "dask", "netCDF4", "zarr"}
TENSORS = {"torch", "pytorch_lightning", "lightning"}
FORBIDDEN = {"variational": ARRAYS, "fields": TENSORS, "baselines": TENSORS, "layout": ARRAYS | TENSORS}
MOST_LINES = 300

spec = importlib.util.spec_from_file_location("house", SCRIPT)
assert spec is not None
assert spec.loader is not None
house = importlib.util.module_from_spec(spec)
spec.loader.exec_module(house)


def test_imports_only_go_down() -> None:
    """Between packages and modules at the top, those under TYPE_CHECKING and within functions included."""
    assert house.upward(house.part_graph(house.module_graph())) == []


def test_there_is_no_circle() -> None:
    """Within packages either: every module can be read after those that it imports."""
    house.order(house.module_graph())


def test_the_top_can_be_drawn_from_memory() -> None:
    """At most 12 packages and 9 modules, each with its purpose in a line."""
    packages = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
    modules = {file.stem for file in PACKAGE.glob("*.py")}
    assert len(packages) <= 12
    assert len(modules) <= 9
    assert all(house.purpose(part) for part in packages | modules)


def write(folder: Path, files: dict[str, str]) -> Path:
    """A package of some files."""
    for name, text in files.items():
        path = folder / "da4dvar" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "da4dvar"


@pytest.mark.parametrize(
    "line",
    [
        "from da4dvar.cli import main",
        "import da4dvar.cli",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from da4dvar import cli",
        "def late():\n    from da4dvar.cli import main",
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, line: str) -> None:
    """However it is written."""
    package = write(tmp_path, {"__init__.py": "", "fields/__init__.py": line, "cli/__init__.py": ""})
    assert house.upward(house.part_graph(house.module_graph(package))) == ["fields -> cli"]


def test_a_circle_within_a_package_is_found(tmp_path: Path) -> None:
    """Two modules that import each other."""
    one, two = "from da4dvar.fields.two import x", "from da4dvar.fields import one"
    files = {"__init__.py": "", "fields/__init__.py": "", "fields/one.py": one, "fields/two.py": two}
    with pytest.raises(CycleError):
        house.order(house.module_graph(write(tmp_path, files)))


def outside(file: Path) -> set[str]:
    """The top names of what a file imports from other libraries."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def modules(part: str) -> list[Path]:
    """The files of a package or module."""
    return sorted((PACKAGE / part).rglob("*.py")) or [PACKAGE / f"{part}.py"]


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_wing_imports_no_library_of_the_other(part: str) -> None:
    """No tensors among the labelled arrays, no labels among the tensors."""
    for file in modules(part):
        assert outside(file).isdisjoint(FORBIDDEN[part]), f"{file} imports {outside(file) & FORBIDDEN[part]}"


@pytest.mark.parametrize("wing", ["variational", "fields", "baselines"])
def test_a_wing_loads_nothing_of_the_other(wing: str) -> None:
    """What is in memory once every module of a wing has been imported, in a fresh interpreter."""
    foreign = {"xarray"} if wing == "variational" else {"torch"}
    names = [".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts) for f in modules(wing)]
    names = [name.removesuffix(".__init__") for name in names]
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert foreign.isdisjoint(loaded.stdout.split())


def lines_of_code(text: str) -> int:
    """Lines that are neither blank, nor a comment, nor of a docstring."""
    lines = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_lines_of_code_leave_documentation_out() -> None:
    """A docstring, a comment and a blank line cost nothing."""
    assert lines_of_code('"""A\nB"""\n\n# c\nx = 1\n') == 1


def test_a_file_holds_one_idea() -> None:
    """Past 300 lines of code, it holds more than one."""
    long = {
        f.name: n for f in PACKAGE.rglob("*.py") if (n := lines_of_code(f.read_text("utf-8"))) > MOST_LINES
    }
    assert long == {}
