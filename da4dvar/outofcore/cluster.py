"""Tiles solved by the workers of a Dask cluster.

Each worker holds the model and the job in a plugin, which the scheduler sends once to every worker that
joins; a task is only the number of a tile. If a worker is lost, another one solves its tiles. Results return
to this process, the only one that writes.
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

# Tiles submitted per worker: the one in progress, and one more so that the worker does not wait.
AHEAD = 2
# Environment of worker processes, unless the user has set these variables.
ENVIRONMENT = {
    # Waiting OpenMP threads must not spin, because every core has its own worker.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Keep freed memory for the next iteration. The settings of dask return it to the system each time, and
    # waiting for new pages then takes longer than computing (three times slower, measured).
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
BEFORE = "distributed.nanny.pre-spawn-environ"


class Solving(WorkerPlugin):
    """Worker plugin that holds the model and the job for the duration of a run.

    Parameters
    ----------
    name : str
        Name of the run.
    model : Interpolator
        Model that solves the tiles.
    job : Job
        Settings shared by all tiles.
    """

    def __init__(self, name: str, model: Interpolator, job: Job) -> None:
        self.name, self.model, self.job = name, model, job
        self.version, self.process = da4dvar.__version__, os.getpid()

    def setup(self, worker: Worker) -> None:
        """Prepare a worker.

        Raises
        ------
        DataError
            If the worker has another version of da4dvar than this process.
        """
        if self.version != da4dvar.__version__:
            raise DataError(
                f"worker {worker.address} has da4dvar {da4dvar.__version__}, expected {self.version} as on "
                "this machine; install the same version"
            )
        if self.process != os.getpid() and threading.current_thread() is threading.main_thread():
            # Ctrl-C in a terminal reaches all its processes; the parent process ends the workers.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Solve one tile at a time, on all cores of the worker.
        self.threads, self.turn = worker.state.nthreads, threading.Lock()

    def solve(self, number: Number) -> Sums:
        """Solve one tile."""
        with self.turn:
            # Set the number here, since the plugin was set up in another thread.
            torch.set_num_threads(self.threads)
            return solve_tile(self.model, self.job, number)


def solve_there(name: str, number: Number) -> Sums:
    """Solve a tile of the run `name`; called on a worker."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, Solving)
    return plugin.solve(number)


def solved_by(
    client: Client, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell, named: bool = False
) -> Results:
    """Yield every tile once, in the order in which workers finish.

    Only a few tiles are submitted ahead, so that results do not accumulate in memory.

    Parameters
    ----------
    client : Client
        Client of the cluster.
    model : Interpolator
        Model that solves the tiles.
    job : Job
        Settings shared by all tiles.
    numbers : sequence of tuple of int
        Numbers of the tiles to solve.
    tell : callable
        Function called with the number of windows of each finished tile.
    named : bool
        Mention in errors that a worker raised them, since it may see other files than this process.

    Yields
    ------
    number : tuple of int
        Number of a tile.
    sums : Sums
        Its contribution to the field.

    Raises
    ------
    DataError
        If a worker raises it, a tile kills several workers, or the cluster is lost.
    """
    if not numbers:
        return
    name, waiting = f"da4dvar-{uuid4().hex}", iter(numbers)
    client.register_plugin(Solving(name, model, job), name=name)
    asked: dict[Future[Sums], Number] = {}
    results = as_completed(loop=client.loop)
    try:

        def ask() -> None:
            # The number of workers may change during a run.
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
        # If the cluster is lost, there is nothing to cancel.
        with suppress(Exception):
            client.cancel(list(asked))
            client.unregister_worker_plugin(name)


def _result(future: Future[Sums], number: Number, named: bool) -> Sums:
    """Return the result of a worker.

    Raises
    ------
    DataError
        If there is no result; the message is one line.
    """
    kept = "finished regions are kept"
    try:
        return future.result()
    except DataError as error:
        said = " (reported by a worker, which must see the same files)" if named else ""
        raise DataError(f"{error}{said}") from error
    except KilledWorker as error:
        raise DataError(
            f"{error.allowed_failures + 1} workers died while solving tile {number}; {kept}; give workers "
            "more memory and continue with --resume, or start over with less --memory"
        ) from error
    except (CancelledError, OSError) as error:
        raise DataError(
            f"the cluster was lost ({type(error).__name__}); {kept}, continue with --resume"
        ) from error


@contextmanager
def local_cluster(processes: bool, workers: int, threads: int) -> Iterator[Client]:
    """Start workers on this machine for the duration of a ``with`` block.

    Parameters
    ----------
    processes : bool
        Whether each worker is a process, or a thread of this process.
    workers, threads : int
        Number of workers, and of cores for each.

    Yields
    ------
    Client
        Client of the workers.

    Raises
    ------
    DataError
        If the workers cannot be started.
    """
    before = torch.get_num_threads()
    try:
        with dask.config.set({BEFORE: {**dask.config.get(BEFORE, {}), **ENVIRONMENT}}):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                processes=processes,
                # Without a dashboard its server starts nevertheless, so let it choose a free port.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                # The plan respects the memory; dask's limit would kill workers that exceed it slightly.
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:
        raise DataError(
            f"workers cannot be started ({first_line(error)}); put the code of a script under "
            '`if __name__ == "__main__":`, or use --scheduler threads'
        ) from error
    try:
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        # Worker threads change the number for the whole process.
        torch.set_num_threads(before)
