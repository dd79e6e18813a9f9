"""Schedulers that solve the tiles of a field: this process, local workers, or the workers of a cluster.

The sums of the tiles are added in a fixed order, so that the result has the same bits whatever the number of
workers and the order in which they finish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

from da4dvar.config.types import readable_bytes
from da4dvar.errors import DataError, nearest, need, warn
from da4dvar.outofcore import plan as stream_plan
from da4dvar.outofcore.tile import Job, Results, Tell, solve_tile
from da4dvar.outofcore.tiles import Number

if TYPE_CHECKING:
    from distributed import Client

    from da4dvar.interpolator import Interpolator

LOCAL = ("threads", "processes")
ADDRESSES = ("tcp://", "tls://")
# Seconds to wait for the answer of a cluster.
PATIENCE = 10
# Tiles per worker, so that workers do not wait long for the last one.
SHARE = 4
# Smallest number of tiles: up to four workers get the same regions, and so give the same bits.
FEWEST = 16


class Scheduler(Protocol):
    """Protocol of objects that solve tiles, in any order."""

    @property
    def share(self) -> int:
        """Memory of each worker in bytes."""

    @property
    def tiles(self) -> int:
        """Smallest number of regions into which the field should be cut."""

    def within(self, memory: int, need: int) -> Self:
        """Return the scheduler with as many workers as fit in memory.

        Parameters
        ----------
        memory : int
            Memory given by the user, in bytes.
        need : int
            Least memory of a worker, in bytes.
        """

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Yield every tile once, as it is solved.

        Parameters
        ----------
        model : Interpolator
            Model that solves the tiles.
        job : Job
            Settings shared by all tiles.
        numbers : sequence of tuple of int
            Numbers of the tiles.
        tell : callable
            Function called with the number of windows that were solved.

        Yields
        ------
        number : tuple of int
            Number of a tile.
        sums : Sums
            Its contribution to the field.

        Raises
        ------
        DataError
            If the values cannot be used, or all workers are lost.
        """


@dataclass(frozen=True)
class InProcess:
    """Scheduler that solves one tile after another in this process.

    Examples
    --------
    >>> InProcess().within(2 * 10**9, 6 * 10**8)
    InProcess(share=2000000000, tiles=1)
    """

    share: int = 0
    tiles: int = 1

    def within(self, memory: int, need: int) -> Self:
        """Use all memory for this process; see :meth:`Scheduler.within`."""
        return replace(self, share=memory)

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Yield every tile in order; see :meth:`Scheduler.solved`."""
        for number in numbers:
            yield number, solve_tile(model, job, number, tell)


@dataclass(frozen=True)
class Local:
    """Workers on this machine: one per core, or as many as fit in memory.

    Attributes
    ----------
    kind : {"threads", "processes"}
        Type of the workers.
    cores : int
        Number of cores of this machine.
    workers : int
        Number of workers.
    share : int
        Memory of each worker in bytes.

    Examples
    --------
    One share of the memory is kept for this process, which restores units and writes.

    >>> Local("processes", 4).within(5 * 10**9, 6 * 10**8)
    Local(kind='processes', cores=4, workers=4, share=1000000000)
    """

    kind: str
    cores: int
    workers: int = 1
    share: int = 0

    @property
    def tiles(self) -> int:
        """A few regions per worker, so that workers do not wait long for the last one."""
        return max(FEWEST, SHARE * self.workers)

    def within(self, memory: int, need: int) -> Self:
        """Divide the memory among the workers and this process; see :meth:`Scheduler.within`."""
        # A process loads libraries only once, whatever its number of threads.
        common = min(stream_plan.BASE, need - 1) if self.kind == "threads" else 0
        fit = (memory - common) // (need - common) - 1
        workers = max(1, min(self.cores, fit))
        if workers < self.cores:
            enough = common + (self.cores + 1) * (need - common)
            warn(
                f"memory of {readable_bytes(memory)} suffices for {workers} of {self.cores} workers; "
                f"give --memory {readable_bytes(enough)} for all"
            )
        return replace(self, workers=workers, share=common + (memory - common) // (workers + 1))

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Yield every tile, solved by workers that end with the run; see :meth:`Scheduler.solved`."""
        from da4dvar.outofcore.cluster import local_cluster, solved_by

        if not numbers:
            return
        with local_cluster(self.kind == "processes", self.workers, self.cores // self.workers) as client:
            yield from solved_by(client, model, job, numbers, tell)


@dataclass(frozen=True)
class Remote:
    """Workers of an existing cluster, whose number may change during a run.

    Attributes
    ----------
    address : str
        Address of the Dask scheduler.
    workers : int
        Number of workers when the field was cut.
    share : int
        Memory of each worker in bytes.
    """

    address: str
    workers: int = 0
    share: int = 0

    @property
    def tiles(self) -> int:
        """A few regions per worker, so that workers do not wait long for the last one."""
        return max(FEWEST, SHARE * self.workers)

    def within(self, memory: int, need: int) -> Self:
        """Use the given memory for each worker; see :meth:`Scheduler.within`."""
        with self._client() as client:
            workers = len(client.nthreads())
        if not workers:
            warn(f"no worker has joined {self.address} yet; the run waits for the first one")
        return replace(self, workers=workers, share=memory)

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Yield every tile, solved by the present workers; see :meth:`Scheduler.solved`."""
        from da4dvar.outofcore.cluster import solved_by

        with self._client() as client:
            yield from solved_by(client, model, job, numbers, tell, named=True)

    def _client(self) -> Client:
        from distributed import Client

        try:
            return Client(self.address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"scheduler {self.address} does not answer within {PATIENCE} s; check the address and "
                "whether it is running"
            ) from error


def scheduler_of(name: str | None) -> Scheduler:
    """Return the scheduler of a given name.

    Parameters
    ----------
    name : {"threads", "processes"} or str, optional
        Type of local workers, or the address of a Dask scheduler; by default, this process alone.

    Returns
    -------
    Scheduler

    Raises
    ------
    DataError
        If the name is unknown, or `distributed` is not installed.

    Examples
    --------
    >>> scheduler_of(None)
    InProcess(share=0, tiles=1)
    >>> scheduler_of("tcp://10.0.0.1:8786")
    Remote(address='tcp://10.0.0.1:8786', workers=0, share=0)
    """
    if name is None:
        return InProcess()
    local = name in LOCAL
    if not local and not name.startswith(ADDRESSES):
        raise DataError(
            f"scheduler is {name!r}, expected threads, processes or an address such as tcp://10.0.0.1:8786; "
            f"{nearest(name, LOCAL)}"
        )
    need(f"scheduler {name}", "distributed")
    if not local:
        return Remote(name)
    from dask.system import cpu_count

    return Local(name, cpu_count())
