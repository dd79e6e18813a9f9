"""Options of what is larger than memory, or was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from da4dvar.cli.complete import one_of
from da4dvar.cli.shell import say

Memory = Annotated[
    str,
    typer.Option(
        help="Of the whole process, as 500MB or 2GiB; a larger data set is solved in regions. "
        "Of all workers of --scheduler threads and processes together; of each worker of a cluster."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Solve regions on workers: threads, processes, or the address of a dask scheduler, tcp://HOST:PORT.",
        autocompletion=one_of(("threads", "processes")),
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]


@contextmanager
def resumable(output: str) -> Iterator[None]:
    """Say to a person who stops a run how it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        from da4dvar.outofcore.journal import Journal

        if Journal(output).begun():
            say("what is finished is kept; go on with --resume")
        raise
