"""The plan of the package: imports that only go down, two wings, and what `import da4dvar` loads."""

import ast
import importlib
import runpy
import subprocess
import sys
from graphlib import CycleError
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_dependencies import imported

import da4dvar

PACKAGE = Path(da4dvar.__file__).parent
ARRAYS = {"xarray", "dask", "netCDF4", "zarr"}
TENSORS = {"torch", "pytorch_lightning", "lightning"}
FORBIDDEN = {"variational": ARRAYS, "fields": TENSORS, "baselines": TENSORS, "layout": ARRAYS | TENSORS}

house = SimpleNamespace(**runpy.run_path(str(PACKAGE.parent / ".ci/house.py")))


def test_imports_only_go_down():
    """Imports only go down, without a circle, between at most 12 packages and 9 modules at the top."""
    assert house.upward(house.part_graph(house.module_graph())) == []
    house.order(house.module_graph())
    packages = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
    modules = {file.stem for file in PACKAGE.glob("*.py")}
    assert len(packages) <= 12
    assert len(modules) <= 9
    assert all(house.purpose(part) for part in packages | modules)


def loaded(code: str) -> set[str]:
    """The modules in memory after some code, in a fresh interpreter."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def write(folder: Path, files: dict[str, str]) -> Path:
    """A package of some files."""
    for name, text in files.items():
        path = folder / "da4dvar" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "da4dvar"


UPWARD = (
    "from da4dvar.cli import main",
    "import da4dvar.cli",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from da4dvar import cli",
    "def late():\n    from da4dvar.cli import main",
)


@pytest.mark.parametrize("line", UPWARD)
def test_an_upward_import_is_found(tmp_path, line):
    """However it is written."""
    package = write(tmp_path, {"__init__.py": "", "fields/__init__.py": line, "cli/__init__.py": ""})
    assert house.upward(house.part_graph(house.module_graph(package))) == ["fields -> cli"]


def test_a_circle_within_a_package_is_found(tmp_path):
    """Two modules that import each other."""
    one, two = "from da4dvar.fields.two import x", "from da4dvar.fields import one"
    files = {"__init__.py": "", "fields/__init__.py": "", "fields/one.py": one, "fields/two.py": two}
    with pytest.raises(CycleError):
        house.order(house.module_graph(write(tmp_path, files)))


def modules(part: str) -> list[Path]:
    """The files of a package or module."""
    return sorted((PACKAGE / part).rglob("*.py")) or [PACKAGE / f"{part}.py"]


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_wing_imports_no_library_of_the_other(part):
    """No tensors among the labelled arrays, no labels among the tensors."""
    assert {file.name: found for file in modules(part) if (found := imported(file) & FORBIDDEN[part])} == {}


@pytest.mark.parametrize("wing", ["variational", "fields", "baselines"])
def test_a_wing_loads_nothing_of_the_other(wing):
    """What is in memory once every module of a wing has been imported, in a fresh interpreter."""
    foreign = {"xarray"} if wing == "variational" else {"torch"}
    names = [f"da4dvar.{house.name_of(file, PACKAGE)}" for file in modules(wing)]
    assert foreign.isdisjoint(loaded(f"import {', '.join(names)}"))


def lines_of_code(text: str) -> int:
    """Lines that are neither blank, nor a comment, nor of a docstring."""
    lines = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_a_file_holds_one_idea():
    """Past 300 lines of code, it holds more than one; documentation and blank lines cost nothing."""
    assert lines_of_code('"""A\nB"""\n\n# c\nx = 1\n') == 1
    assert [f for f in PACKAGE.rglob("*.py") if lines_of_code(f.read_text("utf-8")) > 300] == []


def test_the_package_alone_loads_no_library():
    """`import da4dvar` loads neither torch nor xarray, and a tab offers public names only."""
    assert loaded("import da4dvar").isdisjoint({"torch", "xarray", "numpy", "pandas", "dask"})
    modules = {"baselines", "fields", "simulate", "testing", "training", "variational"}
    assert set(dir(da4dvar)) == {*da4dvar.__all__} | modules
    assert all(getattr(da4dvar, name) is not None for name in dir(da4dvar))


PUBLIC = [f.parent.name for f in PACKAGE.glob("*/__init__.py") if "\n_PUBLIC = " in f.read_text("utf-8")]


@pytest.mark.parametrize("part", PUBLIC)
def test_the_public_names_of_a_package(part):
    """Each is imported when it is asked for, and known to type checkers."""
    package = importlib.import_module(f"da4dvar.{part}")
    tree = ast.parse((PACKAGE / part / "__init__.py").read_text("utf-8"))
    typed = {a.asname: n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    known = {name: f"da4dvar.{part}.{module}" for name, module in package._PUBLIC.items()}
    assert {name: typed.get(name) for name in known} == known
    assert all(getattr(package, name).__module__ == module for name, module in known.items())
    assert sorted(package.__all__) == sorted(known) == sorted(dir(package))
    assert loaded(f"import da4dvar.{part}").isdisjoint({"torch", "xarray", "numpy"})


@pytest.mark.parametrize("first", ["import da4dvar", "import xarray", "from da4dvar.api import load"])
def test_the_accessors_are_there_in_any_order(first):
    """Import sorters put da4dvar first, and its modules import xarray; torch is not loaded for it."""
    code = f"{first}\nimport xarray, da4dvar\nassert xarray.Dataset.da4dvar and xarray.DataArray.da4dvar"
    assert "torch" not in loaded(code)


def test_the_hook_leaves_no_trace():
    """After the import of xarray there is no hook; a broken xarray raises its own error."""
    loaded(
        "import importlib.resources, importlib.util, sys\n"
        "before = list(sys.meta_path)\n"
        "import da4dvar; importlib.util.find_spec('xarray'); import xarray\n"
        "assert sys.meta_path == before\n"
        "assert type(xarray.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert xarray.__spec__.loader is xarray.__loader__\n"
        "assert importlib.resources.files('xarray').is_dir()\n"
        "assert xarray.Dataset.da4dvar"
    )
    loaded(
        "import sys, da4dvar\n"
        "sys.modules['numpy'] = None\n"
        "for _ in range(2):\n"
        "    try:\n        import xarray\n"
        "    except ImportError as error:\n        assert 'numpy' in str(error)\n"
        "    else:\n        raise SystemExit(1)"
    )
