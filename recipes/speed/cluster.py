"""Time with one worker, with two, and with two of which one is killed, on the cores of this machine.

python recipes/speed/cluster.py [--days 3000]

Daily fields are filled from NetCDF to NetCDF with an untrained learned solver. The workers have started and
loaded their libraries before the clock starts; they receive the model while it runs. Prints the ratio of the
times, the processor seconds of the workers together and of the process that writes, and whether every value
has the same bits with one worker, with two, and with one lost.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import xarray as xr
from learned import learned_solver
from measuring import arguments, report

from da4dvar import interpolate_file
from da4dvar.fields.files.store import open_dataset, write_dataset
from da4dvar.outofcore.cluster import local_cluster
from da4dvar.workflows.twin import hide

DATA = Path(__file__).parents[2] / "datasets/oisst-tasman/oisst_tasman_1990_2011.nc"
# There are regions for four workers, whatever their number, so that the bits can be compared.
MEMORY = "2GiB"


def seconds(
    folder: Path, output: str, workers: int, progress: Callable | None = None
) -> tuple[float, float, float]:
    """Return the seconds of a run, and the processor seconds of the workers that live on and of this process.

    `progress` makes a callback from the process numbers of the workers.
    """
    with local_cluster(True, workers, 1) as client:
        pids = sorted(client.run(os.getpid).values())
        tell = None if progress is None else progress(pids)
        client.run(import_module, "da4dvar.outofcore.cluster")
        before = client.run(time.process_time)
        began, own = time.perf_counter(), time.process_time()
        interpolate_file(
            folder / "gappy.nc",
            folder / output,
            folder / "model.safetensors",
            memory=MEMORY,
            scheduler=client.scheduler.address,
            progress=tell,
        )
        spent, own = time.perf_counter() - began, time.process_time() - own
        after = client.run(time.process_time)
        return spent, sum(after[worker] - before.get(worker, 0.0) for worker in after), own


def killer(pids: list[int]) -> Callable[[int, int], None]:
    """Return a callback that kills the first worker once a third of the work is done."""
    left = pids[:1]

    def tell(done: int, of: int) -> None:
        if left and 3 * done > of:
            os.kill(left.pop(), signal.SIGKILL)

    return tell


def same(one: Path, other: Path) -> bool:
    """Whether all values of two files have the same bits."""
    with xr.open_dataset(one) as a, xr.open_dataset(other) as b:
        return all(a[n].values.tobytes() == b[n].values.tobytes() for n in a.variables)


def main(days: int) -> None:
    """Measure with one worker, with two, and with two of which one is killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = open_dataset(DATA).isel(time=slice(0, days)).load()
        learned_solver().save(folder / "model.safetensors")
        write_dataset(hide(truth, "tracks", 0.035, seed=11), folder / "gappy.nc")
        (one, *of_one), (two, *of_two) = seconds(folder, "one.nc", 1), seconds(folder, "two.nc", 2)
        lost, *_ = seconds(folder, "lost.nc", 2, killer)
        report(
            {
                "days": days,
                "one worker, s": one,
                "two workers, s": two,
                "ratio": one / two,
                "one worker and writer, processor s": of_one,
                "two workers and writer, processor s": of_two,
                "one of two killed, s": lost,
                "same bits, two": same(folder / "one.nc", folder / "two.nc"),
                "same bits, one killed": same(folder / "one.nc", folder / "lost.nc"),
            }
        )


if __name__ == "__main__":
    main(arguments(__doc__, ("--days", 3000)).days)
