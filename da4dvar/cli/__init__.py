"""The command line. Heavy imports are left to the commands that need them, so that it starts quickly."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from da4dvar.cli import aggregate, baseline, cycling, ensemble, fill, learn, look, twin
from da4dvar.cli.memory import keep_freed_memory
from da4dvar.cli.shell import app, say
from da4dvar.errors import Da4dvarError, Da4dvarWarning

# Recent versions of typer contain their own copy of click, so click's errors are found through typer's.
UsageError: Any = typer.BadParameter.__bases__[0]
STOPPED = 130
# Order in --help: commands that are used first come first.
ORDER = (
    "interpolate",
    "baseline",
    "assimilate",
    "forecast",
    "gaps",
    "evaluate",
    "aggregate",
    "models",
    "inspect",
    "train",
    "calibrate",
    "benchmark",
    "simulate",
)
app.registered_commands.sort(key=lambda known: ORDER.index(getattr(known.callback, "__name__", "")))

__all__ = ["aggregate", "app", "baseline", "cycling", "ensemble", "fill", "learn", "look", "main", "twin"]


def show_note(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Print a warning of this package as one line; warnings of other libraries are not shown."""
    if issubclass(category, Da4dvarWarning):
        say(f"note: {one_line(str(message))}")


def one_line(message: BaseException | str) -> str:
    """Return a message as one line, as names given by the user may contain line breaks."""
    return " ".join(str(message).split("\n")) or type(message).__name__


def misused(error: Any) -> str:
    """Describe a usage error in one line, with the command whose help to read."""
    message = " ".join(error.format_message().split()).rstrip(".")
    path = error.ctx.command_path if error.ctx else "da4dvar"
    return f"{message}; see {path} --help"


def main() -> None:
    """Run a command; report an error of the user in one line, with exit code 2."""
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
        # The reader of stdout has closed it, so the rest cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except MemoryError as error:
        say(f"error: out of memory ({one_line(error)}); process less data at once, or use smaller settings")
        status = 2
    except OSError as error:
        say(f"error: {one_line(error)}; check the disk, the paths and the permissions")
        status = 2
    except (typer.Abort, KeyboardInterrupt):
        status = STOPPED
    if status == STOPPED:
        say("stopped; the output was not written")
    sys.exit(status)
