"""Table of docs/broken-input.md, counted by collecting the tests: python -m hostile.table."""

import contextlib
import io
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# Input that is tried, and its result, for each file of tests.
ROWS = {
    "test_model_bytes": (
        "model files: truncated, with flipped bits, random bytes, overflowing sizes, holes", "refused"),
    "test_model_headers": (
        "model files: any value, or none, at any place of the header", "refused on loading, or works"),
    "test_model_tensors": (
        "model files: missing or extra tensors, wrong types or shapes, values not finite", "refused"),
    "test_recipe_bytes": ("recipes: not TOML, endless, pipes and devices; settings of `--set`", "refused"),
    "test_recipe_tables": ("recipes: any value, or none, at any place", "refused, or trained"),
    "test_netcdf": ("NetCDF: unusual files; files that do not suit the model", "correct result; refused"),
    "test_netcdf_bytes": ("NetCDF: truncated or altered files, and other formats, for five verbs", "refused"),
    "test_zarr": (
        "Zarr 2 and 3: broken, missing or false chunks and metadata; stores that disappear",
        "refused, or correct result"),
    "test_packing": (
        "values at the limits of packed integers and next to the fill value", "values are preserved"),
    "test_other_verbs": (
        "unsuitable data, units, masks and numbers for the other verbs",
        "refused, correct result, or a note"),
    "test_outputs": (
        "outputs: inputs, folders and places without permission; names with any letters",
        "refused; nothing is lost"),
    "test_disk_full": ("a full disk, for every verb that writes", "one-line error; earlier output is kept"),
    "test_kills": (
        "processes killed at given bytes of a write, and at any moment",
        "old output, or complete new output"),
    "test_processes": (
        "a selection of these in separate processes, with their memory measured",
        "one-line error, exit code 2"),
}  # fmt: skip


def counted() -> Counter[str]:
    """Return the number of collected cases by file."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        pytest.main(["-q", "-m", "hostile", "--collect-only", str(FOLDER)])
    return Counter(Path(line.split("::")[0]).stem for line in said.getvalue().splitlines() if "::" in line)


def table(found: Counter[str]) -> str:
    """Format the table in Markdown."""
    lines = ["| what was tried | cases | what happens |", "|---|---|---|"]
    lines += [f"| {what} | {found[name]} | {then} |" for name, (what, then) in ROWS.items()]
    return "\n".join([*lines, f"| **all** | **{sum(found[name] for name in ROWS)}** | |"])


if __name__ == "__main__":
    print(table(counted()))
