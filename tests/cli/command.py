"""The command line as a person meets it: a process, its two streams and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TIMEOUT = 120


def da4dvar(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `da4dvar` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "da4dvar", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def refused(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must fail as a user's mistake does, and return its one line."""
    done = da4dvar(*arguments, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: "), lines
    return lines[0]
