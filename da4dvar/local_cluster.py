"""Workers of this machine, one torch thread pool each, as long as they are needed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from distributed import Client, LocalCluster

from da4dvar.errors import DataError


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
    # Threads of OpenMP that wait must not spin: every core has a worker of its own.
    passive = {"env": {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}} if processes else {}
    before = torch.get_num_threads()
    try:
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
            **passive,
        )
    except RuntimeError as error:
        raise DataError(
            f"workers do not start ({str(error).strip().splitlines()[0]}); a script needs "
            '`if __name__ == "__main__":` around what it runs, or give --scheduler threads'
        ) from error
    try:
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        # Threads of this process have set it for all of them.
        torch.set_num_threads(before)
