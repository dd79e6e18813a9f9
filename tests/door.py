"""The command line within this process: as fast as a function, and with limits on time and memory.

The one way in which tests run a command. A process of its own is only for what needs one: the tests of
`cli/test_processes.py`, of signals, and of what an import loads.
"""

import contextlib
import hashlib
import io
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from da4dvar.cli import main

# Of one command; the tests of broken files allow less.
SECONDS = 120
BYTES = 700 * 2**20


class TooLong(BaseException):
    """What no `except Exception` takes for an error of the file."""


@contextlib.contextmanager
def limits(seconds: int | None = None) -> Iterator[None]:
    """A limit on the time of the body, and on what it adds to the highest use of memory."""
    seconds = seconds or SECONDS

    def late(*_: object) -> None:
        raise TooLong(f"over {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < BYTES


@dataclass
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str
    # Highest use of memory in bytes, of a process of its own.
    memory: int = 0


def da4dvar(*arguments: object, cwd: Path | None = None) -> Said:
    """Run a command in a folder; a traceback is an exception here."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        limits(),
        warnings.catch_warnings(),
        contextlib.chdir(cwd or Path()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        before, sys.argv = sys.argv, ["da4dvar", *map(str, arguments)]
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
    return Said(code, out.getvalue(), err.getvalue())


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, and a hash of it."""
    links = {p: os.readlink(p) for p in folder.rglob("*") if p.is_symlink()}
    files = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}
    return {str(path.relative_to(folder)): found for path, found in sorted((files | links).items())}


def errors(said: Said) -> list[str]:
    """The lines on stderr that are neither notes nor names of phases."""
    return [n for n in said.err.splitlines() if not n.startswith("note: ") and not n.endswith(" ...")]


def ran(*arguments: object, cwd: Path | None = None) -> Said:
    """What a command said that must succeed."""
    said = da4dvar(*arguments, cwd=cwd)
    assert said.code == 0, said
    return said


def refused(*arguments: object, cwd: Path) -> str:
    """The one line of a command that must fail as a user's mistake does, and change nothing on the disk."""
    before = content(cwd)
    said = da4dvar(*arguments, cwd=cwd)
    assert (said.code, said.out) == (2, ""), said
    (line,) = errors(said)
    assert line.startswith("error: ")
    assert content(cwd) == before
    return line


def done_or_refused(*arguments: object, cwd: Path) -> Said | None:
    """What a command said that came to its end; nothing if it was refused in one line, without a trace."""
    before = content(cwd)
    said = da4dvar(*arguments, cwd=cwd)
    after = content(cwd)
    assert {name: after.get(name) for name in before} == before, "an input was changed"
    if said.code == 0:
        return said
    assert said.code == 2, said
    assert [line[:7] for line in errors(said)] == ["error: "]
    assert after == before
    return None


def begun(*arguments: object, cwd: Path, limit: Callable[[], object] | None = None) -> int:
    """A command in a process of its own, which has what is imported already and calls `limit`; its number."""
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)
        os.chdir(cwd)
        # What it says is kept outside of the folder that it works in.
        for number, name in ((1, "out"), (2, "err")):
            said = os.open(f"{cwd}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, number)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
        sys.argv = ["da4dvar", *map(str, arguments)]
        signal.alarm(60)
        if limit is not None:
            limit()
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))
    finally:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(70)


def ended(child: int, cwd: Path) -> Said:
    """What a process said once it came to its end: the number of a signal is a negative exit code."""
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    paths = [Path(f"{cwd}.{name}") for name in ("out", "err")]
    out, err = (path.read_text() if path.exists() else "" for path in paths)
    for path in paths:
        path.unlink(missing_ok=True)
    return Said(code, out, err, usage.ru_maxrss * 1024)
