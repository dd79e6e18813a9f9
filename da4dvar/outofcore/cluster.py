"""Tiles solved by the workers of a cluster: each is sent the model once, and may be lost.

A worker holds model and job as a plugin, which the scheduler sends to whoever joins; a tile is asked of it
by its number alone. A tile of a worker that was lost is solved by another. Results come back here, to the one
process that writes.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import dask
import torch
from distributed import (
    CancelledError,
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    Worker,
    WorkerPlugin,
    as_completed,
    get_worker,
)

import da4dvar
from da4dvar.errors import DataError, first_line
from da4dvar.outofcore.tile import Job, Sums, solve_tile
from da4dvar.outofcore.tiles import Number

if TYPE_CHECKING:
    from da4dvar.interpolator import Interpolator
    from da4dvar.outofcore.tile import Results, Tell

# Tiles asked of a worker at once: one at work, and one so that it need not wait for the next.
AHEAD = 2
# Of a worker's process, unless the user has set another.
ENVIRONMENT = {
    # Threads of OpenMP that wait must not spin: every core has a worker of its own.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Memory that is freed is kept for the next iteration. What dask sets gives it back to the system each
    # time, and a solution then waits for pages longer than it computes: three times slower, measured.
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
BEFORE = "distributed.nanny.pre-spawn-environ"


class Solving(WorkerPlugin):
    """What a worker keeps for as long as a run lasts.

    Parameters
    ----------
    name : str
        Of the run.
    model : Interpolator
    job : Job
    """

    def __init__(self, name: str, model: Interpolator, job: Job) -> None:
        self.name, self.model, self.job = name, model, job
        self.version, self.process = da4dvar.__version__, os.getpid()

    def setup(self, worker: Worker) -> None:
        """Get a worker ready, if it has the version of this process."""
        if self.version != da4dvar.__version__:
            raise DataError(
                f"worker {worker.address} has da4dvar {da4dvar.__version__}, expected {self.version} as "
                "here; install the same"
            )
        if self.process != os.getpid() and threading.current_thread() is threading.main_thread():
            # A terminal's Ctrl-C reaches all of its processes; the one that began the others ends them.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # One tile at a time, on all cores that the worker was given.
        self.threads, self.turn = worker.state.nthreads, threading.Lock()

    def solve(self, number: Number) -> Sums:
        """One tile."""
        with self.turn:
            # In this thread: that which set the plugin up is another.
            torch.set_num_threads(self.threads)
            return solve_tile(self.model, self.job, number)


def solve_there(name: str, number: Number) -> Sums:
    """A tile of a run, on a worker."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, Solving)
    return plugin.solve(number)


def solved_by(
    client: Client, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell, named: bool = False
) -> Results:
    """Every tile once, as workers solve it; few are asked for ahead, so that results do not pile up.

    Parameters
    ----------
    client : Client
    model : Interpolator
    job : Job
    numbers : sequence of tuple of int
    tell : callable
        Told the number of windows solved.
    named : bool
        Say of an error that a worker met it: it may see other files than this process.

    Raises
    ------
    DataError
        That a worker raised. If workers died of a tile, or the cluster is lost.
    """
    if not numbers:
        return
    name, waiting = f"da4dvar-{uuid4().hex}", iter(numbers)
    client.register_plugin(Solving(name, model, job), name=name)
    asked: dict[Future[Sums], Number] = {}
    results = as_completed(loop=client.loop)
    try:

        def ask() -> None:
            # Workers may join and leave.
            most = AHEAD * max(1, len(client.nthreads()))
            while len(asked) < most and (number := next(waiting, None)) is not None:
                future = client.submit(solve_there, name, number, key=f"{name}-{number}", pure=False)
                asked[future] = number
                results.add(future)

        ask()
        for future in results:
            number = asked.pop(future)
            sums = _result(future, number, named)
            ask()
            future.release()
            yield number, sums
            tell(math.prod(w.stop - w.start for w in job.tiles.windows(number)))
    finally:
        # A cluster that is lost has nothing to be told.
        with suppress(Exception):
            client.cancel(list(asked))
            client.unregister_worker_plugin(name)


def _result(future: Future[Sums], number: Number, named: bool) -> Sums:
    """What a worker found, or a line that says why it did not."""
    kept = "what is finished is kept"
    try:
        return future.result()
    except DataError as error:
        said = " (so a worker says; it must see the same files)" if named else ""
        raise DataError(f"{error}{said}") from error
    except KilledWorker as error:
        raise DataError(
            f"tile {number} was lost with {error.allowed_failures + 1} workers, one after another; {kept}: "
            "give workers more memory, or begin anew with less --memory"
        ) from error
    except (CancelledError, OSError) as error:
        raise DataError(
            f"the cluster was lost ({type(error).__name__}); {kept}, go on with --resume"
        ) from error


@contextmanager
def local_cluster(processes: bool, workers: int, threads: int) -> Iterator[Client]:
    """A client of workers that end with the body.

    Parameters
    ----------
    processes : bool
        Each a process, or else a thread of this one.
    workers, threads : int
        How many, and of how many cores each.

    Raises
    ------
    DataError
        If they do not start.
    """
    before = torch.get_num_threads()
    try:
        with dask.config.set({BEFORE: {**dask.config.get(BEFORE, {}), **ENVIRONMENT}}):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                processes=processes,
                # No page to look at; its server is there nevertheless, on a port that is free.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                # The plan keeps to the memory; dask's limit would end what goes a little beyond it.
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:
        raise DataError(
            f"workers do not start ({first_line(error)}); a script needs "
            '`if __name__ == "__main__":` around what it runs, or give --scheduler threads'
        ) from error
    try:
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        # Threads of this process have set it for all of them.
        torch.set_num_threads(before)
