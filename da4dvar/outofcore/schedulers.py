"""Who solves the tiles of a field: this process, workers of this machine, or those of a cluster.

However many, whichever ends first: the tiles' sums are added in one order, to the same bits.
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
# Seconds that a cluster may take to answer.
PATIENCE = 10
# Tiles for each worker, so that the last to end does not keep the others waiting.
SHARE = 4
# As many for a few workers as for one: their regions, and so their bits, are the same.
FEWEST = 16


class Scheduler(Protocol):
    """Solves tiles, in any order."""

    @property
    def share(self) -> int:
        """Bytes of the memory of one that solves."""

    @property
    def tiles(self) -> int:
        """How many regions there should at least be."""

    def within(self, memory: int, need: int) -> Self:
        """The same, as many as a memory is enough for.

        Parameters
        ----------
        memory : int
            As the user gave it.
        need : int
            The least that one takes.
        """

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Every tile once, as it is solved.

        Parameters
        ----------
        model : Interpolator
        job : Job
        numbers : sequence of tuple of int
            Of the tiles.
        tell : callable
            Told the number of windows solved.

        Raises
        ------
        DataError
            If the values cannot be used, or all workers are lost.
        """


@dataclass(frozen=True)
class InProcess:
    """One tile after another, here.

    Examples
    --------
    >>> InProcess().within(2 * 10**9, 6 * 10**8)
    InProcess(share=2000000000, tiles=1)
    """

    share: int = 0
    tiles: int = 1

    def within(self, memory: int, need: int) -> Self:
        """The memory is its own; see :meth:`Scheduler.within`."""
        return replace(self, share=memory)

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Every tile, in order; see :meth:`Scheduler.solved`."""
        for number in numbers:
            yield number, solve_tile(model, job, number, tell)


@dataclass(frozen=True)
class Local:
    """Workers of this machine: one on each core, or as many as the memory of all is enough for.

    Attributes
    ----------
    kind : {"threads", "processes"}
    cores : int
    workers : int
    share : int

    Examples
    --------
    One share is of the process that began the others, which restores and writes.

    >>> Local("processes", 4).within(5 * 10**9, 6 * 10**8)
    Local(kind='processes', cores=4, workers=4, share=1000000000)
    """

    kind: str
    cores: int
    workers: int = 1
    share: int = 0

    @property
    def tiles(self) -> int:
        """A few for each worker, so that none waits long for the last."""
        return max(FEWEST, SHARE * self.workers)

    def within(self, memory: int, need: int) -> Self:
        """Shares for the workers and for this process; see :meth:`Scheduler.within`."""
        # Libraries are loaded once by a process, whatever its threads.
        common = min(stream_plan.BASE, need - 1) if self.kind == "threads" else 0
        fit = (memory - common) // (need - common) - 1
        workers = max(1, min(self.cores, fit))
        if workers < self.cores:
            enough = common + (self.cores + 1) * (need - common)
            warn(
                f"memory of {readable_bytes(memory)} is enough for {workers} of {self.cores} workers; "
                f"give --memory {readable_bytes(enough)} for all"
            )
        return replace(self, workers=workers, share=common + (memory - common) // (workers + 1))

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Every tile, by workers that end with the run; see :meth:`Scheduler.solved`."""
        from da4dvar.outofcore.cluster import local_cluster, solved_by

        if not numbers:
            return
        with local_cluster(self.kind == "processes", self.workers, self.cores // self.workers) as client:
            yield from solved_by(client, model, job, numbers, tell)


@dataclass(frozen=True)
class Remote:
    """The workers of a cluster that is there, however many they are or become.

    Attributes
    ----------
    address : str
        Of the scheduler.
    workers : int
        When the field was cut.
    share : int
    """

    address: str
    workers: int = 0
    share: int = 0

    @property
    def tiles(self) -> int:
        """A few for each worker, so that none waits long for the last."""
        return max(FEWEST, SHARE * self.workers)

    def within(self, memory: int, need: int) -> Self:
        """The memory is that of each worker; see :meth:`Scheduler.within`."""
        with self._client() as client:
            workers = len(client.nthreads())
        if not workers:
            warn(f"no worker has come to {self.address} yet; the run waits for the first")
        return replace(self, workers=workers, share=memory)

    def solved(self, model: Interpolator, job: Job, numbers: Sequence[Number], tell: Tell) -> Results:
        """Every tile, by whoever is there; see :meth:`Scheduler.solved`."""
        from da4dvar.outofcore.cluster import solved_by

        with self._client() as client:
            yield from solved_by(client, model, job, numbers, tell, named=True)

    def _client(self) -> Client:
        from distributed import Client

        try:
            return Client(self.address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"scheduler {self.address} does not answer within {PATIENCE} s; check the address "
                "and that it runs"
            ) from error


def scheduler_of(name: str | None) -> Scheduler:
    """The scheduler of a name.

    Parameters
    ----------
    name : {"threads", "processes"} or str, optional
        Or the address of one of dask; this process alone if not given.

    Raises
    ------
    DataError
        If the name is of none, or `distributed` is not installed.

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
