"""A sign of life for what takes longer than two seconds, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

PATIENCE = 2.0
Progress = Callable[[int, int], None]


@contextmanager
def shown(doing: str, quiet: bool) -> Iterator[Progress | None]:
    """A spinner while the body runs, and a bar once the body tells how much is done, and of how much.

    Yields what :meth:`da4dvar.Interpolator.interpolate` and :mod:`da4dvar.simulate` take as
    `progress`, or nothing where nothing is to be shown.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn

    columns = (SpinnerColumn(), *Bar.get_default_columns())
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(doing, total=None)
    timer = Timer(PATIENCE, bar.start)
    timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        timer.cancel()
        timer.join()
        # A bar that was never seen has nothing to take back, and would still end its line.
        if bar.live.is_started:
            bar.stop()
