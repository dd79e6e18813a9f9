"""The table of docs/broken-input.md, counted by collecting the tests: python -m hostile.table."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# What is tried, and what happens, of each file.
ROWS = {
    "test_model_bytes": (
        "model files cut short, with flipped bits, noise, sizes that overflow, holes",
        "refused",
    ),
    "test_model_headers": (
        "any value, or none, in any place of a header",
        "refused when it is loaded, or works",
    ),
    "test_model_tensors": ("tensors missing, too many, of other types and shapes, not finite", "refused"),
    "test_recipe_bytes": ("recipes that are no TOML, without end, pipes and devices; `--set`", "refused"),
    "test_recipe_tables": ("any value, or none, in any place of a recipe", "refused, or trained"),
    "test_netcdf": ("odd NetCDF files; files that are wrong for a model", "the right answer; refused"),
    "test_netcdf_bytes": ("NetCDF cut short or changed, and what is none, for five verbs", "refused"),
    "test_zarr": (
        "Zarr 2 and 3; chunks and metadata broken, missing or lying; stores that vanish",
        "refused, or right",
    ),
    "test_packing": (
        "values at the ends of packed integers and beside the fill value",
        "the same values come back",
    ),
    "test_other_verbs": (
        "data, units, masks and numbers that are wrong for the other verbs",
        "refused, right, or a note",
    ),
    "test_outputs": (
        "inputs, folders and closed places as outputs; names of any letters",
        "refused; nothing is lost",
    ),
    "test_disk_full": ("a disk that is full, for every verb that writes", "one line; what was there stays"),
    "test_kills": (
        "processes killed at bytes of a write and at any moment",
        "the old output, or the whole new one",
    ),
    "test_processes": (
        "a choice of all this in a process of its own, with its memory measured",
        "one line, exit code 2",
    ),
}


class Cases:
    """How many cases a collection found, by file."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Count the cases that are left."""
        for item in items:
            self.found[item.path.stem] = self.found.get(item.path.stem, 0) + 1


def counted() -> dict[str, int]:
    """Cases by file."""
    cases = Cases()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-m", "hostile", "--collect-only", str(FOLDER)], plugins=[cases])
    return cases.found


def table(found: dict[str, int]) -> str:
    """The table, in Markdown."""
    lines = ["| what was tried | cases | what happens |", "|---|---|---|"]
    lines += [f"| {what} | {found[name]} | {then} |" for name, (what, then) in ROWS.items()]
    return "\n".join([*lines, f"| **all** | **{sum(found[name] for name in ROWS)}** | |"])


def files() -> set[str]:
    """The files of this folder that hold tests."""
    return {p.stem for p in FOLDER.glob("test_*.py")}


if __name__ == "__main__":
    print(table(counted()))
