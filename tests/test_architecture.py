"""The house: two wings that do not know of each other, and a hall that they do not know of."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import da4dvar

PACKAGE = Path(da4dvar.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ARRAYS = {"xarray", "dask", "netCDF4", "zarr"}
TENSORS = {"torch", "pytorch_lightning", "lightning"}
# What both wings may know of.
SHARED = {"da4dvar.layout", "da4dvar.errors"}
# A wing: what it may not import, and the parts of this package that it may.
WINGS = {
    "variational": (ARRAYS, {"da4dvar.variational"}),
    "fields": (TENSORS, {"da4dvar.fields"}),
    "baselines": (TENSORS, {"da4dvar.baselines", "da4dvar.fields"}),
}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, within functions as well."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where it leads"
            # `from da4dvar import x` may be a module x: its full name is what counts.
            top = node.module == "da4dvar"
            yield from (f"da4dvar.{alias.name}" for alias in node.names) if top else [node.module or ""]


def modules(part: str) -> list[str]:
    """The names of all modules of a part of the package."""
    files = (file.relative_to(PACKAGE.parent).with_suffix("") for file in (PACKAGE / part).rglob("*.py"))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_neither_the_other_nor_the_hall(wing: str) -> None:
    """What a file of a wing says that it imports."""
    forbidden, own = WINGS[wing]
    for file in (PACKAGE / wing).rglob("*.py"):
        for name in imports(file):
            assert name.split(".")[0] not in forbidden, f"{file} imports {name}"
            if name.split(".")[0] == "da4dvar":
                inside = any(name == part or name.startswith(f"{part}.") for part in own | SHARED)
                assert inside, f"{file} imports {name}"


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_loads_nothing_of_the_other(wing: str) -> None:
    """What is in memory once every module of a wing has been imported, in a fresh interpreter."""
    foreign = {"xarray"} if wing == "variational" else {"torch"}
    code = f"import sys, {', '.join(modules(wing))}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert foreign.isdisjoint(loaded.stdout.split())


def test_what_both_wings_share_knows_of_neither() -> None:
    """The layout and the errors import nothing heavy."""
    for name in SHARED:
        file = PACKAGE.parent / Path(*name.split(".")).with_suffix(".py")
        assert {n.split(".")[0] for n in imports(file)}.isdisjoint(ARRAYS | TENSORS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_holds_one_idea(file: Path) -> None:
    """Past 400 lines, it holds more than one."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
