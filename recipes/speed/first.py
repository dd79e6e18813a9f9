"""What a plain `da4dvar interpolate` does before its first answer, for a field of 2e6 values.

python recipes/speed/first.py [--values 2e6]

The command runs until the first method begins to estimate. The output, in JSON, is the seconds of the
processor: of all, with the start of Python, and of the import of libraries alone.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from typing import Any
from unittest import mock

from measuring import arguments, measured, report

DAYS = 365


class FirstAnswer(BaseException):
    """Raised when a method begins to estimate."""


def answer(*_: Any, **options: Any) -> None:
    """Stop where a method would estimate."""
    raise FirstAnswer


def stopped(file: str) -> None:
    """Run the command on a file until its first answer, in this process."""
    from da4dvar.cli import main as command
    from da4dvar.workflows.candidate import Candidate

    imported = time.process_time()
    sys.argv = ["da4dvar", "interpolate", file, f"{file}.filled.nc", "--quiet"]
    with mock.patch.object(Candidate, "estimate", answer), contextlib.suppress(FirstAnswer):
        command()
    report({"before the first answer, s": time.process_time(), "imports, s": imported})


def main(values: float) -> None:
    """Make a file, and run the command on it in processes of their own; the least of three counts."""
    from classical import clouded

    with tempfile.TemporaryDirectory() as folder:
        side = round((values / DAYS) ** 0.5)
        # A variable that no shipped model fills, as most are.
        clouded(DAYS, side, side)[0].rename(x="level").to_netcdf(f"{folder}/gappy.nc")
        found = [measured("first.py", "--file", f"{folder}/gappy.nc") for _ in range(3)]
    report({name: min(one[name] for one in found) for name in found[0]})


if __name__ == "__main__":
    given = arguments(__doc__, ("--values", 2e6), ("--file", ""))
    if given.file:
        stopped(given.file)
    else:
        main(given.values)
