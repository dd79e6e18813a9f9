"""Options for data sets larger than memory and for interrupted runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from da4dvar.cli.complete import one_of
from da4dvar.cli.shell import LARGE, say

Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Memory limit, such as 500MB or 2GiB; a larger data set is solved in regions. With --scheduler "
        "it covers all workers on this machine together; on a cluster, each worker.",
        rich_help_panel=LARGE,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Solve regions in parallel, with --model: threads, processes, or the address tcp://HOST:PORT of "
        "a dask scheduler.",
        autocompletion=one_of(("threads", "processes")),
        rich_help_panel=LARGE,
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.", rich_help_panel=LARGE)]


@contextmanager
def resumable(output: str) -> Iterator[None]:
    """Print how to continue if the user interrupts a run."""
    try:
        yield
    except KeyboardInterrupt:
        from da4dvar.outofcore.journal import Journal

        if Journal(output).begun():
            say("finished regions are kept; continue with --resume")
        raise
