"""Workers of this machine, one torch thread pool each, as long as they are needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
import torch
from distributed import Client, LocalCluster

from da4dvar.errors import DataError, first_line

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
