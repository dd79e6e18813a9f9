"""The table of docs/broken-input.md, counted by collecting the tests: python -m hostile.table."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
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


def counted() -> Counter[str]:
    """Cases by file."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        pytest.main(["-q", "-m", "hostile", "--collect-only", str(FOLDER)])
    return Counter(Path(line.split("::")[0]).stem for line in said.getvalue().splitlines() if "::" in line)


def table(found: Counter[str]) -> str:
    """The table, in Markdown."""
    lines = ["| what was tried | cases | what happens |", "|---|---|---|"]
    lines += [f"| {what} | {found[name]} | {then} |" for name, (what, then) in ROWS.items()]
    return "\n".join([*lines, f"| **all** | **{sum(found[name] for name in ROWS)}** | |"])


if __name__ == "__main__":
    print(table(counted()))
