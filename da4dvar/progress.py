"""Progress display on a terminal for operations that take longer than two seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

PATIENCE = 2.0
Progress = Callable[[int, int], None]
Phase = Callable[[str], None]


@contextmanager
def shown(doing: str, quiet: bool) -> Iterator[Progress | None]:
    """Show a spinner while the body runs, and a progress bar once the body reports its progress.

    Parameters
    ----------
    doing : str
        Description of the operation.
    quiet : bool
        Whether to show nothing.

    Yields
    ------
    callable or None
        The argument `progress` of :meth:`da4dvar.Interpolator.interpolate` and the functions of
        :mod:`da4dvar.simulate`; None if nothing is shown.
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
        # Stopping a bar that was never shown would print an empty line.
        if bar.live.is_started:
            bar.stop()


@contextmanager
def phases(quiet: bool, say: Callable[[str], None]) -> Iterator[tuple[Phase, Progress | None]]:
    """Show the phases of an operation by name, on a terminal with a bar and the time left.

    Elsewhere, each phase that takes longer than two seconds is a line.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing.
    say : callable
        Prints a line.

    Yields
    ------
    phase : callable
        Called with the name of a phase when it begins.
    progress : callable or None
        Called with what is done of the phase and the total; None if no bar is shown.
    """
    if quiet:
        yield (lambda name: None), None
        return
    if not sys.stderr.isatty():
        timers: list[Timer] = []

        def begin(name: str) -> None:
            for timer in timers:
                timer.cancel()
            timers[:] = [Timer(PATIENCE, say, [f"{name} ..."])]
            timers[0].daemon = True
            timers[0].start()

        try:
            yield begin, None
        finally:
            for timer in timers:
                timer.cancel()
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn

    with Bar(
        SpinnerColumn(), *Bar.get_default_columns(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        yield (
            lambda name: bar.reset(task, description=name, total=None),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
