"""A progress bar for what takes longer than two seconds, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 2.0


@contextmanager
def windows_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What :meth:`da4dvar.Interpolator.interpolate` takes as `progress`, or nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    began = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = None

        def tell(done: int, total: int) -> None:
            nonlocal task
            if task is None and time.monotonic() - began > PATIENCE:
                task = bar.add_task("windows", total=total)
            if task is not None:
                bar.update(task, completed=done, refresh=True)

        yield tell
