"""Options for how the windows of a data set are solved, and for interrupted runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from da4dvar.cli.complete import one_of
from da4dvar.cli.shell import LARGE, WITH_MODEL, say

Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Memory limit, such as 500MB or 2GiB; a larger data set is solved in regions. With --scheduler "
        "it covers all workers on this machine together; on a cluster, each worker.",
        rich_help_panel=LARGE,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Number of windows solved at once, by default 16, and up to 256 on a GPU.",
        min=1,
        rich_help_panel=WITH_MODEL,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="TYPE",
        help="Precision of convolutions and matrix products: float32, or bfloat16, which is faster on "
        "some processors and less exact.",
        autocompletion=one_of(("float32", "bfloat16")),
        rich_help_panel=WITH_MODEL,
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
