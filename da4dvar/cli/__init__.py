"""The command line: a thin door to the package; every heavy import waits for its verb."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from da4dvar.cli import ensemble, fill, learn, look, twin
from da4dvar.cli.memory import keep_freed_memory
from da4dvar.cli.shell import app, say
from da4dvar.errors import Da4dvarError, Da4dvarWarning

# typer carries a click of its own from some version on: its errors are reached through typer's.
UsageError: Any = typer.BadParameter.__bases__[0]
STOPPED = 130
# As --help lists them: what is used first comes first.
ORDER = (
    "interpolate",
    "baseline",
    "gaps",
    "evaluate",
    "models",
    "inspect",
    "train",
    "calibrate",
    "benchmark",
    "simulate",
)
app.registered_commands.sort(key=lambda verb: ORDER.index(getattr(verb.callback, "__name__", "")))

__all__ = ["app", "ensemble", "fill", "learn", "look", "main", "twin"]


def show_note(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """A warning of ours as a line; those of the libraries beneath are not the user's to mend."""
    if issubclass(category, Da4dvarWarning):
        say(f"note: {one_line(str(message))}")


def one_line(said: BaseException | str) -> str:
    """A message as one line: a name that the user gave may hold a line break."""
    return " ".join(str(said).split("\n")) or type(said).__name__


def misused(error: Any) -> str:
    """What is wrong with a command, in one line, and whose help to read."""
    said = " ".join(error.format_message().split()).rstrip(".")
    path = error.ctx.command_path if error.ctx else "da4dvar"
    return f"{said}; see {path} --help"


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2."""
    warnings.showwarning = show_note  # type: ignore[assignment]
    keep_freed_memory()
    arguments = sys.argv[1:] or ["--help"]
    try:
        status = app(arguments, prog_name="da4dvar", standalone_mode=False)
    except Da4dvarError as error:
        say(f"error: {one_line(error)}")
        status = 2
    except UsageError as error:
        say(f"error: {one_line(misused(error))}")
        status = 2
    except BrokenPipeError:
        # Whoever read the results has read enough; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except MemoryError as error:
        say(f"error: out of memory ({one_line(error)}); give a part of the data, or ask for less")
        status = 2
    except OSError as error:
        say(f"error: {one_line(error)}; check the disk, the paths and the permissions")
        status = 2
    except (typer.Abort, KeyboardInterrupt):
        status = STOPPED
    if status == STOPPED:
        say("stopped; the output was not written")
    sys.exit(status)
